"""How many cores this process may use, and how many threads BLAS uses meanwhile."""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

_limit = threading.Lock()
_wanted: list[int] = []  # threads of BLAS, by all that limit them just now
_before: list[Any] = []  # the limits that there were before the first of them


def available_threads() -> int:
    """Return how many cores this process may use: its own, or its container's share, rounded up, if less."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return math.ceil(min(cores, _share_of_cores()))


@cache  # asked at each prediction
def _share_of_cores(folder: Path = Path("/sys/fs/cgroup")) -> float:
    """Return how many cores' time a container may take, `docker run --cpus`; infinity without a limit.

    The system shows all cores even to a process that may use only a part of their time; more threads than
    that only wait for each other.
    """
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):  # Linux's two versions
        with contextlib.suppress(OSError, ValueError):
            quota, period = map(float, " ".join((folder / name).read_text() for name in names).split())
            if quota > 0 and period > 0:  # without a limit it is -1, or the word "max"
                return quota / period
    return math.inf


@contextlib.contextmanager
def blas_threads(count: int) -> Iterator[None]:
    """Let BLAS use so many threads; where several ask at once, the fewest, until the last of them ends."""
    from threadpoolctl import threadpool_limits  # not above, see `environment`

    with _limit:
        limits = threadpool_limits(min([count, *_wanted]), "blas")
        if not _wanted:
            _before.append(limits)
        _wanted.append(count)
    try:
        yield
    finally:
        with _limit:
            _wanted.remove(count)
            if _wanted:
                threadpool_limits(min(_wanted), "blas")
            else:
                _before.pop().restore_original_limits()
