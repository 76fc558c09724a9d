"""Strategies for seeds, geometries, shapes and images."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minicnn.testing.layer_under_test import LAYOUTS

MAX_SIDE = 6  # of an image
MAX_CHANNELS = 3
# The first is the one that failures shrink to.
IMAGE_KINDS = ("constant", "ties", "regions", "negative", *["generic"] * 10)


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
