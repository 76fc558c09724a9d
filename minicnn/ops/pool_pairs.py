"""Max pooling with 2x2 windows that tile the images: the larger of two neighbours, then of two rows.

The forward pass keeps the outcome of both comparisons, a byte each. The gradient follows them: no value is
compared again, and neither the images nor the output are kept. The first of equal maxima in row-major order
gets the gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minicnn.ops.memory import aligned_empty_like
from minicnn.ops.padding import Pads, Pair, check_images, pair
from minicnn.validation import check_dy_shape


class Comparisons(NamedTuple):
    """What the gradient needs: the outcome of all comparisons, and the dtype of the images."""

    left: np.ndarray  # (N, H, W / 2, C): whether the left one of two neighbours is the larger or equal
    upper: np.ndarray  # (N, H / 2, W / 2, C): the same of the larger ones of two rows
    dtype: np.dtype


def pools_pairs(
    x: np.ndarray, pool_size: int | Pair, strides: int | Pair | None, padding: str | Pads, ties: str
) -> bool:
    """Return whether the windows are 2x2 and tile the images, and the first of equal maxima wins."""
    check_images(x)
    _, h, w, _ = x.shape
    return (
        pair(pool_size, "pool_size") == (2, 2)
        and (strides is None or pair(strides, "strides") == (2, 2))
        and padding in ("valid", "same", ((0, 0), (0, 0)))
        and ties == "first"
        and h % 2 == w % 2 == 0 < h * w
    )


def max_pool_pairs(x: np.ndarray) -> tuple[np.ndarray, Comparisons]:
    """Return the largest value in each window, (N, H / 2, W / 2, C), and the comparisons."""
    left, right = x[:, :, 0::2], x[:, :, 1::2]
    larger = np.maximum(left, right, out=aligned_empty_like(left))
    upper, lower = larger[:, 0::2], larger[:, 1::2]
    y = np.maximum(upper, lower, out=aligned_empty_like(upper))
    return y, Comparisons(left >= right, upper >= lower, x.dtype)


def max_pool_pairs_backward(dy: np.ndarray, comparisons: Comparisons) -> np.ndarray:
    """Return dx (N, H, W, C), in the memory layout of the images."""
    left, upper, dtype = comparisons
    check_dy_shape(dy, upper.shape)
    if dy.strides != tuple(dtype.itemsize * stride for stride in upper.strides):  # another layout, or dtype
        dy, given = aligned_empty_like(upper, dtype), dy
        dy[...] = given
    # A product with a mask is vectorised; selecting by the mask is ten times slower. What the mask leaves is
    # exact: dy - dy or dy - 0.
    n, h, half, c = left.shape
    dlarger = aligned_empty_like(left, dtype)
    np.multiply(dy, upper, out=dlarger[:, 0::2])
    np.subtract(dy, dlarger[:, 0::2], out=dlarger[:, 1::2])
    dx = aligned_empty_like(left, dtype, shape=(n, h, 2 * half, c))
    np.multiply(dlarger, left, out=dx[:, :, 0::2])
    np.subtract(dlarger, dx[:, :, 0::2], out=dx[:, :, 1::2])
    return dx
