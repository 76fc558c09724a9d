"""The checks as pytest tests, one for each layer and check, as in scikit-learn."""

import re
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from typing import Any, TypeAlias

import numpy as np

from minicnn.layers.base import Layer
from minicnn.testing.check import check_layer
from minicnn.testing.running import chosen_checks, one_line_repr

Item: TypeAlias = tuple[Any, Sequence[int]] | Layer
SEEDS: ContextVar[int] = ContextVar("number of seeds of each test", default=1)  # set by the pytest plugin
LONGEST_NAME = 80  # characters of a layer's repr in the id of a test


class LayerCheck:
    """One check, which a test calls with the layer; with the option --minicnn-seeds once for each seed."""

    def __init__(self, name: str, input_shape: Sequence[int] | None, options: dict[str, Any]) -> None:
        self.name, self.input_shape, self.options = name, input_shape, options

    def __call__(self, layer: Any) -> None:
        """Run the check; raise LayerCheckError if it fails."""
        __tracebackhide__ = True
        first = self.options.get("rng", 0)
        for seed in range(first, first + SEEDS.get()):
            check_layer(layer, self.input_shape, **(self.options | {"rng": seed, "only": (self.name,)}))

    def __repr__(self) -> str:
        return self.name


def parametrize_with_checks(layers: Iterable[Item], **options: Any) -> Callable[[Callable], Callable]:
    """Return a decorator that parametrizes a pytest test over layers and checks.

    The id of a test is `layer-shape-check`, the same in every process, as `pytest -n 2` requires. The pytest
    plugin of this package adds `--minicnn-seeds N`, and remarks to the summary.

    Parameters
    ----------
    layers : iterable of (layer, input_shape) or of built layers
        The layers to check, or classes and functions that make them.
    **options
        Arguments of `check_layer`: rng, batch_size, inputs, reference, layout, skip, only.

    Examples
    --------
    >>> from minicnn import Conv2D, ReLU
    >>> @parametrize_with_checks([(Conv2D(4, 3), (5, 5, 2)), (ReLU(), (7,))])
    ... def test_my_layers(layer, check):
    ...     check(layer)
    """
    import pytest  # not a dependency of the package

    names = chosen_checks(options.pop("skip", ()), options.pop("only", None))
    if isinstance(options.get("rng"), np.random.Generator):
        options["rng"] = int(options["rng"].integers(2**62))
    cases = []
    for item in layers:
        layer, shape = item if isinstance(item, tuple) else (item, item.input_shape)
        for name in names:
            label = "-".join([_stable_name(layer), "x".join(map(str, shape or ())), name])
            cases.append(pytest.param(layer, LayerCheck(name, shape, options), id=label))
    return pytest.mark.parametrize(("layer", "check"), cases)


def _stable_name(layer: Any) -> str:
    """Return the layer's repr on one line, without addresses in memory, and not too long."""
    text = one_line_repr(layer) if isinstance(layer, Layer) else getattr(layer, "__name__", repr(layer))
    text = re.sub(r"<(?:function |bound method )?(.+?)(?: object)? at 0x[0-9a-fA-F]+>", r"\1", text)
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 3] + "..."
