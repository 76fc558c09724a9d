"""Convolution by im2col, for small batches: batch-first, with the windows as rows of a matrix.

    cols = im2col(x)               (pixels, kh * kw * C), one row per output pixel
    y = cols @ kernel              the kernel as it lies in memory, (kh * kw * C, F)
    dkernel = cols.T @ dy
    dx = col2im(dy @ kernel.T)     adds each cell of each window to the pixel it was copied from

With strides of 1, dx is also a convolution of dy with the rotated kernel. im2col is faster than col2im, but
its columns are windows of dy. So dx is computed as a convolution if there are at most as many filters as
channels, and few enough that many windows fit into the cache.

col2im adds runs of memory over the channels of a cell. If there are few channels, as the three of a colour
image, the product is computed transposed, kernel @ dy.T: then the same cell of all windows is contiguous, and
the runs are over pixels.

The matrix of all windows is kh * kw times as large as the images (Chellapilla, Puri and Simard 2006), so it
is built in blocks of some images, or of some rows of one.
"""

import math
from collections.abc import Iterator

import numpy as np

from minicnn.ops.memory import aligned_contiguous, aligned_empty, aligned_zeros
from minicnn.ops.sums import channel_sums, sum_products
from minicnn.ops.windows import WindowPlan, crop, pad, rotated_kernel, strided_view

# Bytes of windows in a block: they are still in a core's cache, with the kernel and the result, when they are
# multiplied.
BLOCK_BYTES = 1 << 20

# The same for col2im over pixels. It takes many additions, each of a small part of a block, and threads wait
# for each other between them: with larger blocks there are fewer additions.
COL2IM_BYTES = 1 << 23

# Lower limit of the output pixels in a block, for large windows: each block reads the whole kernel, or adds
# to its whole gradient, which must cost little compared with the product.
MIN_BLOCK_PIXELS = 512

MAX_ROTATED_FILTERS = 256  # up to which dx is computed as a convolution
FEW_CHANNELS = 16  # up to which col2im runs over pixels


def forward(plan: WindowPlan, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """Return y (N, OH, OW, F)."""
    matrix = _matrix(plan, kernel)
    y = aligned_empty(plan.y_shape, x.dtype)
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
        dmatrix += sum_products(cols, _pixels(plan, dy[block]))
    return dmatrix.transpose(1, 0, 2).reshape(kh, kw, c, filters)


def backward_bias(dy: np.ndarray) -> np.ndarray:
    """Return dbias (F,)."""
    return channel_sums(np.ascontiguousarray(dy))


def backward_x(plan: WindowPlan, dy: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return dx (N, H, W, C)."""
    few_filters = plan.kernel_shape[3] <= min(plan.x_shape[3], MAX_ROTATED_FILTERS)
    if few_filters and (dx_plan := plan.input_gradient_plan()) is not None:
        return forward(dx_plan, dy, rotated_kernel(plan, kernel), None)
    return _col2im(plan, dy, kernel)


def _col2im(plan: WindowPlan, dy: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return dx (N, H, W, C): the gradient of each cell of each window, added to its pixel."""
    kh, kw, c, _ = plan.kernel_shape
    n, _, _, channels = plan.x_shape
    matrix = _matrix(plan, kernel)
    # Not for 1x1 kernels, whose windows do not overlap, nor where the groups would have to be copied.
    over_pixels = channels <= FEW_CHANNELS and kh * kw > 1 and 1 in (plan.groups, c)
    if over_pixels:
        dpadded = aligned_zeros((channels, n, *plan.padded_size), dy.dtype, small=False).transpose(1, 2, 3, 0)
    else:
        dpadded = aligned_zeros((n, *plan.padded_size, channels), dy.dtype, small=False)
    for images, rows in _blocks(plan, dy.itemsize, COL2IM_BYTES if over_pixels else BLOCK_BYTES):
        block = dy[images, rows]
        pixels = _pixels(plan, block)
        if over_pixels:
            dcols = (matrix @ pixels.transpose(0, 2, 1)).transpose(0, 2, 1)
        else:
            dcols = pixels @ matrix.transpose(0, 2, 1)
        dcols = dcols.reshape(plan.groups, *block.shape[:3], kh, kw, c)
        # Windows overlap, but the same cell of different windows does not: one += per cell is safe.
        for i in range(kh):
            for j in range(kw):
                cells = dpadded[images, plan.input_rows(i, rows), plan.input_columns(j)]
                cells += dcols[..., i, j, :].transpose(1, 2, 3, 0, 4).reshape(cells.shape)
    return aligned_contiguous(crop(dpadded, plan.pads))  # batch-first, as x


def _blocks(plan: WindowPlan, itemsize: int, block_bytes: int) -> Iterator[tuple[slice, slice]]:
    """Yield (images, output rows), as slices: some images or, if they are large, some rows of one."""
    n = plan.x_shape[0]
    window_bytes = plan.x_shape[3] * math.prod(plan.kernel_shape[:2]) * itemsize
    pixels = max(block_bytes // window_bytes, MIN_BLOCK_PIXELS)
    if math.prod(plan.kernel_shape[:2]) == 1:  # nothing is copied, so that reading the kernel costs more
        pixels = max(pixels, 4 * block_bytes // (window_bytes + plan.kernel_shape[3] * itemsize))
    count = max(1, pixels // (plan.oh * plan.ow))
    row_count = max(1, pixels // plan.ow)
    for first in range(0, n, count):
        for row in range(0, plan.oh, row_count):
            yield slice(first, min(first + count, n)), slice(row, min(row + row_count, plan.oh))


def _im2col_blocks(plan: WindowPlan, x: np.ndarray) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
    """Yield each block and its windows as rows of a matrix, (G, pixels, kh * kw * C / G)."""
    kh, kw, c, _ = plan.kernel_shape
    (sh, sw), (dh, dw) = plan.strides, plan.dilation
    padded = pad(aligned_contiguous(x), plan.pads)
    image, row, column, channel = padded.strides
    windows = strided_view(
        padded,
        (plan.groups, plan.x_shape[0], plan.oh, plan.ow, kh, kw, c),
        (c * channel, image, sh * row, sw * column, dh * row, dw * column, channel),
    )
    for images, rows in _blocks(plan, x.itemsize, BLOCK_BYTES):
        block = windows[:, images, rows]
        yield (images, rows), block.reshape(plan.groups, math.prod(block.shape[1:4]), -1)


def _pixels(plan: WindowPlan, block: np.ndarray) -> np.ndarray:
    """Return a block of y or dy, (images, rows, OW, F), as matrices (G, pixels, F / G).

    For y it is a writable view: a block of whole images, or of rows of one, is contiguous.
    """
    return np.ascontiguousarray(block).reshape(-1, plan.groups, plan.group_filters).transpose(1, 0, 2)


def _matrix(plan: WindowPlan, kernel: np.ndarray) -> np.ndarray:
    """Return the kernel as a matrix for each group, (G, kh * kw * C / G, F / G)."""
    return kernel.reshape(-1, plan.groups, plan.group_filters).transpose(1, 0, 2)
