"""Convolution of few images, batch-first: the windows as rows of a matrix ("im2col").

    cols = windows of x             (pixels, kh * kw * C), one row for each output pixel
    y = cols @ kernel               the kernel as it lies in memory, (kh * kw * C, F)
    dkernel = cols.T @ dy
    dx = scatter(dy @ kernel.T)     each cell of each window is added back to where it was taken from

With strides of 1, dx is also a convolution of dy, by the kernel turned by 180 degrees. To gather is faster
than to scatter, but it is windows of dy that are gathered: so this is the way where there are no more filters
than channels, and not so many that few windows fit into the cache.

What is scattered are runs of memory, over the channels of a cell. Where these are few, as the three of a
picture, that product is computed transposed, kernel @ dy.T: then the same cell of all windows lies side by
side, and the runs go over pixels.

The matrix of all windows would be kh * kw times the images; it is made for some of them, or for some
rows of one, at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from minicnn.ops.windows import WindowPlan, crop, pad, view

# Bytes of windows at a time: so many that they are still in a core's cache, beside the kernel and the result,
# when they are multiplied.
BLOCK_BYTES = 1 << 20

# The same where what is scattered runs over pixels. That takes many additions, each of a small part of a
# block, and threads wait for each other between them: so there, blocks are larger and additions fewer.
COL2IM_BYTES = 1 << 23

# So many pixels at least in a block, where a window is large: with each block the whole kernel is read, or
# the whole of its gradient added up, which must be little beside the product.
MIN_BLOCK_PIXELS = 512

MAX_ROTATED_FILTERS = 256  # filters up to which dx is computed as a convolution
FEW_CHANNELS = 16  # up to which what is scattered runs over pixels


def forward(plan: WindowPlan, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """Return y (N, OH, OW, F)."""
    matrix = _matrix(plan, kernel)
    y = np.empty(plan.y_shape, x.dtype)
    for block, cols in _im2col_blocks(plan, x):
        np.matmul(cols, matrix, out=_pixels(plan, y[block]))
        if bias is not None:
            y[block] += bias
    return y


def backward_kernel(plan: WindowPlan, dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dkernel (kh, kw, C / G, F)."""
    kh, kw, c, filters = plan.kernel_shape
    dmatrix = np.zeros((plan.groups, kh * kw * c, plan.group_filters), x.dtype)
    for block, cols in _im2col_blocks(plan, x):
        dmatrix += cols.transpose(0, 2, 1) @ _pixels(plan, dy[block])
    return dmatrix.transpose(1, 0, 2).reshape(kh, kw, c, filters)


def backward_bias(dy: np.ndarray) -> np.ndarray:
    """Return dbias (F,)."""
    return np.ascontiguousarray(dy).sum(axis=(0, 1, 2))


def backward_x(plan: WindowPlan, dy: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return dx (N, H, W, C)."""
    few_filters = plan.kernel_shape[3] <= min(plan.x_shape[3], MAX_ROTATED_FILTERS)
    if few_filters and (turned := plan.input_gradient_plan()) is not None:
        return forward(turned, dy, _rotated_kernel(plan, kernel), None)
    return _col2im(plan, dy, kernel)


def _col2im(plan: WindowPlan, dy: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return dx (N, H, W, C), each window's gradient added to the cells that the window was taken from."""
    kh, kw, c, _ = plan.kernel_shape
    n, _, _, channels = plan.x_shape
    matrix = _matrix(plan, kernel)
    # Not for kernels of one pixel, which overlap nowhere; nor where groups would have to be copied together.
    over_pixels = channels <= FEW_CHANNELS and kh * kw > 1 and 1 in (plan.groups, c)
    if over_pixels:
        dpadded = np.zeros((channels, n, *plan.padded_size), dy.dtype).transpose(1, 2, 3, 0)
    else:
        dpadded = np.zeros((n, *plan.padded_size, channels), dy.dtype)
    for images, rows in _blocks(plan, dy.itemsize, COL2IM_BYTES if over_pixels else BLOCK_BYTES):
        block = dy[images, rows]
        pixels = _pixels(plan, block)
        if over_pixels:
            dcols = (matrix @ pixels.transpose(0, 2, 1)).transpose(0, 2, 1)
        else:
            dcols = pixels @ matrix.transpose(0, 2, 1)
        dcols = dcols.reshape(plan.groups, *block.shape[:3], kh, kw, c)
        # Windows overlap, and one += must not: the same cell of different windows never does.
        for i in range(kh):
            for j in range(kw):
                cells = dpadded[images, plan.input_rows(rows, i), plan.input_columns(j)]
                cells += dcols[..., i, j, :].transpose(1, 2, 3, 0, 4).reshape(cells.shape)
    return np.ascontiguousarray(crop(dpadded, plan.pads))  # as x lies, and as the layer before expects it


def _blocks(plan: WindowPlan, itemsize: int, block_bytes: int) -> Iterator[tuple[slice, slice]]:
    """Yield ranges of images and of output rows: some images or, where these are large, parts of one."""
    n = plan.x_shape[0]
    window_bytes = plan.x_shape[3] * math.prod(plan.kernel_shape[:2]) * itemsize
    pixels = max(block_bytes // window_bytes, MIN_BLOCK_PIXELS)
    count = max(1, pixels // (plan.oh * plan.ow))
    row_count = max(1, pixels // plan.ow)
    for first in range(0, n, count):
        for row in range(0, plan.oh, row_count):
            yield slice(first, min(first + count, n)), slice(row, min(row + row_count, plan.oh))


def _im2col_blocks(plan: WindowPlan, x: np.ndarray) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
    """Yield such ranges, and their windows as rows of a matrix, (G, pixels, kh * kw * C / G)."""
    kh, kw, c, _ = plan.kernel_shape
    (sh, sw), (dh, dw) = plan.strides, plan.dilation
    padded = pad(np.ascontiguousarray(x), plan.pads)
    image, row, column, channel = padded.strides
    windows = view(
        padded,
        (plan.groups, plan.x_shape[0], plan.oh, plan.ow, kh, kw, c),
        (c * channel, image, sh * row, sw * column, dh * row, dw * column, channel),
    )
    for images, rows in _blocks(plan, x.itemsize, BLOCK_BYTES):
        block = windows[:, images, rows]
        yield (images, rows), block.reshape(plan.groups, math.prod(block.shape[1:4]), -1)


def _pixels(plan: WindowPlan, block: np.ndarray) -> np.ndarray:
    """Return a block of y or dy, (images, rows, OW, F), as matrices (G, pixels, F / G).

    Of y it is a view, to write into: a block is whole images, or rows of one, so one piece of memory.
    """
    return np.ascontiguousarray(block).reshape(-1, plan.groups, plan.group_filters).transpose(1, 0, 2)


def _rotated_kernel(plan: WindowPlan, kernel: np.ndarray) -> np.ndarray:
    """Return the kernel that leads from dy to dx, (kh, kw, F / G, C): turned, with channels for filters."""
    kh, kw, c, _ = plan.kernel_shape
    turned = kernel[::-1, ::-1].reshape(kh, kw, c, plan.groups, plan.group_filters)
    return np.ascontiguousarray(turned.transpose(0, 1, 4, 3, 2)).reshape(kh, kw, plan.group_filters, -1)


def _matrix(plan: WindowPlan, kernel: np.ndarray) -> np.ndarray:
    """Return the kernel as a matrix for each group, (G, kh * kw * C / G, F / G)."""
    return kernel.reshape(-1, plan.groups, plan.group_filters).transpose(1, 0, 2)
