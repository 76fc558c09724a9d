"""The number of cores this process may use, and a limit on the number of BLAS threads."""

import contextlib
import math
import os
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from minicnn.validation import check_int

_lock = threading.Lock()
_active_limits: list[int] = []  # of all `blas_threads` blocks that are running now
_original_limits = contextlib.ExitStack()  # restores what was in force before the first of them


def available_threads() -> int:
    """Return the number of cores this process may use, respecting a container's CPU quota (rounded up)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return math.ceil(min(cores, _cpu_quota()))


def resolve_threads(threads: int | None, ranks: int = 1) -> int:
    """Return the argument `threads`; its default is all cores, or 1 if several ranks share the machine."""
    if threads is None:
        return available_threads() if ranks == 1 else 1
    return check_int(threads, "threads", low=1)


@cache  # needed for every prediction
def _cpu_quota(folder: Path = Path("/sys/fs/cgroup")) -> float:
    """Return the CPU quota of the container (`docker run --cpus`) in cores; infinity without a quota.

    The system reports all cores, also to a process that gets only a share of their time. Threads beyond that
    share only wait for each other.
    """
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):  # cgroup v2, v1
        with contextlib.suppress(OSError, ValueError):
            quota, period = map(float, " ".join((folder / name).read_text() for name in names).split())
            if quota > 0 and period > 0:  # no quota is written as -1 or as the word "max"
                return quota / period
    return math.inf


@contextlib.contextmanager
def blas_threads(count: int) -> Iterator[None]:
    """Limit BLAS to `count` threads; of several blocks at the same time, the lowest limit applies."""
    from threadpoolctl import threadpool_limits  # imported here to keep `import minicnn` fast

    with _lock:
        limits = threadpool_limits(min([count, *_active_limits]), "blas")
        if not _active_limits:
            _original_limits.callback(limits.restore_original_limits)
        _active_limits.append(count)
    try:
        yield
    finally:
        with _lock:
            _active_limits.remove(count)
            if _active_limits:
                threadpool_limits(min(_active_limits), "blas")
            else:
                _original_limits.close()
