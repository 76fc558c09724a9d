"""Alignment of arrays, and the reuse of freed memory."""

import contextlib

import numpy as np
from numpy.typing import DTypeLike

ALIGNMENT = 64  # bytes; NumPy's loops are up to twice as fast on arrays that begin at a multiple of it

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


def aligned_zeros(size: int, dtype: DTypeLike) -> np.ndarray:
    """Return a vector of zeros that begins at a multiple of 64 bytes."""
    dtype = np.dtype(dtype)
    room = np.zeros(size + ALIGNMENT // dtype.itemsize, dtype)
    first = -room.ctypes.data % ALIGNMENT // dtype.itemsize
    return room[first : first + size]
