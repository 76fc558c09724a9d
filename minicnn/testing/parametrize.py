"""The checks as pytest tests, one for each layer and check, as in scikit-learn."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from minicnn.layers.base import Layer
from minicnn.testing.check import check_layer, chosen_checks, one_line_repr

Item = tuple[Layer, tuple[int, ...]] | Layer


def parametrize_with_checks(layers: Iterable[Item], **options: Any) -> Callable[[Callable], Callable]:
    """Return a decorator that parametrizes a pytest test over layers and checks.

    Parameters
    ----------
    layers : iterable of (Layer, input_shape) or of built layers
        The layers to check.
    **options
        Arguments of `check_layer`: rng, batch_size, inputs, reference, skip.

    Examples
    --------
    >>> from minicnn import Conv2D, ReLU
    >>> @parametrize_with_checks([(Conv2D(4, 3), (5, 5, 2)), (ReLU(), (7,))])
    ... def test_my_layers(layer, check):
    ...     check(layer)
    """
    import pytest  # not a dependency of the package

    skip = options.pop("skip", ())
    cases = []
    for item in layers:
        layer, shape = item if isinstance(item, tuple) else (item, item.input_shape)
        for name in chosen_checks(skip):
            check = partial(check_layer, input_shape=shape, only=(name,), **options)
            cases.append(pytest.param(layer, check, id=f"{one_line_repr(layer)}-{name}"))
    return pytest.mark.parametrize(("layer", "check"), cases)
