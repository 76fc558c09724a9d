"""Winograd's gradients of small batches, batch-first: the windows of transformed rows as rows of matrices.

As in `minicnn.ops.conv_im2col`, the windows are copied, but only those of one row of pixels: kw * C values,
in place of kh * kw * C. There is a matrix for each point:

    cols = windows of B x                    (points, pixels, kw * C)
    dx = A.T @ (cols @ G kernel)             of dy and the rotated kernel
    dkernel = G.T @ (sum of  cols.T @ A dy)  over blocks of images and tiles of rows

A product reads the whole G kernel, or adds to the whole gradient, so it takes several tiles if they are
small.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from minicnn.ops.conv_im2col import BLOCK_BYTES, MIN_BLOCK_PIXELS
from minicnn.ops.memory import aligned_contiguous, aligned_empty, aligned_zeros
from minicnn.ops.windows import WindowPlan, strided_view
from minicnn.ops.winograd import ROWS, tiles, transforms


def backward_x(plan: WindowPlan, dy: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return dx (N, H, W, C): the convolution of dy with the rotated kernel."""
    dx_plan = plan.input_gradient_plan()
    assert dx_plan is not None
    kh, kw, filters, c = dx_plan.kernel_shape
    a, b, g = transforms(ROWS, kh, dy.dtype)
    # The rotated kernel, (kh, C, kw * F): a product reads it transposed as fast, and long runs are copied.
    rotated = kernel[::-1, ::-1].transpose(0, 2, 1, 3).reshape(kh, -1)
    gk = (g @ rotated).reshape(-1, c, kw * filters).swapaxes(1, 2)
    dx = aligned_empty(plan.x_shape, dy.dtype)
    for images, blocks, cols in _blocks(dx_plan, dy, b):
        products = (cols @ gk).reshape(len(g), len(blocks), -1, dx[0, 0].size)
        for t, rows in enumerate(blocks):
            out = dx[images, rows]
            np.matmul(
                a.T[: out.shape[1]], products[:, t].transpose(1, 0, 2), out=out.reshape(*out.shape[:2], -1)
            )
    return dx


def backward_kernel(plan: WindowPlan, dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dkernel (kh, kw, C, F)."""
    kh, kw, c, filters = plan.kernel_shape
    a, b, g = transforms(ROWS, kh, x.dtype)
    dgk: np.ndarray | None = None
    for images, blocks, cols in _blocks(plan, x, b):
        ady = aligned_empty((len(g), len(blocks), cols.shape[1] // len(blocks) * filters), x.dtype)
        for t, rows in enumerate(blocks):
            tile = dy[images, rows].swapaxes(0, 1)
            np.matmul(a[:, : len(tile)], tile.reshape(len(tile), -1), out=ady[:, t])
        part = cols.swapaxes(1, 2) @ ady.reshape(len(g), -1, filters)
        dgk = part if dgk is None else np.add(dgk, part, out=dgk)
    dgk = np.zeros((len(g), kw * c, filters), x.dtype) if dgk is None else dgk  # of an empty batch
    return (g.T @ dgk.reshape(len(g), -1)).reshape(plan.kernel_shape)


def _blocks(
    plan: WindowPlan, x: np.ndarray, b: np.ndarray
) -> Iterator[tuple[slice, list[slice], np.ndarray]]:
    """Yield images, the output rows of some tiles, and the transformed windows that these need.

    The windows are (points, tiles * images * columns, kw * C); the next block overwrites them.
    """
    n, _, w, c = x.shape
    (kh, kw), left = plan.kernel_shape[:2], plan.pads[1][0]
    x = aligned_contiguous(x)
    all_tiles = list(tiles(plan, b))
    # As many values as in a block of im2col: there are `points` matrices of kw columns, not one of kh * kw.
    pixels = max(MIN_BLOCK_PIXELS * kh // len(b), BLOCK_BYTES // (len(b) * kw * c * x.itemsize))
    count = min(n, max(1, pixels // plan.ow))
    together = min(len(all_tiles), max(1, pixels // (count * plan.ow)))
    padded = len(b), together, count, w + sum(plan.pads[1]), c
    bx = aligned_zeros(padded, x.dtype, small=False)  # columns of padding stay zero
    windows = strided_view(bx, (*bx.shape[:3], plan.ow, kw, c), (*bx.strides[:4], *bx.strides[3:]))
    cols = aligned_empty((len(b) * together * count * plan.ow * kw * c,), x.dtype)
    for start in range(0, n, count):
        images = slice(start, min(start + count, n))
        size = images.stop - start
        for first in range(0, len(all_tiles), together):
            some = all_tiles[first : first + together]
            for t, (_, inputs, columns) in enumerate(some):
                transformed = columns @ x[images, inputs].reshape(size, -1, w * c)
                bx[:, t, :size, left : left + w] = transformed.reshape(size, len(b), w, c).swapaxes(0, 1)
            shape = len(b), len(some), size, plan.ow, kw, c
            block = cols[: math.prod(shape)].reshape(shape)
            block[...] = windows[:, : len(some), :size]
            yield images, [rows for rows, _, _ in some], block.reshape(len(b), -1, kw * c)
