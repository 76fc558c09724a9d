"""Hypothesis strategies: layers, images and geometries, drawn so that failures shrink to the smallest shape.

What is drawn are shapes, arguments and a seed; the values come from NumPy. Needs hypothesis:
`pip install "minicnn-numpy[testing]"`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.testing.check import check_layer

try:
    from hypothesis import assume
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError('strategies need hypothesis: pip install "minicnn-numpy[testing]"') from error

__all__ = [
    "LayerCase",
    "image_shapes",
    "images",
    "input_shapes",
    "layer_cases",
    "paddings",
    "pairs",
    "seeds",
    "strides",
]

SIDES = 6  # the largest side of a drawn image
CHANNELS = 3


@dataclass(frozen=True)
class LayerCase:
    """A layer, the shape of its inputs, and a seed: what `check_layer` needs."""

    layer: Layer
    input_shape: tuple[int, ...]
    batch_size: int
    seed: int

    def check(self, **options: Any) -> None:
        """Run `check_layer`; options are passed on."""
        check_layer(self.layer, self.input_shape, rng=self.seed, batch_size=self.batch_size, **options)


def seeds() -> st.SearchStrategy[int]:
    """Draw a seed."""
    return st.integers(0, 2**16)


def pairs(low: int = 1, high: int = 3) -> st.SearchStrategy[Any]:
    """Draw an integer, or two of them for rows and columns: kernel sizes, strides, dilations."""
    numbers = st.integers(low, high)
    return st.one_of(numbers, st.tuples(numbers, numbers))


def strides() -> st.SearchStrategy[Any]:
    """Draw the steps of a window."""
    return pairs(1, 3)


def paddings(most: int = 2) -> st.SearchStrategy[Any]:
    """Draw "valid", "same" or explicit padding of up to `most` rows and columns on each side."""
    side = st.integers(0, most)
    both = st.tuples(side, side)
    return st.one_of(st.sampled_from(["valid", "same"]), st.tuples(both, both))


def image_shapes(channels: int = CHANNELS) -> st.SearchStrategy[tuple[int, ...]]:
    """Draw (H, W, C)."""
    side = st.integers(1, SIDES)
    return st.tuples(side, side, st.integers(1, channels))


def input_shapes() -> st.SearchStrategy[tuple[int, ...]]:
    """Draw a shape of one example: features, or an image."""
    return st.one_of(st.tuples(st.integers(1, 8)), image_shapes())


@st.composite
def images(
    draw: Callable[..., Any], shape: tuple[int, ...] | None = None, dtype: Any = np.float64
) -> np.ndarray:
    """Draw a batch of images (N, H, W, C): generic, with ties, with constant regions, or all negative.

    Ties and constant regions are not rare in practice, since the background of an image is constant.
    """
    if shape is None:
        shape = (draw(st.integers(1, 3)), *draw(image_shapes()))
    rng = np.random.default_rng(draw(seeds()))
    kind = draw(st.sampled_from(["constant", "ties", "regions", "generic", "negative"]))
    if kind == "constant":
        x = np.full(shape, rng.integers(-2, 3), dtype=np.float64)
    elif kind == "ties":
        x = rng.integers(-2, 3, shape).astype(np.float64)
    elif kind == "regions":
        coarse = rng.integers(-2, 3, (shape[0], -(-shape[1] // 3), -(-shape[2] // 3), shape[3]))
        x = coarse.repeat(3, axis=1).repeat(3, axis=2)[:, : shape[1], : shape[2]].astype(np.float64)
    else:
        x = rng.standard_normal(shape)
        x = x if kind == "generic" else -np.abs(x)
    return x.astype(dtype)


# How to draw arguments that layers have by these names.
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


@st.composite
def layer_cases(
    draw: Callable[..., Any],
    layer: Callable[..., Layer],
    input_shape: tuple[int, ...] | st.SearchStrategy[tuple[int, ...]] | None = None,
    **arguments: st.SearchStrategy[Any],
) -> LayerCase:
    """Draw cases of a layer class, your own too.

    Parameters
    ----------
    layer : type or callable
        What makes a layer from arguments.
    input_shape : tuple of int or strategy, optional
        Shape of one example. If it is not given, images where an argument or the layer asks for them,
        else features or images.
    **arguments : strategy
        How to draw arguments. Those that are not given, and bear one of the project's names (`filters`,
        `kernel_size`, `strides`, `padding`, ...), are drawn as such; others keep their defaults.

    Returns
    -------
    strategy of LayerCase
        Arguments that do not fit the shape (a window larger than the image) are not drawn.

    Raises
    ------
    TypeError
        If an argument has no default and no strategy, or there is none of that name.

    Examples
    --------
    >>> from hypothesis import given
    >>> from minicnn import Conv2D
    >>> @given(case=layer_cases(Conv2D))
    ... def test_conv(case):
    ...     case.check()
    """
    chosen = {}
    known = inspect.signature(layer).parameters
    for name in arguments.keys() - known.keys():
        raise TypeError(f"{layer.__name__} has no argument `{name}`, it has {', '.join(known) or 'none'}")
    for name, argument in known.items():
        if name in arguments:
            chosen[name] = draw(arguments[name])
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
    except (ValueError, IndexError):  # an IndexError from a layer that asks for an axis there is not
        assume(False)
    return LayerCase(layer(**chosen), shape, draw(st.integers(2, 4)), draw(seeds()))
