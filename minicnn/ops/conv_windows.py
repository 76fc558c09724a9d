"""Convolution of large batches, batch-last: the windows are matrices in memory, and little is copied.

Images lie as (H, W, C, N). Within one row of pixels, the kw columns of a window are contiguous: a matrix of
kw * C rows and N columns. The window of the next pixel begins C rows further in the same memory, and one call
of `matmul` takes the stack of all these overlapping matrices. Only the rows of a window must be copied
together, so the image is copied kh times, not kh * kw times as by im2col.

    y[r, q] = kernel (F, kw * kh * C) @ rows[r][window q] (kw * kh * C, N)

This is MEC, memory-efficient convolution (Cho and Brand 2017), but batch-last: batch-first, `matmul` would
copy overlapping windows. dx is computed in the same way from dy, along rows; the kernel's rows are summed
afterwards:

    drows[r, w] = kernel with reversed columns (kh * C, kw * F) @ dy[r][window w] (kw * F, N)
    dx[r * stride + i] += drows[r][kernel row i]

For dkernel the product sums over a row of pixels and all images, so these are the innermost axes; then the
rows of a window are contiguous, and x is copied once:

    dkernel[j] += dy[r] (F, OW * N) @ x[r * stride, ...] (kh * C, OW * N, from column j on).T

With strides, every second (third, ...) window is taken. For the gradients the columns are split by phase,
their remainder modulo the stride, since columns of one phase meet the same columns of the kernel. Dilation in
height is free, except for dkernel, where the rows are then multiplied one by one. Dilation in width is left
to `minicnn.ops.conv_windows_dilated`.
"""

import math

import numpy as np

from minicnn.ops.memory import aligned_contiguous, aligned_empty, aligned_zeros
from minicnn.ops.padding import Pads
from minicnn.ops.sums import channel_sums, sum_stacked_products
from minicnn.ops.windows import WindowPlan, batch_first, batch_last, crop, pad, rotated_kernel, strided_view


def forward(plan: WindowPlan, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """Return y (N, OH, OW, F), batch-last in memory."""
    n, g = plan.x_shape[0], plan.groups
    kh, kw, c, filters = kernel.shape
    matrix = kernel.transpose(3, 1, 0, 2).reshape(g, 1, filters // g, kw * kh * c)
    padded = padded_batch_last(x, plan.pads)
    width, (row, column, value, image) = padded.shape[1], padded.strides
    y = aligned_empty((plan.oh, plan.ow, g, filters // g, n), x.dtype)
    if bias is not None:  # repeated for a whole row of pixels: sums over long runs of memory are faster
        bias = np.tile(np.repeat(bias, n), plan.ow).reshape(y.shape[1:])
    for rows in plan.blocks(g * width * kh * c * n * x.itemsize):
        lowered = strided_view(  # (rows, G, W, kh, C / G, N)
            padded,
            (rows.stop - rows.start, g, width, kh, c, n),
            (row * plan.strides[0], c * value, column, row * plan.dilation[0], value, image),
            rows.start * plan.strides[0] * row,
        )
        windows = _window_matrices(aligned_contiguous(lowered), plan.ow, plan.strides[1], kw)
        np.matmul(matrix, windows, out=y[rows].transpose(0, 2, 1, 3, 4))
        if bias is not None:
            y[rows] += bias
    return batch_first(y.reshape(plan.oh, plan.ow, filters, n))


def backward_x(plan: WindowPlan, dy: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return dx (N, H, W, C), batch-last in memory.

    One function, since a block of rows goes through all steps while it is in the cache.
    """
    # 1x1 kernels need no copy, and in groups the sums below take longer than the products: here dx is faster
    # as the convolution of dy with the rotated kernel.
    rotate = kernel.shape[0] == 1 or plan.groups > 1
    if rotate and (dx_plan := plan.input_gradient_plan()) is not None:
        return forward(dx_plan, dy, rotated_kernel(plan, kernel), None)
    n, g, stride = plan.x_shape[0], plan.groups, plan.strides[1]
    kh, kw, c, filters = kernel.shape
    height, width = plan.padded_size
    steps = -(-width // stride)  # columns of each phase
    reach = -(-kw // stride)  # largest number of windows that contain a column
    # Zeros before and after each row of dy stand for the windows that the columns at the edges do not have.
    wide = padded_batch_last(dy, ((0, 0), (reach - 1, steps - plan.ow)))
    wide = wide.reshape(plan.oh, -1, g, filters // g, n).transpose(0, 2, 1, 3, 4)
    wide = aligned_contiguous(wide)  # (OH, G, W, F / G, N)
    dpadded = aligned_zeros((height, stride * steps, g, c, n), dy.dtype, small=False)
    for rows in plan.blocks(g * stride * steps * kh * c * n * dy.itemsize):
        drows = aligned_empty((rows.stop - rows.start, g, steps, stride, kh * c, n), dy.dtype)
        for phase in range(stride):
            columns = kernel[:, phase::stride][:, ::-1]  # (kh, columns, C / G, F)
            count = columns.shape[1]
            matrix = columns.reshape(kh, count, c, g, filters // g).transpose(3, 0, 2, 1, 4)
            matrix = matrix.reshape(g, 1, kh * c, count * filters // g)
            windows = _window_matrices(wide[rows], steps, 1, count, reach - count)
            np.matmul(matrix, windows, out=drows[:, :, :, phase])
        drows = drows.reshape(-1, g, stride * steps, kh, c, n)
        # Different output rows meet the same row of the image, but not for one i.
        for i in range(kh):
            dpadded[plan.input_rows(i, rows)] += drows[:, :, :, i].transpose(0, 2, 1, 3, 4)
    dpadded = dpadded[:, :width].reshape(height, width, g * c, n)
    return crop(batch_first(dpadded), plan.pads)


def backward_kernel(plan: WindowPlan, dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dkernel (kh, kw, C / G, F)."""
    n, g, stride = plan.x_shape[0], plan.groups, plan.strides[1]
    kh, kw, c, filters = plan.kernel_shape
    phases, reach = min(stride, kw), -(-kw // stride)
    steps = plan.ow + reach - 1
    image = _split_by_stride_phase(plan, x, phases, steps)
    group, phase, row, channel, column, value = image.strides
    dy = batch_last(dy).reshape(plan.oh, plan.ow, g, filters // g, n)
    # The rows of a window are one matrix of kh * C rows; with dilation, kh matrices of C rows.
    together = kh if plan.dilation[0] == 1 else 1
    dmatrix = np.zeros((g, reach, phases, kh // together, filters // g, together * c), x.dtype)
    for rows in plan.blocks(max(dy[0].nbytes, dmatrix.nbytes)):
        count = rows.stop - rows.start
        dpixels = dy[rows].transpose(0, 2, 3, 1, 4).reshape(count, g, 1, 1, 1, filters // g, plan.ow * n)
        windows = strided_view(
            image,
            (count, g, reach, phases, kh // together, plan.ow * n, together * c),
            (row * plan.strides[0], group, column, phase, row * plan.dilation[0], value, channel),
            rows.start * plan.strides[0] * row,
        )
        dmatrix += sum_stacked_products(dpixels, windows)
    # (G, reach, phase, i, F / G, more of i, C / G) -> (kh, column, C / G, G, F / G)
    dkernel = dmatrix.reshape(g, reach * phases, kh // together, filters // g, together, c)
    dkernel = dkernel.transpose(2, 4, 1, 5, 0, 3).reshape(kh, reach * phases, c, filters)
    return dkernel[:, :kw]


def backward_bias(dy: np.ndarray) -> np.ndarray:
    """Return dbias (F,)."""
    return channel_sums(batch_first(batch_last(dy)))


def padded_batch_last(images: np.ndarray, pads: Pads) -> np.ndarray:
    """Return images (N, H, W, C) with zeros around them as (H, W, C, N), contiguous; read-only."""
    # Transposed before they are padded: padded rows are often a power of two of bytes apart, and transposing
    # them causes cache conflicts.
    return batch_last(pad(batch_first(batch_last(images)), pads))


def _split_by_stride_phase(plan: WindowPlan, x: np.ndarray, phases: int, steps: int) -> np.ndarray:
    """Return the padded image with its columns grouped by phase, their remainder modulo the stride.

    It is (G, phase, H, C / G, steps, N), contiguous: column = stride * step + phase.
    """
    n, _, width, _ = plan.x_shape
    g, c, stride = plan.groups, plan.kernel_shape[2], plan.strides[1]
    (top, bottom), (left, _) = plan.pads
    height = plan.padded_size[0]
    image = aligned_zeros((g, phases, height, c, steps, n), x.dtype, small=False)
    x = x.transpose(1, 2, 3, 0).reshape(-1, width, g, c, n).transpose(2, 0, 3, 1, 4)  # (G, H, C / G, W, N)
    for phase in range(phases):
        first = (phase - left) % stride  # the first column of x in this phase
        step = (left + first) // stride
        columns = x[:, :, :, first::stride][:, :, :, : steps - step]
        image[:, phase, top : height - bottom, :, step : step + columns.shape[3]] = columns
    return image


def _window_matrices(pixels: np.ndarray, count: int, step: int, width: int, first: int = 0) -> np.ndarray:
    """Return windows of `width` pixels, `step` apart, as matrices: (rows, G, count, width * C, N), a view.

    `pixels` are (rows, G, W, ..., N), contiguous; the axes in between are the values of a pixel.
    """
    rows, groups, _, *values, n = pixels.shape
    size = math.prod(values)
    pixels = pixels.reshape(rows, groups, -1, n)
    row, group, value, image = pixels.strides
    return strided_view(
        pixels,
        (rows, groups, count, width * size, n),
        (row, group, step * size * value, value, image),
        first * size * value,
    )
