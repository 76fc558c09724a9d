"""Groups of parameters, by patterns of their names."""

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Self, TypeAlias

from minicnn.parameter import Parameter
from minicnn.validation import check_real

Settings: TypeAlias = tuple[tuple[str, float], ...]  # of one group, hashable and in order


class Grouped:
    """An optimizer whose rate and decay may be others for some of the parameters."""

    groups: dict[str, dict[str, float]]
    weight_decay: float

    def set_group(
        self, pattern: str, lr_scale: float | None = None, weight_decay: float | None = None
    ) -> Self:
        """Give the parameters whose names match a pattern another rate or decay; return the optimizer.

        Parameters
        ----------
        pattern : str
            As of a shell: "*.bias" is every bias, "layers.0.*" all of the first layer. Of several patterns
            that match a name, the last one that was given counts for each setting.
        lr_scale : float, optional
            Factor of the learning rate.
        weight_decay : float, optional
            In place of the optimizer's.

        Examples
        --------
        No decay of biases and of BatchNorm, and a tenth of the rate in the trunk of a `Sequential`:

        >>> from minicnn import AdamW
        >>> optimizer = AdamW(1e-3, weight_decay=0.01)
        >>> for name in ("bias", "gamma", "beta"):
        ...     optimizer = optimizer.set_group(f"*.{name}", weight_decay=0.0)
        >>> optimizer = optimizer.set_group("layers.0.*", lr_scale=0.1)
        """
        given = {"lr_scale": lr_scale, "weight_decay": weight_decay}
        settings = {name: check_real(value, name) for name, value in given.items() if value is not None}
        if not (isinstance(pattern, str) and settings):
            raise TypeError(f"a group needs a pattern of names and a setting, got {pattern!r}, {settings}")
        self.groups = {name: old for name, old in self.groups.items() if name != pattern} | {
            pattern: settings
        }
        return self

    def _rate_and_decay(self, rate: float, group: Settings) -> tuple[float, float]:
        settings = dict(group)
        return rate * settings.get("lr_scale", 1.0), settings.get("weight_decay", self.weight_decay)


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
