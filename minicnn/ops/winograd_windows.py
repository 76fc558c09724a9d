"""Winograd's gradients of large batches, batch-last: windows slide over the transformed rows in memory.

As in `minicnn.ops.conv_windows`, the columns of a window are contiguous, (kw * C, N), in one row of pixels.
The transformed rows B x are rows of pixels as well, one for each point, and nothing is copied but for the
transform.
"""

import math
from collections.abc import Iterator

import numpy as np

from minicnn.ops.conv_rows import SMALL_PRODUCT, small_parts
from minicnn.ops.memory import aligned_contiguous, aligned_empty, aligned_zeros
from minicnn.ops.windows import WindowPlan, batch_first, batch_last, rotated_kernel, strided_view
from minicnn.ops.winograd import ROWS, tiles, transforms

BLOCK_BYTES = 800_000  # bytes of products before they are added: they are still in a core's cache then

# Images times pixels that a small product of dkernel sums over, or twice as many if it is small even then.
# With more, OpenBLAS is slower. Large products sum over a whole row of pixels.
TERMS = 128


def backward_x(plan: WindowPlan, dy: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return dx (N, H, W, C), batch-last in memory: the convolution of dy with the rotated kernel."""
    dx_plan = plan.input_gradient_plan()
    assert dx_plan is not None
    n, h, w, c = plan.x_shape
    kh, kw, filters, _ = dx_plan.kernel_shape
    a, b, g = transforms(ROWS, kh, dy.dtype)
    gk = (g @ rotated_kernel(plan, kernel).reshape(kh, -1)).reshape(-1, kw * filters, c)
    parts = small_parts(c, kw * filters * n)
    gk = aligned_contiguous(gk.swapaxes(1, 2)).reshape(-1, 1, parts, c // parts, kw * filters)
    dx = aligned_empty((h, w, c * n), dy.dtype)
    count = min(w, max(1, BLOCK_BYTES // (len(g) * dx[0, 0].nbytes)))  # columns of pixels at a time
    products = aligned_empty((len(g), count, parts, c // parts, n), dy.dtype)
    for rows, bdy in _transformed(dx_plan, batch_last(dy), b, w + kw - 1):
        point, pixel, value, image = bdy.strides
        windows = strided_view(bdy, (len(g), w, 1, kw * filters, n), (point, pixel, 0, value, image))
        for q in range(0, w, count):
            some = products[:, : min(count, w - q)]
            np.matmul(gk, windows[:, q : q + count], out=some)
            some = some.reshape(len(g), -1, c * n).transpose(1, 0, 2)
            np.matmul(a.T[: rows.stop - rows.start], some, out=dx[rows, q : q + count].transpose(1, 0, 2))
    return batch_first(dx.reshape(h, w, c, n))


def backward_kernel(plan: WindowPlan, dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dkernel (kh, kw, C, F)."""
    n, _, ow, filters = plan.y_shape
    kh, kw, c, _ = plan.kernel_shape
    a, b, g = transforms(ROWS, kh, x.dtype)
    small = (terms for terms in (2 * TERMS, TERMS) if c * filters * terms <= SMALL_PRODUCT)
    count = next((min(ow, max(1, terms // n)) for terms in small), ow)  # columns of pixels in a product
    parts = -(-ow // count)
    count = -(-ow // parts)
    # Zeros make up for the columns that the last part lacks.
    tile = aligned_zeros((ROWS, parts, filters, count, n), x.dtype, small=False)
    ady = aligned_empty((len(g), parts, 1, filters, count * n), x.dtype)
    dgk = aligned_zeros((len(g), kw, filters, c), x.dtype, small=False)
    block = min(parts, max(1, BLOCK_BYTES // dgk.nbytes))
    # The products sum over pixels and images, so these must be neighbours in memory. For dy it is (F, W, N),
    # which moves runs of images. For x it is (W, N, C), which takes longer; but of (C, W, N) BLAS is slower.
    dy, pixels = batch_last(dy), aligned_contiguous(x.transpose(1, 2, 0, 3))
    for rows, bx in _transformed(plan, pixels, b, parts * count + kw - 1):
        size = rows.stop - rows.start
        _divide(dy[rows], tile[:size])
        np.matmul(a[:, :size], tile[:size].reshape(size, -1), out=ady.reshape(len(g), -1))
        point, pixel, image, channel = bx.strides
        windows = strided_view(
            bx, (len(g), parts, kw, count * n, c), (point, count * pixel, pixel, image, channel)
        )
        for p in range(0, parts, block):
            dgk += (ady[:, p : p + block] @ windows[:, p : p + block]).sum(axis=1)
    return (g.T @ dgk.reshape(len(g), -1)).reshape(kh, kw, filters, c).swapaxes(2, 3)


def _divide(dy: np.ndarray, tile: np.ndarray) -> None:
    """Copy dy (rows, OW, F, N) to `tile` (rows, parts, F, columns, N); the last part may be shorter."""
    size, _, filters, count, n = tile.shape
    full, rest = divmod(dy.shape[1], count)
    tile[:, :full] = dy[:, : full * count].reshape(size, full, count, filters, n).swapaxes(2, 3)
    if rest:
        tile[:, full, :, :rest] = dy[:, full * count :].swapaxes(1, 2)


def _transformed(
    plan: WindowPlan, pixels: np.ndarray, b: np.ndarray, width: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield ranges of output rows, and the rows of the padded image that they need, multiplied by B.

    `pixels` are (H, W, ..., ...), the result is (points, width, ..., ...); the next tile overwrites it.
    """
    h, w, *values = pixels.shape
    left = plan.pads[1][0]
    bx = aligned_zeros((len(b), width, math.prod(values)), pixels.dtype, small=False)
    image = pixels.reshape(h, w, -1).transpose(1, 0, 2)
    for rows, inputs, columns in tiles(plan, b):
        np.matmul(columns, image[:, inputs], out=bx[:, left : left + w].transpose(1, 0, 2))
        yield rows, bx.reshape(len(b), width, *values)
