"""Where values that share a mean and a variance lie in memory, for batch and for group normalization.

The two differ only in which values share statistics. In memory an array is a stack of sets of rows,
(S, R, L). The rows of a set share their statistics. A row has the axes (W, G, D, N): pixels, groups of
channels, channels of a group, images.

    normalization    batch-first, (N, H, W, C)          batch-last, (H, W, C, N)        shared in a row
    batch            (1, N H W / w, (w, C, 1, 1))       (1, H W, (1, C, 1, N))          W, D, N
    group            (N, H W / w, (w, G, C / G, 1))     (1, H W, (1, G, C / G, N))      W, D

So `minicnn.ops.norm_kernels` adds rows, and repeats statistics over a whole row: every operation runs over
long stretches of memory, even with few channels.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from minicnn.ops.memory import aligned_contiguous, aligned_zeros
from minicnn.ops.sums import images_innermost, sum_rows
from minicnn.ops.windows import batch_first, batch_last

BLOCK_BYTES = 1 << 18  # of each array in a block: all arrays in use together stay in the L2 cache
ROW_VALUES = 2048  # upper limit of the values in a row, batch-first


@dataclass(frozen=True)
class NormPlan:
    """The place in memory of the values that share a mean and a variance.

    Attributes
    ----------
    batch_last : bool
        The memory layout.
    sets, rows : int
        S and R above.
    inner : tuple of int
        The axes of a row, (W, G, D, N).
    shared : tuple of int
        The axes of an array (S, W, G, D, N), besides W, over which the statistics are taken.
    """

    batch_last: bool
    sets: int
    rows: int
    inner: tuple[int, int, int, int]
    shared: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of values that share a mean and a variance."""
        return self.rows * self.inner[0] * math.prod(self.inner[axis - 1] for axis in self.shared)

    @property
    def statistics_shape(self) -> tuple[int, ...]:
        """Shape of a mean or a variance, (S, 1, G, 1, N or 1)."""
        shape = self.sets, 1, *self.inner[1:]
        return tuple(1 if axis in self.shared else size for axis, size in enumerate(shape))

    def memory(self, values: np.ndarray) -> np.ndarray:
        """Return an array (..., C) as (S, R, L): a view if it has the plan's layout."""
        values = batch_last(values) if self.batch_last else aligned_contiguous(values)
        return values.reshape(self.sets, self.rows, math.prod(self.inner))

    def restore(self, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return the inverse of `memory`, for an array of this shape, a view."""
        if not self.batch_last:
            return values.reshape(shape)
        return batch_first(values.reshape(*shape[1:], shape[0]))

    def per_channel(self, weight: np.ndarray) -> np.ndarray:
        """Return (C,) as (1, 1, G, D, 1)."""
        return weight.reshape(1, 1, *self.inner[1:3], 1)

    def axes_of_rows(self, sums: np.ndarray) -> np.ndarray:
        """Return sums over rows, (S, L), as (S, W, G, D, N)."""
        return sums.reshape(len(sums), *self.inner)

    def along_rows(self, values: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Return statistics or weights, (S or 1, axes of a row or 1), repeated to combine with (S, R, L)."""
        if values.size == len(values):  # one for each set: nothing to repeat
            return values.astype(dtype, copy=False).reshape(-1, 1, 1)
        row = aligned_zeros((len(values), *self.inner), dtype)  # also small ones: all operations read it
        row[...] = values
        return row.reshape(len(values), 1, -1)

    def shared_means(self, sums: np.ndarray) -> np.ndarray:
        """Return the means of the values that share statistics, from their sums over rows."""
        sums = self._sum_pixels(sums, len(sums))
        return sums.sum(axis=self.shared, keepdims=True, dtype=np.float64) / self.count

    def channel_sums(self, sums: np.ndarray) -> np.ndarray:
        """Return the sums of each channel, (C,), from the sums over rows."""
        return self._sum_pixels(sums, 1).sum(axis=(0, 1, 4), dtype=np.float64).reshape(-1)

    def _sum_pixels(self, sums: np.ndarray, sets: int) -> np.ndarray:
        """Return (sets, 1, G, D, N): sums over rows, added over the pixels of a row, and over sets if 1."""
        pixels = sums.reshape(sets, -1, math.prod(self.inner[1:]))
        return (sum_rows(pixels) if pixels.shape[1] > 1 else pixels).reshape(sets, 1, *self.inner[1:])

    def chunks(self, itemsize: int) -> Iterator[slice]:
        """Yield ranges of sets: one large set, or some that together are as large as a block."""
        step = max(1, BLOCK_BYTES // max(self.rows * math.prod(self.inner) * itemsize, 1))
        for start in range(0, self.sets, step):
            yield slice(start, min(start + step, self.sets))


def batch_plan(x: np.ndarray) -> NormPlan:
    """Return the plan of batch normalization for an array (..., C)."""
    return _batch_plan(x.shape, images_innermost(x))


def group_plan(x: np.ndarray, groups: int) -> NormPlan:
    """Return the plan of group normalization for an array (N, ..., C)."""
    return _group_plan(x.shape, images_innermost(x), groups)


@lru_cache(maxsize=256)
def _batch_plan(shape: tuple[int, ...], batch_last: bool) -> NormPlan:
    channels = shape[-1]
    if batch_last:
        return NormPlan(True, 1, shape[1] * shape[2], (1, channels, 1, shape[0]), (3, 4))
    width, rows = _row_of_pixels(math.prod(shape[:-1]), channels)
    return NormPlan(False, 1, rows, (width, channels, 1, 1), (3, 4))


@lru_cache(maxsize=256)
def _group_plan(shape: tuple[int, ...], batch_last: bool, groups: int) -> NormPlan:
    n, *size, channels = shape
    pixels, group_channels = math.prod(size), channels // groups
    if batch_last:
        return NormPlan(True, 1, pixels, (1, groups, group_channels, n), (3,))
    width, rows = _row_of_pixels(pixels, channels)
    return NormPlan(False, n, rows, (width, groups, group_channels, 1), (3,))


def _row_of_pixels(pixels: int, channels: int) -> tuple[int, int]:
    """Return the number of pixels in a row of at most about `ROW_VALUES`, and the number of rows."""
    widest = max(1, min(ROW_VALUES // channels, pixels))
    width = next(width for width in range(widest, 0, -1) if pixels % width == 0)
    return width, pixels // width
