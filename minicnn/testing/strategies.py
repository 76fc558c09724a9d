"""Hypothesis strategies for layers, images and geometries.

They draw shapes, arguments and a seed, and NumPy generates the values from it. So failures shrink to the
smallest shape. They need hypothesis: `pip install 'minicnn-numpy[testing]'`.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Pool2D,
    ReLU,
    Residual,
    Sequential,
    Tanh,
)
from minicnn.layers.base import Layer
from minicnn.testing.check import check_layer
from minicnn.testing.layer_under_test import LAYOUTS

try:
    from hypothesis import assume
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError("strategies need hypothesis: pip install 'minicnn-numpy[testing]'") from error

__all__ = [
    "LayerCase",
    "dtypes",
    "image_shapes",
    "images",
    "input_shapes",
    "layer_cases",
    "layouts",
    "nets",
    "paddings",
    "pairs",
    "seeds",
    "strides",
]

MAX_SIDE = 6  # of an image
MAX_CHANNELS = 3
# The first is the one that failures shrink to.
IMAGE_KINDS = ("constant", "ties", "regions", "negative", *["generic"] * 10)


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


def seeds() -> st.SearchStrategy[int]:
    """Draw a seed."""
    return st.integers(0, 2**16)


def pairs(low: int = 1, high: int = 3) -> st.SearchStrategy[Any]:
    """Draw an integer, or a pair for rows and columns: kernel sizes, strides, dilations."""
    numbers = st.integers(low, high)
    return st.one_of(numbers, st.tuples(numbers, numbers))


def dtypes() -> st.SearchStrategy[Any]:
    """Draw float64 or float32, the dtypes of weights."""
    return st.sampled_from([np.float64, np.float32])


def layouts() -> st.SearchStrategy[str]:
    """Draw "NHWC" or "NCHW", as `check_layer` takes it."""
    return st.sampled_from(LAYOUTS)


def strides() -> st.SearchStrategy[Any]:
    """Draw the strides of a window."""
    return pairs(1, 3)


def paddings(high: int = 2) -> st.SearchStrategy[Any]:
    """Draw "valid", "same" or explicit padding of up to `high` rows and columns on each side."""
    side = st.integers(0, high)
    both = st.tuples(side, side)
    return st.one_of(st.sampled_from(["valid", "same"]), st.tuples(both, both))


def image_shapes(channels: int = MAX_CHANNELS) -> st.SearchStrategy[tuple[int, ...]]:
    """Draw an image shape (H, W, C) with up to `channels` channels."""
    side = st.integers(1, MAX_SIDE)
    return st.tuples(side, side, st.integers(1, channels))


def input_shapes() -> st.SearchStrategy[tuple[int, ...]]:
    """Draw the shape of one example: a feature vector or an image."""
    return st.one_of(st.tuples(st.integers(1, 8)), image_shapes())


@st.composite
def images(
    draw: Callable[..., Any], shape: tuple[int, ...] | None = None, dtype: Any = np.float64
) -> np.ndarray:
    """Draw a batch of images (N, H, W, C): mostly generic, else constant, with ties, or all negative.

    Ties and constant regions are common in practice, because the background of an image is often constant.
    """
    if shape is None:
        shape = (draw(st.integers(1, 3)), *draw(image_shapes()))
    rng = np.random.default_rng(draw(seeds()))
    kind = draw(st.sampled_from(IMAGE_KINDS))
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


BODIES: dict[str, Callable[[], Layer]] = {
    "convolution": lambda: Conv2D(2, 2, padding="same"),
    "ReLU": ReLU,
    "Tanh": Tanh,
    "pooling": lambda: Pool2D(2, padding="same"),
    "BatchNorm": BatchNorm,
    "Dropout": lambda: Dropout(0.25),
    "residual": lambda: Residual([Tanh()]),
}


@st.composite
def nets(draw: Callable[..., Any], depth: int = 4) -> LayerCase:
    """Draw a small net for images: up to `depth` layers, and on top of them a dense one.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(deadline=None)
    ... @given(case=nets())
    ... def test_my_optimizer(case):
    ...     net = case.layer.build(case.input_shape, rng=case.seed)
    """
    names = draw(st.lists(st.sampled_from(list(BODIES)), max_size=depth))
    side = st.integers(2, MAX_SIDE)
    shape = (draw(side), draw(side), draw(st.integers(1, MAX_CHANNELS)))
    net = Sequential([*(BODIES[name]() for name in names), Flatten(), Dense(draw(st.integers(1, 4)))])
    return LayerCase(net, shape, draw(st.integers(2, 4)), draw(seeds()))


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
