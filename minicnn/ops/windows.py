"""The gather of a convolution and its transpose: windows of images as rows of a matrix, and back.

Two ideas make this fast, and both stand here only.

*Cache blocking.* The matrix of all windows would be kh * kw times the batch. It never exists: a few
images (or rows of one image) at a time are gathered into a buffer that stays in the core's cache,
multiplied, and overwritten by the next.

*Column blocking.* One row of the matrix serves T neighbouring output columns at once: it holds the
T - 1 + kw input columns that they see together, and the kernel becomes a banded matrix with T times as
many columns, the kernel repeated, each time one column further right (here kw = 3, T = 3):

    k k k . .
    . k k k .      (times the channels; transposed, as rows are input columns in `to_matrix`)
    . . k k k

T = 1 is the usual im2col. A larger T copies each pixel less often, in longer runs, and makes a matrix
product with more columns, which BLAS does faster; the price is the multiplications by the zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minicnn.ops.padding import Pads, Pair, output_size, pair, resolve_padding

BLOCK_BYTES = 1 << 19  # of gathered windows: a quarter of a usual L2 cache, the output lies beside them


@dataclass(frozen=True)
class WindowPlan:
    """How the windows of one convolution are laid out: sizes, and how the work is cut into blocks."""

    x_shape: tuple[int, int, int, int]
    kernel_shape: tuple[int, int, int, int]
    strides: Pair
    dilation: Pair
    groups: int
    pads: Pads
    oh: int
    ow: int
    columns: int  # T: output columns that one row of the matrix serves
    images: int  # in a block
    rows: int  # output rows in a block; fewer than all only if a block is one image

    @property
    def filters(self) -> int:
        """Number of output channels."""
        return self.kernel_shape[3]

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        """Shape of the output, (N, OH, OW, F)."""
        return self.x_shape[0], self.oh, self.ow, self.filters

    @property
    def window_shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels that one row of the matrix holds."""
        kh, kw, c, _ = self.kernel_shape
        return kh, self.columns - 1 + kw, c

    @property
    def matrix_shape(self) -> tuple[int, int, int]:
        """Shape of the kernel as a matrix: groups, numbers in a window, results from it."""
        kh, span, c = self.window_shape
        return self.groups, kh * span * c, self.columns * self.filters // self.groups

    def to_matrix(self, kernel: np.ndarray) -> np.ndarray:
        """Return the kernel as a matrix a group: banded, see the module's docstring."""
        kh, kw, c, f = self.kernel_shape
        if self.columns == 1:
            # (kh, kw, c, G, F/G) -> (G, kh * kw * c, F/G)
            return kernel.reshape(kh * kw * c, self.groups, -1).transpose(1, 0, 2)
        band = np.zeros((*self.window_shape, self.columns, f), kernel.dtype)
        for t in range(self.columns):
            band[:, t : t + kw, :, t] = kernel
        return band.reshape(self.matrix_shape)

    def from_matrix(self, matrix: np.ndarray) -> np.ndarray:
        """Return the transpose of `to_matrix`: the kernel's gradient from the matrix's."""
        kw, f = self.kernel_shape[1], self.filters
        if self.columns == 1:
            return matrix.transpose(1, 0, 2).reshape(self.kernel_shape)
        band = matrix.reshape(*self.window_shape, self.columns, f)
        kernel = band[:, :kw, :, 0].copy()
        for t in range(1, self.columns):
            kernel += band[:, t : t + kw, :, t]
        return kernel

    def grouped(self, y: np.ndarray) -> np.ndarray:
        """Return output pixels as (G, pixels / T, T * F/G), a view: what the matrix product makes."""
        return y.reshape(-1, self.groups, self.matrix_shape[2]).transpose(1, 0, 2)

    def windows(self, padded: np.ndarray) -> np.ndarray:
        """Return all windows of padded images, (n, OH, OW/T, kh, T-1+kw, G, C/G): an overlapping view."""
        (sh, sw), (dh, dw) = self.strides, self.dilation
        image, row, column, channel = padded.strides
        kh, span, c = self.window_shape
        return as_strided(
            padded,
            (len(padded), self.oh, self.ow // self.columns, kh, span, self.groups, c),
            (image, sh * row, self.columns * sw * column, dh * row, dw * column, c * channel, channel),
        )

    def blocks(self) -> Iterator[tuple[slice, list[slice]]]:
        """Yield the blocks: which images, and which of their output rows one after the other."""
        rows = [slice(r, min(r + self.rows, self.oh)) for r in range(0, self.oh, self.rows)]
        for i in range(0, self.x_shape[0], self.images):
            yield slice(i, min(i + self.images, self.x_shape[0])), rows

    def buffer(self, dtype: np.dtype) -> np.ndarray:
        """Return room for the matrix rows of one block."""
        pixels = self.images * self.rows * (self.ow // self.columns)
        return np.empty((self.groups, pixels, self.matrix_shape[1]), dtype)

    def padded(self, dtype: np.dtype) -> np.ndarray:
        """Return zeros for the padded images of one block."""
        _, h, w, c = self.x_shape
        (top, bottom), (left, right) = self.pads
        return np.zeros((self.images, top + h + bottom, left + w + right, c), dtype)

    def inside(self, padded: np.ndarray) -> np.ndarray:
        """Return the images inside their padding, a view."""
        _, h, w, _ = self.x_shape
        (top, _), (left, _) = self.pads
        return padded[:, top : top + h, left : left + w]


def gathered(plan: WindowPlan, x: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Yield images, output rows, and their windows as matrix rows (G, pixels / T, kh * span * C/G)."""
    buffer = plan.buffer(x.dtype)
    needs_copy = plan.pads != ((0, 0), (0, 0))
    padded = plan.padded(x.dtype) if needs_copy else x
    for images, blocks_of_rows in plan.blocks():
        block = x[images]
        if needs_copy:
            block = padded[: len(block)]
            plan.inside(block)[...] = x[images]  # the zeros around it are never written
        windows = plan.windows(block)
        for rows in blocks_of_rows:
            # (n, OH, OW/T, kh, span, G, C/G) -> (G, n, OH, OW/T, kh, span, C/G)
            source = windows[:, rows].transpose(5, 0, 1, 2, 3, 4, 6)
            cols = buffer[:, : source[0, ..., 0, 0, 0].size]
            cols.reshape(source.shape)[...] = source
            yield images, rows, cols


def scatter(plan: WindowPlan, dy: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return dx: multiply `dy` by the kernel's transposed `matrix`, add each window back to its place."""
    dx = np.empty(plan.x_shape, dy.dtype)
    buffer, padded = plan.buffer(dy.dtype), plan.padded(dy.dtype)
    kh, span, c = plan.window_shape
    step = plan.columns
    for images, blocks_of_rows in plan.blocks():
        block = padded[: len(dy[images])]
        block.fill(0.0)
        windows = plan.windows(block)
        for rows in blocks_of_rows:
            target = windows[:, rows]
            pixels = plan.grouped(dy[images, rows])
            dcols = np.matmul(pixels, matrix, out=buffer[:, : pixels.shape[1]])
            # (G, n, OH, OW/T, kh, span, C/G) -> (n, OH, OW/T, kh, span, G, C/G)
            dcols = dcols.reshape(plan.groups, *target.shape[:5], c).transpose(1, 2, 3, 4, 5, 0, 6)
            # Windows overlap, and one += must not: T columns of one window row never do.
            for i in range(kh):
                for j in range(0, span, step):
                    target[:, :, :, i, j : j + step] += dcols[:, :, :, i, j : j + step]
        dx[images] = plan.inside(block)
    return dx


def plan_windows(x: Any, kernel: Any, strides: Any, padding: Any, dilation: Any, groups: int) -> WindowPlan:
    """Check that everything fits together, and return the plan; raises sentences as `conv2d` says."""
    if isinstance(padding, list):
        padding = tuple(map(tuple, padding))
    strides, dilation = pair(strides, "strides"), pair(dilation, "dilation")
    return _plan(x.shape, np.shape(kernel), strides, padding, dilation, groups, x.itemsize)


@lru_cache(maxsize=256)
def _plan(
    x_shape: tuple[int, int, int, int],
    kernel_shape: tuple[int, int, int, int],
    strides: Pair,
    padding: Any,
    dilation: Pair,
    groups: int,
    itemsize: int,
) -> WindowPlan:
    if len(kernel_shape) != 4 or 0 in kernel_shape:
        raise ValueError(
            f"the kernel must have shape (kh, kw, channels / groups, filters), got {kernel_shape}"
        )
    n, h, w, c = x_shape
    kh, kw, group_channels, filters = kernel_shape
    if groups < 1 or filters % groups or group_channels * groups != c:
        raise ValueError(
            f"`groups` must divide channels and filters, and the kernel must see channels / groups: "
            f"the input has {c} channels, the kernel has shape {kernel_shape}, groups is {groups}"
        )
    span = ((kh - 1) * dilation[0] + 1, (kw - 1) * dilation[1] + 1)
    pads = resolve_padding(padding, (h, w), span, strides)
    oh, ow = output_size((h, w), span, strides, pads)
    columns = 1
    if groups == 1 and strides[1] == dilation[1] == 1:
        columns = band_width(kh, kw, c, filters, ow)
    row_bytes = ow // columns * kh * (columns - 1 + kw) * c * itemsize
    rows = min(oh, max(1, BLOCK_BYTES // row_bytes))
    images = max(1, min(n, BLOCK_BYTES // (oh * row_bytes)))
    return WindowPlan(
        x_shape,
        kernel_shape,
        strides,
        dilation,
        groups,
        pads,
        oh,
        ow,
        columns,
        images,
        rows,
    )


def band_width(kh: int, kw: int, channels: int, filters: int, ow: int) -> int:
    """Return T, the divisor of `ow` for which an output pixel costs least.

    For each output pixel, T columns at a time copy kh * (T-1+kw) * channels / T numbers, in runs of one
    window row each, and multiply kh * (T-1+kw) * channels * filters times. Measured on one core with
    AVX-512: 0.25 ns a number and 8 ns a run copied; 0.01 ns a multiplication where the matrix product has
    many columns, and (1 + 24 / columns) times that where it has few. Only the ratios matter.
    """

    def cost(t: int) -> float:
        numbers = kh * (t - 1 + kw) * channels
        copying = (numbers * 0.25 + kh * 8.0) / t
        return copying + numbers * filters * 0.01 * (1 + 24 / (t * filters))

    return min((t for t in range(1, ow + 1) if ow % t == 0), key=cost)
