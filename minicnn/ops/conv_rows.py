"""Convolution of large batches with many channels: one product for each row of the kernel, and no copy.

As in `minicnn.ops.conv_windows`, the images are (H, W, C, N), and the kw columns of a window are contiguous
in one row of pixels. There the kh rows of a window are copied together; here each has its own product, and
the products are added:

    y[r, q] = sum over i of  kernel[i] (F, kw * C) @ x[r * stride + i][window q] (kw * C, N)

With few channels, the copy takes less time than the additions. With many channels it takes more, and small
products are faster besides: OpenBLAS multiplies small matrices where they lie, and copies large ones first.
So the filters are divided, too, until the products are small.

Each window of an image is the same column of a product of the same shape. So equal windows give bit-equal
outputs, and a window of zeros gives exactly the bias.
"""

import math

import numpy as np

from minicnn.ops.conv_windows import padded_batch_last
from minicnn.ops.memory import aligned_contiguous, aligned_empty
from minicnn.ops.windows import WindowPlan, batch_first, rotated_kernel, strided_view

BLOCK_BYTES = 800_000  # bytes of products before they are added: they are still in a core's cache then
SMALL_PRODUCT = 1_000_000  # multiplications up to which OpenBLAS takes its kernels for small matrices
MIN_PART = 8  # filters, below which a product is slow for another reason: the windows are read too often


def forward(plan: WindowPlan, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """Return y (N, OH, OW, F), batch-last in memory; for one group, without dilation in width.

    One function, since its loops share buffers, and the bias is added while the products are in the cache.
    """
    n, oh, ow, filters = plan.y_shape
    kh, kw, c, _ = plan.kernel_shape
    (top, _), sides = plan.pads
    padded = padded_batch_last(x, ((0, 0), sides))  # rows of zeros need no product
    # From the shape: NumPy leaves the strides of axes of length 1 open.
    row, pixel, value, image = (padded.itemsize * math.prod(padded.shape[i:]) for i in (1, 2, 3, 4))
    windows = strided_view(
        padded, (len(padded), ow, 1, kw * c, n), (row, plan.strides[1] * pixel, 0, value, image)
    )
    parts = small_parts(filters, kw * c * n)
    y = aligned_empty((oh, ow, parts, filters // parts, n), x.dtype)
    matrices = aligned_contiguous(kernel.transpose(0, 3, 1, 2)).reshape(kh, *y.shape[2:4], kw * c)
    count = min(ow, max(1, BLOCK_BYTES // (2 * y[0, 0].nbytes)))  # columns of pixels at a time
    products = aligned_empty((count, *y.shape[2:]), x.dtype)
    if bias is not None:
        bias = np.tile(np.repeat(bias, n), count).reshape(products.shape)
    for r in range(oh):
        first = r * plan.strides[0] - top
        # Rows of the kernel, each with the row of pixels that it meets.
        meets = [(i, h) for i in range(kh) if 0 <= (h := first + i * plan.dilation[0]) < len(padded)]
        if not meets:  # padding only
            y[r] = 0
        for q in range(0, ow, count):
            out = y[r, q : q + count]
            for i, h in meets[:1]:
                np.matmul(matrices[i], windows[h, q : q + count], out=out)
            for i, h in meets[1:]:
                out += np.matmul(matrices[i], windows[h, q : q + count], out=products[: len(out)])
            if bias is not None:
                out += bias[: len(out)]
    return batch_first(y.reshape(oh, ow, filters, n))


def backward_x(plan: WindowPlan, dy: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return dx (N, H, W, C), batch-last in memory: the convolution of dy with the rotated kernel."""
    dx_plan = plan.input_gradient_plan()
    assert dx_plan is not None
    return forward(dx_plan, dy, rotated_kernel(plan, kernel), None)


def small_parts(filters: int, multiplications: int) -> int:
    """Return the number of equal parts to divide filters into; each needs this number of multiplications.

    >>> small_parts(64, 192 * 32), small_parts(64, 576 * 64), small_parts(31, 576 * 64)
    (1, 4, 1)
    """
    for parts in range(1, filters // MIN_PART + 1):
        if filters % parts == 0 and filters // parts * multiplications <= SMALL_PRODUCT:
            return parts
    return 1
