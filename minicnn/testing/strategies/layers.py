"""Strategies for layers with their arguments."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from minicnn.layers.base import Layer
from minicnn.testing.check import check_layer
from minicnn.testing.strategies.values import (
    image_shapes,
    input_shapes,
    paddings,
    pairs,
    seeds,
    strides,
)


@dataclass(frozen=True)
class LayerCase:
    """A layer with the other arguments of `check_layer`: input shape, batch size and seed."""

    layer: Layer
    input_shape: tuple[int, ...]
    batch_size: int
    seed: int

    def check(self, **options: Any) -> None:
        """Run `check_layer` on this case, with further options of it."""
        check_layer(self.layer, self.input_shape, rng=self.seed, batch_size=self.batch_size, **options)


# Default strategies for arguments of layers, by name.
ARGUMENTS: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
    "filters": lambda: st.integers(1, 3),
    "units": lambda: st.integers(1, 4),
    "hidden": lambda: st.integers(1, 3),
    "kernel_size": pairs,
    "pool_size": pairs,
    "strides": strides,
    "dilation": lambda: pairs(1, 2),
    "padding": paddings,
    "use_bias": st.booleans,
    "mode": lambda: st.sampled_from(["max", "avg"]),
    "ties": lambda: st.sampled_from(["first", "split"]),
    "rate": lambda: st.sampled_from([0.0, 0.25, 0.5]),
    "inverted": st.booleans,
    "slope": lambda: st.sampled_from([0.0, 0.1, 0.3]),
}


# The same where they are no pairs.
ONE_NUMBER: dict[str, st.SearchStrategy[int]] = {
    "kernel_size": st.integers(1, 3),
    "pool_size": st.integers(1, 3),
    "strides": st.integers(1, 3),
    "dilation": st.integers(1, 2),
    "padding": st.integers(0, 2),
}


def _is_one_number(argument: inspect.Parameter) -> bool:
    return type(argument.default) is int and argument.annotation in (argument.empty, int, "int")


@st.composite
def layer_cases(
    draw: Callable[..., Any],
    layer: Callable[..., Layer],
    input_shape: tuple[int, ...] | st.SearchStrategy[tuple[int, ...]] | None = None,
    **arguments: st.SearchStrategy[Any],
) -> LayerCase:
    """Draw test cases for a layer class, including your own.

    Parameters
    ----------
    layer : type or callable
        The class, or a function that returns a layer.
    input_shape : tuple of int or strategy, optional
        Shape of one example. Default: an image if the layer has an argument `kernel_size`, `pool_size` or
        `filters`, otherwise a feature vector or an image.
    **arguments : strategy
        Strategies for arguments of the layer. Other arguments with a name that this package uses (`filters`,
        `kernel_size`, `strides`, `padding`, ...) have a default strategy; the rest keep their default values.
        Sizes and paddings whose default is an integer, without another annotation, stay integers.

    Returns
    -------
    strategy of LayerCase
        Cases that do not build, such as a window larger than the image, are rejected.

    Raises
    ------
    TypeError
        If an argument has neither a default nor a strategy, or the layer has no argument of that name.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from minicnn import Conv2D
    >>> @settings(deadline=None)  # 200 ms by default, which a layer with loops in Python may need
    ... @given(case=layer_cases(Conv2D))
    ... def test_conv(case):
    ...     case.check()
    """
    chosen = {}
    known = inspect.signature(layer).parameters
    for name in arguments.keys() - known.keys():
        raise TypeError(
            f"{layer.__name__} has no argument `{name}`, its arguments are {', '.join(known) or 'none'}"
        )
    for name, argument in known.items():
        if name in arguments:
            chosen[name] = draw(arguments[name])
        elif name in ONE_NUMBER and _is_one_number(argument):
            chosen[name] = draw(ONE_NUMBER[name])
        elif name in ARGUMENTS:
            chosen[name] = draw(ARGUMENTS[name]())
        elif argument.default is argument.empty and not str(argument).startswith("*"):
            raise TypeError(f"`{name}` of {layer.__name__} needs a strategy: layer_cases(..., {name}=...)")
    if input_shape is None:
        windows = {"kernel_size", "pool_size", "filters"} & chosen.keys()
        input_shape = image_shapes() if windows else input_shapes()
    shape = draw(input_shape) if isinstance(input_shape, st.SearchStrategy) else input_shape
    try:
        layer(**chosen).build(shape, rng=0)
    except (ValueError, IndexError):  # IndexError: a layer that needs another number of axes
        assume(False)
    return LayerCase(layer(**chosen), shape, draw(st.integers(2, 4)), draw(seeds()))
