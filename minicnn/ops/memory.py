"""Where arrays begin in memory, and what becomes of the memory of those that nobody needs any more."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

ALIGNMENT = 64  # bytes; NumPy's loops are up to twice as fast on arrays that begin at a multiple of it

LARGEST = (32 << 20) - (1 << 16)  # bytes; about the largest for which glibc changes its limits (64 bits)


def keep_freed() -> None:
    """Let the C library keep the memory of freed arrays for the arrays of the next step.

    At first glibc gives each array of over 128 KiB back to the system when it is freed, and takes it anew for
    the next one, page by page, and each page is cleared: a fifth of the time of a training step of LeNet-5.
    It raises that limit to the size of what it has seen freed, and keeps twice as much, but only what happens
    to have been that large. So one array is made and freed here; hardly a page of it is touched. Other C
    libraries do as they always do.
    """
    np.empty(LARGEST, np.uint8)


def aligned_zeros(size: int, dtype: DTypeLike) -> np.ndarray:
    """Return a vector of zeros that begins at a multiple of 64 bytes."""
    dtype = np.dtype(dtype)
    room = np.zeros(size + ALIGNMENT // dtype.itemsize, dtype)
    first = -room.ctypes.data % ALIGNMENT // dtype.itemsize
    return room[first : first + size]
