"""Alignment of arrays, and the reuse of freed memory.

A core reads and writes its cache in lines of 64 bytes, and vector registers of AVX-512 are as long. NumPy's
arrays begin at a multiple of 16 bytes, wherever there is room. Then most of them straddle lines: each vector
takes two accesses, and an operation on arrays in the cache twice the time. So the large arrays of a training
step are allocated here, and begin with a line. If the images of a batch are a multiple of 16, so does each
pixel of a channel, batch-last.
"""

import contextlib
import ctypes
import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import DTypeLike

ALIGNMENT = 64  # bytes
SMALLEST = 1 << 19  # bytes of an array, below which aligning takes as long as it saves

# Bytes: about the largest size for which 64-bit glibc raises its mmap threshold.
LARGEST = (32 << 20) - (1 << 16)


def retain_freed_memory() -> None:
    """Make glibc keep the memory of freed arrays for the arrays of the next step.

    By default glibc returns each array of more than 128 KiB to the system when it is freed. Allocating it
    again, page by page, with each page cleared, takes a fifth of the time of a training step of LeNet-5.
    When a larger array is freed, glibc raises that threshold to its size, and keeps up to twice as much free
    memory. So one array is allocated and freed here, without touching its pages. Other C libraries are not
    affected, nor is a process whose memory is limited to less.
    """
    with contextlib.suppress(MemoryError):
        np.empty(LARGEST, np.uint8)


def aligned_zeros(shape: int | Sequence[int], dtype: DTypeLike, *, small: bool = True) -> np.ndarray:
    """Return an array of zeros that begins at a multiple of 64 bytes; unless `small`, only if it is large."""
    dtype = np.dtype(dtype)
    if not small and _size(shape) * dtype.itemsize < SMALLEST:
        return np.zeros(shape, dtype)
    return _aligned(np.zeros, shape, dtype)


def aligned_empty(shape: Sequence[int], dtype: DTypeLike) -> np.ndarray:
    """Return an array of any values that begins at a multiple of 64 bytes if it is not small."""
    dtype = np.dtype(dtype)
    if math.prod(shape) * dtype.itemsize < SMALLEST:
        return np.empty(shape, dtype)
    return _aligned(np.empty, shape, dtype)


def aligned_empty_like(
    array: np.ndarray, dtype: DTypeLike | None = None, shape: tuple[int, ...] | None = None
) -> np.ndarray:
    """Return an array of any values in the memory layout of `array`, aligned if it is not small."""
    if dtype is None and shape is None and array.nbytes < SMALLEST:  # most often
        return np.empty_like(array, subok=False)
    dtype, shape = np.dtype(array.dtype if dtype is None else dtype), array.shape if shape is None else shape
    if math.prod(shape) * dtype.itemsize < SMALLEST:
        return np.empty_like(array, dtype, subok=False, shape=shape)
    if array.flags.c_contiguous:
        return _aligned(np.empty, shape, dtype)
    order, places = _axes_in_memory(array.strides, array.flags.f_contiguous)
    return _aligned(np.empty, [shape[axis] for axis in order], dtype).transpose(places)


def aligned_contiguous(array: np.ndarray) -> np.ndarray:
    """Return the array itself if it is contiguous in C order, otherwise a copy that is."""
    if array.flags.c_contiguous or array.nbytes < SMALLEST:
        return np.ascontiguousarray(array)
    copy = _aligned(np.empty, array.shape, array.dtype)
    copy[...] = array
    return copy


@lru_cache(maxsize=256)
def _axes_in_memory(strides: tuple[int, ...], fortran: bool) -> tuple[list[int], list[int]]:
    """Return the axes from the outermost in memory to the innermost, and the place of each among them."""
    order = list(range(len(strides)))
    order.sort(key=lambda axis: -axis if fortran else -abs(strides[axis]))
    return order, sorted(order, key=order.__getitem__)


def _size(shape: int | Sequence[int]) -> int:
    return shape if isinstance(shape, int) else math.prod(shape)


def _aligned(allocate: Callable[..., np.ndarray], shape: int | Sequence[int], dtype: np.dtype) -> np.ndarray:
    room = allocate(_size(shape) * dtype.itemsize + ALIGNMENT, np.uint8)
    # A quarter of the time of `room.ctypes.data`.
    address = ctypes.addressof(ctypes.c_char.from_buffer(room.data))
    # On a memoryview, not on `room`: so no `base` of its views is larger than the array.
    return np.ndarray(shape, dtype, room.data, -address % ALIGNMENT)
