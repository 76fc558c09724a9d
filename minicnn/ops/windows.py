"""Where the windows of a convolution lie: sizes, padding, and the two ways images lie in memory.

Callers always see (N, H, W, C). What differs is which axis is innermost in memory; a transpose is a view,
it only swaps strides, and elementwise operations keep the order. So the layout is chosen where it matters,
in the convolutions, and everything between two convolutions follows.

*Batch-first*, (N, H, W, C), is how images arrive. A pixel's channels lie side by side.

*Batch-last*, (H, W, C, N), has the same value of all images side by side. Whatever is done with a value is
then done with a long run of memory, even if there are few channels; and a piece of a row of pixels is a
matrix as it lies there, of (pixels * channels) x images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from minicnn.ops.padding import Pads, Pair, check_padding, output_size, pair, resolve_padding
from minicnn.validation import check_int

# Bytes of what is copied for a matrix product at a time, batch-last: small enough for a core's cache, so that
# the product still finds it there, and large enough that the calls themselves take little time.
BLOCK_BYTES = 1 << 21


@dataclass(frozen=True)
class WindowPlan:
    """The sizes of one convolution; `kernel_shape` is (kh, kw, C / groups, F)."""

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
        """Filters in a group."""
        return self.kernel_shape[3] // self.groups

    @property
    def padded_size(self) -> Pair:
        """Rows and columns of an image with its padding."""
        return self.x_shape[1] + sum(self.pads[0]), self.x_shape[2] + sum(self.pads[1])

    def input_gradient_plan(self) -> WindowPlan | None:
        """Return the plan of the convolution that leads from dy to dx, if there is one.

        There is none with strides, nor where there is more padding than a window's span less one.
        """
        kh, kw, _, filters = self.kernel_shape
        spans = [(k - 1) * d for k, d in zip((kh, kw), self.dilation, strict=True)]
        (top, bottom), (left, right) = (
            (span - before, span - after) for span, (before, after) in zip(spans, self.pads, strict=True)
        )
        if self.strides != (1, 1) or min(top, bottom, left, right) < 0:
            return None
        _, h, w, channels = self.x_shape
        kernel_shape = kh, kw, filters // self.groups, channels
        pads = (top, bottom), (left, right)
        return WindowPlan(self.y_shape, kernel_shape, (1, 1), self.dilation, self.groups, pads, h, w)

    def blocks(self, row_bytes: int) -> Iterator[slice]:
        """Yield ranges of output rows, for each of which `row_bytes` are copied."""
        rows = max(1, BLOCK_BYTES // max(row_bytes, 1))
        for first in range(0, self.oh, rows):
            yield slice(first, min(first + rows, self.oh))

    def input_rows(self, rows: slice, i: int) -> slice:
        """Return which rows of the padded image the kernel's row `i` meets for these output rows."""
        first = rows.start * self.strides[0] + i * self.dilation[0]
        return slice(first, first + (rows.stop - rows.start - 1) * self.strides[0] + 1, self.strides[0])

    def input_columns(self, j: int) -> slice:
        """Return which columns of the padded image the kernel's column `j` meets."""
        first = j * self.dilation[1]
        return slice(first, first + (self.ow - 1) * self.strides[1] + 1, self.strides[1])


def prefers_batch_last(shape: tuple[int, ...]) -> bool:
    """Return whether a batch of shape (N, H, W, C) is convolved faster batch-last.

    Batch-last, memory runs over the images: that pays from some images on. The more channels there are, over
    which it runs batch-first, the later. Measured with kernels of 1 to 11 rows and columns.
    """
    return shape[0] >= max(8, shape[3] // 2)


def lies_batch_last(images: np.ndarray) -> bool:
    """Return whether images (N, H, W, C) lie batch-last in memory."""
    return images.transpose(1, 2, 3, 0).flags.c_contiguous


def batch_last(images: np.ndarray) -> np.ndarray:
    """Return images (N, H, W, C) as (H, W, C, N), contiguous: a view, if that is how they lie in memory."""
    return np.ascontiguousarray(images.transpose(1, 2, 3, 0))


def batch_first(images: np.ndarray) -> np.ndarray:
    """Return images (H, W, C, N) as (N, H, W, C), a view."""
    return images.transpose(3, 0, 1, 2)


def pad(images: np.ndarray, pads: Pads, value: float = 0.0) -> np.ndarray:
    """Return images (N, H, W, C) with rows and columns of `value` around each, in the same memory layout.

    With nothing to add it is `images` itself: read only.
    """
    if pads == ((0, 0), (0, 0)):
        return images
    n, h, w, c = images.shape
    padded = like(images, (n, h + sum(pads[0]), w + sum(pads[1]), c))
    (top, _), (left, _) = pads
    inner = padded[:, top : top + h]
    for border in (padded[:, :top], padded[:, top + h :], inner[:, :, :left], inner[:, :, left + w :]):
        if border.size:
            border[...] = value
    inner[:, :, left : left + w] = images
    return padded


def crop(padded: np.ndarray, pads: Pads) -> np.ndarray:
    """Return what is inside the padding of images (N, H, W, C), a view."""
    (top, bottom), (left, right) = pads
    return padded[:, top : padded.shape[1] - bottom, left : padded.shape[2] - right]


def like(images: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return an empty array of `shape` (N, H, W, C) in the memory layout of `images`."""
    return np.empty_like(images, shape=shape)


def view(array: np.ndarray, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> np.ndarray:
    """Return the memory of a contiguous array in another shape, read only: `as_strided`, but quick.

    Strides and the offset, where the first value lies, are in bytes. What would lie outside raises.
    """
    seen = np.ndarray(shape, array.dtype, array, offset, strides)
    seen.flags.writeable = False
    return seen


def plan_windows(
    x: np.ndarray, kernel: np.ndarray, strides: Any, padding: Any, dilation: Any, groups: int
) -> WindowPlan:
    """Check that everything fits together, and return the plan; raises sentences as `conv2d` says."""
    padding, groups = check_padding(padding), check_int(groups, "groups", low=1)
    strides, dilation = pair(strides, "strides"), pair(dilation, "dilation")
    return _plan(x.shape, np.shape(kernel), strides, padding, dilation, groups)


@lru_cache(maxsize=256)
def _plan(
    x_shape: Any, kernel_shape: Any, strides: Pair, padding: Any, dilation: Pair, groups: int
) -> WindowPlan:
    if len(kernel_shape) != 4 or 0 in kernel_shape:
        raise ValueError(
            f"the kernel must have shape (kh, kw, channels / groups, filters), got {kernel_shape}"
        )
    _, h, w, c = x_shape
    kh, kw, group_channels, filters = kernel_shape
    if filters % groups or group_channels * groups != c:
        raise ValueError(
            f"`groups` must divide channels and filters, and the kernel must see channels / groups: "
            f"the input has {c} channels, the kernel has shape {kernel_shape}, groups is {groups}"
        )
    span = ((kh - 1) * dilation[0] + 1, (kw - 1) * dilation[1] + 1)
    pads = resolve_padding(padding, (h, w), span, strides)
    oh, ow = output_size((h, w), span, strides, pads)
    return WindowPlan(x_shape, kernel_shape, strides, dilation, groups, pads, oh, ow)
