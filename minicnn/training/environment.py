"""What a result depends on (versions, BLAS and its threads, cores, data), and the memory that it took."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import re
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import minicnn

_limit = threading.Lock()
_wanted: list[int] = []  # threads of BLAS, by all that limit them just now
_before: list[Any] = []  # the limits that there were before the first of them

_ROWS = 4096  # hashed at a time, so that data on the disk need not fit into memory


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


def environment() -> dict[str, Any]:
    """Return the versions, and what BLAS computes with: its kernel and threads."""
    import threadpoolctl  # not above: `import minicnn` is to take little more time than `import numpy`

    blas = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    return {
        "minicnn": minicnn.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "blas": [
            {key: pool.get(key) for key in ("internal_api", "version", "architecture", "num_threads")}
            for pool in blas
        ],
    }


def fingerprint(**settings: Any) -> dict[str, str]:
    """Return, by name, all that must be equal for two runs to be equal bit for bit, each as a short text.

    >>> fingerprint(threads=2)["threads"]
    '2'
    """
    found = environment()
    del found["platform"]  # a newer kernel of the operating system computes nothing differently
    found["blas"] = "; ".join(" ".join(map(str, pool.values())) for pool in found["blas"])
    abilities: Any = np.show_config(mode="dicts")
    found["processor"] = " ".join([platform.machine(), *abilities["SIMD Extensions"]["found"]])
    # Of objects that do not describe themselves, Python tells the address, another one each time.
    return {name: re.sub(r" at 0x[0-9a-fA-F]+", "", str(value)) for name, value in (found | settings).items()}


def differences(before: dict[str, str], now: dict[str, str]) -> str:
    """Return in words what differs between two fingerprints; nothing if they are equal.

    >>> differences({"threads": "2", "seed": "0"}, {"threads": "4", "seed": "0"})
    'threads: 4 instead of 2'
    """
    told = []
    for name in before | now:
        old, new = before.get(name, "none"), now.get(name, "none")
        if old != new:
            shown = len(old + new) <= 120 and (old + new).isprintable()
            told.append(f"{name}: {new} instead of {old}" if shown else f"another {name}")
    return "; ".join(told)


def children(pid: int | str) -> Iterator[int]:
    """Yield the processes that one has started, and theirs; none, if the system does not tell."""
    for task in Path("/proc").glob(f"{pid}/task/*/children"):
        with contextlib.suppress(OSError):  # it has just ended
            for child in map(int, task.read_text().split()):
                yield child
                yield from children(child)


def memory_mb(pid: int | str, file: str, field: str) -> float:
    """Return the sum of the fields of this beginning, in MB; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:  # another system, or it has just ended
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024 / 1e6


def data_digest(*arrays: np.ndarray) -> str:
    """Return the SHA-256 of shapes, dtypes and values, in hexadecimal; of memory-mapped arrays, of some rows.

    >>> data_digest(np.zeros(3))[:8]
    '11a80484'
    """
    import hashlib  # not with the package, which is to take little more time than NumPy

    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.shape} {array.dtype.str} ".encode())
        if isinstance(array, np.memmap):  # perhaps too large to be read beforehand
            array = array[:: -(-len(array) // _ROWS)]
        for start in range(0, len(array), _ROWS):
            sha.update(np.ascontiguousarray(array[start : start + _ROWS]).data)
    return sha.hexdigest()
