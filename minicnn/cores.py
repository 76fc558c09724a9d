"""The number of cores that this process may use."""

import contextlib
import math
import os
from functools import cache
from pathlib import Path


def available_threads() -> int:
    """Return the number of cores this process may use, respecting a container's CPU quota (rounded up)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return math.ceil(min(cores, _cpu_quota()))


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
