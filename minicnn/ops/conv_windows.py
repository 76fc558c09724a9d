"""Convolution of many images, batch-last: a window is a matrix already, and hardly anything is copied.

Images lie as (H, W, C, N). In one row of pixels, the kw columns under a window are one piece of memory, a
matrix of kw * C rows and N columns; the window of the next pixel begins C rows further down in the same
memory. The matrix product takes such overlapping pieces as they are, a stack of them in one call. Only the
rows under the kernel must be brought together: the image is copied kh times, not kh * kw times.

    y[r, q] = kernel (F, kw * kh * C) @ rows[r][window q] (kw * kh * C, N)

(Cho and Brand 2017, "MEC", do so batch-first, where NumPy's product would have to copy what overlaps.)
For dx the same is done to dy, along a row only; the kernel's rows are added up afterwards:

    drows[r, w] = kernel, its columns reversed (kh * C, kw * F) @ dy[r][window w] (kw * F, N)
    dx[r * stride + i] += drows[r][kernel row i]

For dkernel the product sums over a whole row of pixels and all images, so these are innermost there; the
rows of the image are then one piece of memory already, and x is copied once:

    dkernel[j] += dy[r] (F, OW * N) @ x[r * stride, ...] (kh * C, OW * N, beginning at column j).T

Strides take every second (third, ...) window; for the gradients the columns are sorted by their remainder
modulo the stride, since equal remainders meet the same columns of the kernel. Dilation in height costs
nothing, except in dkernel, where the rows are then multiplied one by one. In width there is none here, see
`minicnn.ops.conv_windows_dilated`.
"""

from __future__ import annotations

import math

import numpy as np

from minicnn.ops.padding import Pads
from minicnn.ops.windows import WindowPlan, batch_first, batch_last, crop, pad, view


def forward(plan: WindowPlan, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """Return y (N, OH, OW, F), batch-last in memory."""
    n, g = plan.x_shape[0], plan.groups
    kh, kw, c, filters = kernel.shape
    matrix = kernel.transpose(3, 1, 0, 2).reshape(g, 1, filters // g, kw * kh * c)
    padded = _padded(x, plan.pads)
    width = padded.shape[1]
    y = np.empty((plan.oh, plan.ow, g, filters // g, n), x.dtype)
    if bias is not None:  # that of a whole row of pixels, since a sum of long runs of memory is quicker
        bias = np.tile(np.repeat(bias, n), plan.ow).reshape(y.shape[1:])
    for rows in plan.blocks(g * width * kh * c * n * x.itemsize):
        lowered = _kernel_rows(plan, padded, rows).transpose(0, 3, 2, 1, 4, 5)
        lowered = np.ascontiguousarray(lowered)  # (rows, G, W, kh, C / G, N)
        np.matmul(
            matrix,
            _window_matrices(lowered, plan.ow, plan.strides[1], kw),
            out=y[rows].transpose(0, 2, 1, 3, 4),
        )
        if bias is not None:
            y[rows] += bias
    return batch_first(y.reshape(plan.oh, plan.ow, filters, n))


def backward_x(plan: WindowPlan, dy: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return dx (N, H, W, C), batch-last in memory."""
    n, g, stride = plan.x_shape[0], plan.groups, plan.strides[1]
    kh, kw, c, filters = kernel.shape
    height, width = plan.padded_size
    steps = -(-width // stride)  # columns of each remainder
    reach = -(-kw // stride)  # windows that a column is in, at most
    # With zeros before and after each row of dy, every column of x finds all its windows.
    wide = _padded(dy, ((0, 0), (reach - 1, steps - plan.ow)))
    wide = wide.reshape(plan.oh, -1, g, filters // g, n).transpose(0, 2, 1, 3, 4)
    wide = np.ascontiguousarray(wide)  # (OH, G, W, F / G, N)
    dpadded = np.zeros((height, stride * steps, g, c, n), dy.dtype)
    for rows in plan.blocks(g * stride * steps * kh * c * n * dy.itemsize):
        drows = np.empty((rows.stop - rows.start, g, steps, stride, kh * c, n), dy.dtype)
        for remainder in range(stride):
            columns = kernel[:, remainder::stride][:, ::-1]  # (kh, columns, C / G, F)
            count = columns.shape[1]
            matrix = columns.reshape(kh, count, c, g, filters // g).transpose(3, 0, 2, 1, 4)
            matrix = matrix.reshape(g, 1, kh * c, count * filters // g)
            windows = _window_matrices(wide[rows], steps, 1, count, reach - count)
            np.matmul(matrix, windows, out=drows[:, :, :, remainder])
        drows = drows.reshape(-1, g, stride * steps, kh, c, n)
        # Different rows of the output meet the same row of the image, but never with one i.
        for i in range(kh):
            dpadded[plan.input_rows(rows, i)] += drows[:, :, :, i].transpose(0, 2, 1, 3, 4)
    dpadded = dpadded[:, :width].reshape(height, width, g * c, n)
    return crop(batch_first(dpadded), plan.pads)


def backward_kernel(plan: WindowPlan, dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dkernel (kh, kw, C / G, F)."""
    n, g, stride = plan.x_shape[0], plan.groups, plan.strides[1]
    kh, kw, c, filters = plan.kernel_shape
    remainders, reach = min(stride, kw), -(-kw // stride)
    steps = plan.ow + reach - 1
    image = _split_by_stride_phase(plan, x, remainders, steps)
    group, remainder, row, channel, column, value = image.strides
    dy = batch_last(dy).reshape(plan.oh, plan.ow, g, filters // g, n)
    # The rows of the image under a window are a matrix of kh * C rows; with dilation, kh matrices of C rows.
    together = kh if plan.dilation[0] == 1 else 1
    dmatrix = np.zeros((g, reach, remainders, kh // together, filters // g, together * c), x.dtype)
    for rows in plan.blocks(max(dy[0].nbytes, dmatrix.nbytes)):
        count = rows.stop - rows.start
        dpixels = dy[rows].transpose(0, 2, 3, 1, 4).reshape(count, g, 1, 1, 1, filters // g, plan.ow * n)
        windows = view(
            image,
            (count, g, reach, remainders, kh // together, plan.ow * n, together * c),
            (row * plan.strides[0], group, column, remainder, row * plan.dilation[0], value, channel),
            rows.start * plan.strides[0] * row,
        )
        dmatrix += np.matmul(dpixels, windows).sum(axis=0)
    # (G, reach, remainder, i, F / G, more of i, C / G) -> (kh, column, C / G, G, F / G)
    dkernel = dmatrix.reshape(g, reach * remainders, kh // together, filters // g, together, c)
    dkernel = dkernel.transpose(2, 4, 1, 5, 0, 3).reshape(kh, reach * remainders, c, filters)
    return dkernel[:, :kw]


def backward_bias(dy: np.ndarray) -> np.ndarray:
    """Return dbias (F,)."""
    pixels = batch_last(dy)
    _, _, filters, n = pixels.shape
    # All pixels first, since that is a sum of long runs of memory: a product with ones, faster than a sum.
    pixels = pixels.reshape(-1, filters * n)
    return (np.ones(len(pixels), pixels.dtype) @ pixels).reshape(filters, n).sum(axis=1)


def _padded(images: np.ndarray, pads: Pads) -> np.ndarray:
    """Return images (N, H, W, C) with zeros around them as (H, W, C, N), contiguous; read only."""
    # First the layout, then the padding. The other way round rows are often a power of two of bytes apart,
    # and the transpose would fight for a few places in the cache.
    return batch_last(pad(batch_first(batch_last(images)), pads))


def _kernel_rows(plan: WindowPlan, padded: np.ndarray, rows: slice) -> np.ndarray:
    """Return the rows of the image under each row of the kernel, (rows, kh, W, G, C / G, N), a view."""
    kh, _, c, _ = plan.kernel_shape
    pixels = padded.reshape(*padded.shape[:2], plan.groups, c, -1)
    row, *inner = pixels.strides
    return view(
        pixels,
        (rows.stop - rows.start, kh, *pixels.shape[1:]),
        (row * plan.strides[0], row * plan.dilation[0], *inner),
        rows.start * plan.strides[0] * row,
    )


def _split_by_stride_phase(plan: WindowPlan, x: np.ndarray, remainders: int, steps: int) -> np.ndarray:
    """Return the padded image with columns of equal remainder modulo the stride side by side.

    It is (G, remainder, H, C / G, steps, N), contiguous: a column is a remainder and a step.
    """
    n, _, width, _ = plan.x_shape
    g, c, stride = plan.groups, plan.kernel_shape[2], plan.strides[1]
    (top, bottom), (left, _) = plan.pads
    height = plan.padded_size[0]
    image = np.zeros((g, remainders, height, c, steps, n), x.dtype)
    x = x.transpose(1, 2, 3, 0).reshape(-1, width, g, c, n).transpose(2, 0, 3, 1, 4)  # (G, H, C / G, W, N)
    for remainder in range(remainders):
        first = (remainder - left) % stride  # the first column of x with this remainder
        step = (left + first) // stride
        columns = x[:, :, :, first::stride][:, :, :, : steps - step]
        image[:, remainder, top : height - bottom, :, step : step + columns.shape[3]] = columns
    return image


def _window_matrices(pixels: np.ndarray, count: int, step: int, width: int, first: int = 0) -> np.ndarray:
    """Return windows of `width` pixels, `step` apart, as matrices: (rows, G, count, width * C, N), a view.

    `pixels` are (rows, G, W, ..., N), contiguous; what stands in the middle are a pixel's values.
    """
    rows, groups, _, *values, n = pixels.shape
    size = math.prod(values)
    pixels = pixels.reshape(rows, groups, -1, n)
    row, group, value, image = pixels.strides
    return view(
        pixels,
        (rows, groups, count, width * size, n),
        (row, group, step * size * value, value, image),
        first * size * value,
    )
