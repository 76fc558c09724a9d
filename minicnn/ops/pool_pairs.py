"""Max pooling with 2x2 windows that tile the images: the larger of two neighbours, then of two rows.

The forward pass keeps the outcome of both comparisons, a byte each. The gradient follows them: no value is
compared again, and neither the images nor the output are kept. The first of equal maxima in row-major order
gets the gradient. Large batches go through all steps in blocks of rows, which stay in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from minicnn.ops.memory import aligned_empty_like
from minicnn.ops.padding import Pads, Pair, check_images, pair
from minicnn.validation import check_dy_shape

BLOCK_BYTES = 1 << 19  # of the images in a block of rows


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
    if x.nbytes <= BLOCK_BYTES:
        return _pool(x)
    n, h, w, c = x.shape
    y = aligned_empty_like(x, shape=(n, h // 2, w // 2, c))
    left, upper = np.empty_like(y, bool, shape=(n, h, w // 2, c)), np.empty_like(y, bool)
    for rows, half in _blocks(x):
        _pool(x[:, rows], y[:, half], left[:, rows], upper[:, half])
    return y, Comparisons(left, upper, x.dtype)


def _pool(
    x: np.ndarray,
    y: np.ndarray | None = None,
    left: np.ndarray | None = None,
    upper: np.ndarray | None = None,
) -> tuple[np.ndarray, Comparisons]:
    """Return the same, written to these arrays if they are given."""
    pairs = x[:, :, 0::2], x[:, :, 1::2]
    larger = np.maximum(*pairs, out=aligned_empty_like(pairs[0]))
    left = np.greater_equal(*pairs, out=left)
    pairs = larger[:, 0::2], larger[:, 1::2]
    return np.maximum(*pairs, out=y), Comparisons(left, np.greater_equal(*pairs, out=upper), x.dtype)


def max_pool_pairs_backward(dy: np.ndarray, comparisons: Comparisons) -> np.ndarray:
    """Return dx (N, H, W, C), in the memory layout of the images."""
    left, upper, dtype = comparisons
    check_dy_shape(dy, upper.shape)
    if dy.strides != tuple(dtype.itemsize * stride for stride in upper.strides):  # another layout, or dtype
        dy, given = aligned_empty_like(upper, dtype), dy
        dy[...] = given
    n, h, half_width, c = left.shape
    dx = aligned_empty_like(left, dtype, shape=(n, h, 2 * half_width, c))
    if dx.nbytes <= BLOCK_BYTES:
        _unpool(dy, left, upper, dx)
        return dx
    for rows, half in _blocks(dx):
        _unpool(dy[:, half], left[:, rows], upper[:, half], dx[:, rows])
    return dx


def _unpool(dy: np.ndarray, left: np.ndarray, upper: np.ndarray, dx: np.ndarray) -> None:
    """Write the gradient to `dx`."""
    # A product with a mask is vectorised; selecting by the mask is ten times slower. What the mask leaves is
    # exact: dy - dy or dy - 0.
    dlarger = aligned_empty_like(left, dx.dtype)
    np.multiply(dy, upper, out=dlarger[:, 0::2])
    np.subtract(dy, dlarger[:, 0::2], out=dlarger[:, 1::2])
    np.multiply(dlarger, left, out=dx[:, :, 0::2])
    np.subtract(dlarger, dx[:, :, 0::2], out=dx[:, :, 1::2])


def _blocks(images: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Yield ranges of rows that are pooled while they are in the cache, and those of the result."""
    height = images.shape[1]
    count = max(1, BLOCK_BYTES * height // (2 * images.nbytes))
    for start in range(0, height // 2, count):
        stop = min(start + count, height // 2)
        yield slice(2 * start, 2 * stop), slice(start, stop)
