"""The gather of a convolution and its transpose: windows of images as columns of a matrix, and back.

Two ideas make this fast, and this is where they stand.

*Batch-last memory.* Inside `ops` images lie as (C, H, W, N): the same pixel of all images side by side.
Then a cell of all windows in a row of the output is one long run of memory, for any kernel size and any
number of channels, and copying, adding and comparing such runs is what NumPy does best. Callers see
(N, H, W, C) all the same: a transpose is a view, it only swaps strides, and elementwise operations keep
the layout. So the conversion is paid once, by the first layer.

*Cache blocking.* The matrix of all windows would be kh * kw times the batch. It never exists: a few
output rows at a time (or a part of one) are gathered into a buffer that stays in the core's cache,
multiplied, and overwritten by the next.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minicnn.arguments import integer
from minicnn.ops.padding import Pads, Pair, check_padding, output_size, pair, resolve_padding

# Bytes of windows in a block. A gather is one call, and what it gathered should still be in the L2 cache
# when the matrix product reads it. A scatter is kh * kw calls, each with its overhead: fewer, larger blocks.
GATHER_BYTES = 1 << 19
SCATTER_BYTES = 1 << 21


@dataclass(frozen=True)
class WindowPlan:
    """The sizes of one convolution, and how its windows lie."""

    x_shape: tuple[int, int, int, int]
    kernel_shape: tuple[int, int, int, int]
    strides: Pair
    dilation: Pair
    groups: int
    pads: Pads
    oh: int
    ow: int

    @property
    def filters(self) -> int:
        """Number of output channels."""
        return self.kernel_shape[3]

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        """Shape of the output, (N, OH, OW, F)."""
        return self.x_shape[0], self.oh, self.ow, self.filters

    def to_matrix(self, kernel: np.ndarray) -> np.ndarray:
        """Return the kernel as a matrix for each group, (G, F/G, C/G * kh * kw)."""
        matrix = kernel.transpose(3, 2, 0, 1).reshape(self.groups, self.filters // self.groups, -1)
        return np.ascontiguousarray(matrix)

    def from_matrix(self, matrix: np.ndarray) -> np.ndarray:
        """Return such a matrix as a kernel, (kh, kw, C/G, F)."""
        kh, kw, c, f = self.kernel_shape
        return np.ascontiguousarray(matrix.reshape(f, c, kh, kw).transpose(2, 3, 1, 0))

    def windows(self, padded: np.ndarray) -> np.ndarray:
        """Return all windows of padded images (C, H, W, N): a view, (G, C/G, kh, kw, OH, OW, N)."""
        kh, kw, c, _ = self.kernel_shape
        (sh, sw), (dh, dw) = self.strides, self.dilation
        channel, row, column, image = padded.strides
        return as_strided(
            padded,
            (self.groups, c, kh, kw, self.oh, self.ow, self.x_shape[0]),
            (c * channel, channel, dh * row, dw * column, sh * row, sw * column, image),
        )

    def blocks(self, windows: np.ndarray, max_bytes: int) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield blocks of windows, and the range of output pixels (row, column, image) that they make.

        A block is some whole rows of the output, or, where one row is too much already, a part of one.
        """
        n = self.x_shape[0]
        pixel_bytes = max(math.prod(windows.shape[:4]) * n * windows.itemsize, 1)
        rows = min(self.oh, max(1, max_bytes // (self.ow * pixel_bytes)))
        columns = self.ow if rows > 1 else min(self.ow, max(1, max_bytes // pixel_bytes))
        for r in range(0, self.oh, rows):
            for c in range(0, self.ow, columns):
                block = windows[..., r : r + rows, c : c + columns, :]
                first = (r * self.ow + c) * n
                yield slice(first, first + math.prod(block.shape[4:])), block


def batch_last(images: np.ndarray, dtype: np.dtype | None = None) -> np.ndarray:
    """Return images (N, H, W, C) as (C, H, W, N), contiguous: a view, if that is how they lie in memory."""
    return np.ascontiguousarray(images.transpose(3, 1, 2, 0), dtype)


def batch_first(images: np.ndarray) -> np.ndarray:
    """Return images (C, H, W, N) as (N, H, W, C), a view."""
    return images.transpose(3, 1, 2, 0)


def pad(x: np.ndarray, pads: Pads, value: float = 0.0) -> np.ndarray:
    """Return images (N, H, W, C) as (C, H, W, N) with rows and columns of `value` around each, contiguous.

    With nothing to add it may be a view of `x`: read only.
    """
    if pads == ((0, 0), (0, 0)):
        return batch_last(x)
    n, h, w, c = x.shape
    (top, bottom), (left, right) = pads
    padded = np.empty((c, top + h + bottom, left + w + right, n), x.dtype)
    padded[:, :top], padded[:, top + h :] = value, value
    padded[:, top : top + h, :left], padded[:, top : top + h, left + w :] = value, value
    crop(padded, pads)[...] = x.transpose(3, 1, 2, 0)
    return padded


def crop(padded: np.ndarray, pads: Pads) -> np.ndarray:
    """Return what is inside the padding of images (C, H, W, N), a view."""
    (top, bottom), (left, right) = pads
    return padded[:, top : padded.shape[1] - bottom, left : padded.shape[2] - right]


def gathered(plan: WindowPlan, x: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield ranges of output pixels, and their windows as columns of a matrix, (G, C/G * kh * kw, pixels)."""
    buffer = np.empty(0, x.dtype)
    for pixels, block in plan.blocks(plan.windows(pad(x, plan.pads)), GATHER_BYTES):
        buffer = buffer if buffer.size else np.empty(block.size, x.dtype)  # the first block is the largest
        copied = buffer[: block.size].reshape(block.shape)
        copied[...] = block
        yield pixels, copied.reshape(plan.groups, math.prod(block.shape[1:4]), -1)


def scatter(plan: WindowPlan, dy: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return dx (N, H, W, C) for dy (G, F/G, pixels): the transpose of `gathered`.

    The kernel's matrix, transposed, turns dy into gradients of windows; each cell of each window is added
    back to the place in the image that it was taken from.
    """
    kh, kw, _, _ = plan.kernel_shape
    n, h, w, c = plan.x_shape
    (top, bottom), (left, right) = plan.pads
    width = left + w + right
    padded = np.zeros((c, top + h + bottom + 1, width, n), dy.dtype)
    if plan.strides[1] == 1 and width < 2 * plan.ow:
        # Were the output as wide as the padded image, a cell of all windows would be one run of memory, and
        # adding it one long loop. So dy is made as wide, with zeros. Where they go does not matter, as long
        # as it is inside the array: past the end of a row is the next one, past the last the row above.
        wide = np.zeros((*dy.shape[:2], plan.oh, width, n), dy.dtype)
        wide[:, :, :, : plan.ow] = dy.reshape(*dy.shape[:2], plan.oh, plan.ow, n)
        plan, dy = replace(plan, ow=width), wide.reshape(dy.shape[0], dy.shape[1], -1)
    matrix = matrix.transpose(0, 2, 1)
    buffer = np.empty(0, dy.dtype)
    for pixels, block in plan.blocks(plan.windows(padded), SCATTER_BYTES):
        buffer = buffer if buffer.size else np.empty(block.size, dy.dtype)  # the first block is the largest
        dcols = buffer[: block.size].reshape(block.shape)
        np.matmul(matrix, dy[:, :, pixels], out=dcols.reshape(plan.groups, matrix.shape[1], -1))
        # Windows overlap, and one += must not: the same cell of different windows never does.
        for i in range(kh):
            for j in range(kw):
                block[:, :, i, j] += dcols[:, :, i, j]
    return batch_first(crop(padded[:, :-1], plan.pads))


def plan_windows(
    x: np.ndarray, kernel: np.ndarray, strides: Any, padding: Any, dilation: Any, groups: int
) -> WindowPlan:
    """Check that everything fits together, and return the plan; raises sentences as `conv2d` says."""
    padding, groups = check_padding(padding), integer(groups, "groups", low=1)
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
