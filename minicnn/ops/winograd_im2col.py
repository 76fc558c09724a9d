"""Winograd's gradients of small batches, batch-first: the windows of transformed rows as rows of matrices.

As in `minicnn.ops.conv_im2col`, the windows are copied, but only those of one row of pixels: kw * C values,
in place of kh * kw * C. There is a matrix for each point:

    cols = windows of B x                    (points, pixels, kw * C)
    dx = A.T @ (cols @ G kernel)             of dy and the rotated kernel
    dkernel = G.T @ (sum of  cols.T @ A dy)  over blocks of images and tiles of rows
"""

from collections.abc import Iterator

import numpy as np

from minicnn.ops.conv_im2col import BLOCK_BYTES, MIN_BLOCK_PIXELS
from minicnn.ops.windows import WindowPlan, rotated_kernel, strided_view
from minicnn.ops.winograd import ROWS, tiles, transforms


def backward_x(plan: WindowPlan, dy: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return dx (N, H, W, C): the convolution of dy with the rotated kernel."""
    dx_plan = plan.input_gradient_plan()
    assert dx_plan is not None
    kh, kw, filters, c = dx_plan.kernel_shape
    a, b, g = transforms(ROWS, kh, dy.dtype)
    gk = (g @ rotated_kernel(plan, kernel).reshape(kh, -1)).reshape(-1, kw * filters, c)
    dx = np.empty(plan.x_shape, dy.dtype)
    for images, rows, cols in _blocks(dx_plan, dy, b):
        products = (cols @ gk).reshape(len(g), -1, dx[0, 0].size).transpose(1, 0, 2)
        out = dx[images, rows]
        np.matmul(a.T[: out.shape[1]], products, out=out.reshape(*out.shape[:2], -1))
    return dx


def backward_kernel(plan: WindowPlan, dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dkernel (kh, kw, C, F)."""
    kh, kw, c, filters = plan.kernel_shape
    a, b, g = transforms(ROWS, kh, x.dtype)
    dgk = np.zeros((len(g), kw * c, filters), x.dtype)
    for images, rows, cols in _blocks(plan, x, b):
        tile = dy[images, rows].swapaxes(0, 1)
        ady = a[:, : len(tile)] @ tile.reshape(len(tile), -1)
        dgk += cols.swapaxes(1, 2) @ ady.reshape(len(g), -1, filters)
    return (g.T @ dgk.reshape(len(g), -1)).reshape(plan.kernel_shape)


def _blocks(plan: WindowPlan, x: np.ndarray, b: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Yield images, a tile of output rows, and the transformed windows that they need.

    The windows are (points, pixels, kw * C); the next block overwrites them.
    """
    n, _, w, c = x.shape
    (kh, kw), left = plan.kernel_shape[:2], plan.pads[1][0]
    x = np.ascontiguousarray(x)
    # As many values as in a block of im2col: there are `points` matrices of kw columns, not one of kh * kw.
    pixels = max(MIN_BLOCK_PIXELS * kh // len(b), BLOCK_BYTES // (len(b) * kw * c * x.itemsize))
    count = min(n, max(1, pixels // plan.ow))
    bx = np.zeros((len(b), count, w + sum(plan.pads[1]), c), x.dtype)  # its columns of padding stay zero
    point, image, column, channel = bx.strides
    windows = strided_view(bx, (len(b), count, plan.ow, kw, c), (point, image, column, column, channel))
    cols = np.empty((len(b), count * plan.ow, kw * c), x.dtype)
    for start in range(0, n, count):
        images = slice(start, min(start + count, n))
        size = images.stop - start
        some = cols[:, : size * plan.ow]
        for rows, inputs, columns in tiles(plan, b):
            transformed = columns @ x[images, inputs].reshape(size, -1, w * c)
            bx[:, :size, left : left + w] = transformed.reshape(size, len(b), w, c).swapaxes(0, 1)
            some.reshape(len(b), size, plan.ow, kw, c)[...] = windows[:, :size]
            yield images, rows, some
