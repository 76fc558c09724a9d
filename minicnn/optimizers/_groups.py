"""Groups of parameters, by patterns of their names."""

import fnmatch
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from minicnn.parameter import Parameter

Settings: TypeAlias = tuple[tuple[str, float], ...]  # of one group, hashable and in order


def find_groups(
    given: Sequence[Parameter | tuple[str, Parameter]], groups: Mapping[str, Mapping[str, float]]
) -> tuple[list[Parameter], list[Settings]]:
    """Return the parameters, and the settings of each from the patterns that match its name.

    Raises
    ------
    TypeError
        If there are groups, but a parameter has no name.
    ValueError
        If no name matches a pattern.
    """
    parameters = [each if isinstance(each, Parameter) else each[1] for each in given]
    if not groups:
        return parameters, [()] * len(parameters)
    names = [each[0] for each in given if not isinstance(each, Parameter)]
    if len(names) < len(parameters):
        raise TypeError(
            "an optimizer with groups needs names: pass model.named_parameters(), not parameters()"
        )
    weights = [name for name, each in zip(names, parameters, strict=True) if not each.is_statistic]
    for pattern in groups:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in weights):
            raise ValueError(f"no parameter matches {pattern!r}; there are {', '.join(weights)}")
    found: list[dict[str, float]] = [{} for _ in names]
    for pattern, settings in groups.items():
        for name, own in zip(names, found, strict=True):
            if fnmatch.fnmatchcase(name, pattern):
                own.update(settings)
    return parameters, [tuple(sorted(settings.items())) for settings in found]
