"""The geometry of a convolution's windows, and the two memory layouts of images.

Callers always see (N, H, W, C). The layouts differ in the axis that is innermost in memory: a transpose is a
view that only exchanges strides, and elementwise operations preserve the layout. So the convolutions choose
it, and the layers between them follow.

*Batch-first*, (N, H, W, C), is the layout of arrays from outside: the channels of a pixel are contiguous.

*Batch-last*, (H, W, C, N), has the same value of all images contiguous: operations run over long stretches of
memory even with few channels, and neighbouring pixels of a row form a matrix, (pixels * channels, images).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from minicnn.ops.memory import aligned_contiguous, aligned_empty_like
from minicnn.ops.padding import Pads, Pair, check_images, check_padding, output_size, pair, resolve_padding
from minicnn.plural import counted
from minicnn.validation import check_int

# Bytes copied for one matrix product, batch-last: small enough to stay in a core's cache until the product
# reads them, and large enough that the overhead of the calls is small.
BLOCK_BYTES = 1 << 21


@dataclass(frozen=True)
class WindowPlan:
    """The geometry of one convolution; `kernel_shape` is (kh, kw, C / groups, F)."""

    x_shape: tuple[int, int, int, int]
    kernel_shape: tuple[int, int, int, int]
    strides: Pair
    dilation: Pair
    groups: int
    pads: Pads
    oh: int
    ow: int

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        """Shape of the output, (N, OH, OW, F)."""
        return self.x_shape[0], self.oh, self.ow, self.kernel_shape[3]

    @property
    def group_filters(self) -> int:
        """Number of filters in a group."""
        return self.kernel_shape[3] // self.groups

    @property
    def padded_size(self) -> Pair:
        """Rows and columns of an image with its padding."""
        return self.x_shape[1] + sum(self.pads[0]), self.x_shape[2] + sum(self.pads[1])

    def input_gradient_plan(self) -> WindowPlan | None:
        """Return the plan of the convolution that computes dx from dy, or None.

        It exists for strides of 1 and at most (k - 1) * dilation rows or columns of padding on each side.
        """
        kh, kw, _, filters = self.kernel_shape
        down, across = (kh - 1) * self.dilation[0], (kw - 1) * self.dilation[1]
        (top, bottom), (left, right) = self.pads
        pads = (down - top, down - bottom), (across - left, across - right)
        if self.strides != (1, 1) or min(*pads[0], *pads[1]) < 0:
            return None
        _, h, w, channels = self.x_shape
        kernel_shape = kh, kw, filters // self.groups, channels
        return WindowPlan(self.y_shape, kernel_shape, (1, 1), self.dilation, self.groups, pads, h, w)

    def blocks(self, row_bytes: int) -> Iterator[slice]:
        """Yield ranges of output rows; `row_bytes` are copied for each row."""
        rows = max(1, BLOCK_BYTES // row_bytes)
        for first in range(0, self.oh, rows):
            yield slice(first, min(first + rows, self.oh))

    def input_rows(self, i: int, rows: slice | None = None) -> slice:
        """Return the padded rows that the kernel's row `i` meets, for all output rows or for some."""
        stride, offset = self.strides[0], i * self.dilation[0]
        first, stop = (rows.start, rows.stop) if rows else (0, self.oh)
        return slice(first * stride + offset, (stop - 1) * stride + offset + 1, stride)

    def input_columns(self, j: int) -> slice:
        """Return the columns of the padded image that the kernel's column `j` meets."""
        stride, offset = self.strides[1], j * self.dilation[1]
        return slice(offset, (self.ow - 1) * stride + offset + 1, stride)


def prefers_batch_last(shape: tuple[int, ...]) -> bool:
    """Return whether a batch of shape (N, H, W, C) is convolved faster batch-last.

    The innermost loops run over the images batch-last, and over the channels batch-first: the more channels,
    the more images are needed. Measured with kernels of 1 to 11 rows and columns.
    """
    return shape[0] >= max(8, shape[3] // 2)


def is_batch_last(values: np.ndarray) -> bool:
    """Return whether images (N, H, W, C), or vectors (N, C), are batch-last in memory."""
    return values.transpose(*range(1, values.ndim), 0).flags.c_contiguous


def batch_last(images: np.ndarray) -> np.ndarray:
    """Return images (N, H, W, C) as (H, W, C, N), contiguous: a view if they are batch-last in memory."""
    return aligned_contiguous(images.transpose(1, 2, 3, 0))


def batch_first(images: np.ndarray) -> np.ndarray:
    """Return images (H, W, C, N) as (N, H, W, C), a view."""
    return images.transpose(3, 0, 1, 2)


def pad(images: np.ndarray, pads: Pads, value: float = 0.0) -> np.ndarray:
    """Return images (N, H, W, C) with rows and columns of `value` around each, in the same memory layout.

    Without padding it is `images` itself, so the result must not be written.
    """
    if pads == ((0, 0), (0, 0)):
        return images
    n, h, w, c = images.shape
    padded = aligned_empty_like(images, shape=(n, h + sum(pads[0]), w + sum(pads[1]), c))
    (top, _), (left, _) = pads
    inner = padded[:, top : top + h]
    for border in (padded[:, :top], padded[:, top + h :], inner[:, :, :left], inner[:, :, left + w :]):
        if border.size:
            border[...] = value
    inner[:, :, left : left + w] = images
    return padded


def crop(padded: np.ndarray, pads: Pads) -> np.ndarray:
    """Return images (N, H, W, C) without their padding, a view."""
    (top, bottom), (left, right) = pads
    return padded[:, top : padded.shape[1] - bottom, left : padded.shape[2] - right]


def rotated_kernel(plan: WindowPlan, kernel: np.ndarray) -> np.ndarray:
    """Return the kernel (kh, kw, F / G, C) of dx: rotated by 180 degrees, channels and filters exchanged."""
    kh, kw, c, _ = plan.kernel_shape
    rotated = kernel[::-1, ::-1].reshape(kh, kw, c, plan.groups, plan.group_filters)
    return rotated.transpose(0, 1, 4, 3, 2).reshape(kh, kw, plan.group_filters, -1)


def strided_view(
    array: np.ndarray, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0
) -> np.ndarray:
    """Return a read-only view of a contiguous array, as NumPy's `as_strided`, but faster and bounds-checked.

    Strides and the offset of the first value are in bytes.
    """
    view = np.ndarray(shape, array.dtype, array, offset, strides)
    view.flags.writeable = False
    return view


def plan_windows(
    x: np.ndarray, kernel: np.ndarray, strides: Any, padding: Any, dilation: Any, groups: int
) -> WindowPlan:
    """Check the arguments of `conv2d` and return the plan."""
    check_images(x)
    padding, groups = check_padding(padding), check_int(groups, "groups", low=1)
    strides, dilation = pair(strides, "strides"), pair(dilation, "dilation")
    return _plan(x.shape, np.shape(kernel), strides, padding, dilation, groups)


@lru_cache(maxsize=256)
def _plan(
    x_shape: Any, kernel_shape: Any, strides: Pair, padding: Any, dilation: Pair, groups: int
) -> WindowPlan:
    if len(kernel_shape) != 4 or 0 in kernel_shape:
        raise ValueError(f"`kernel` must have shape (kh, kw, channels / groups, filters), got {kernel_shape}")
    _, h, w, c = x_shape
    kh, kw, group_channels, filters = kernel_shape
    if filters % groups or group_channels * groups != c:
        raise ValueError(
            f"`kernel` must have shape (kh, kw, channels / groups, filters), with channels and filters "
            f"divisible by groups; got {kernel_shape} for {counted(c, 'channel')} and groups={groups}"
        )
    span = ((kh - 1) * dilation[0] + 1, (kw - 1) * dilation[1] + 1)
    pads = resolve_padding(padding, (h, w), span, strides)
    oh, ow = output_size((h, w), span, strides, pads)
    return WindowPlan(x_shape, kernel_shape, strides, dilation, groups, pads, oh, ow)
