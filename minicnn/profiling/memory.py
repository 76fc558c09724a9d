"""The memory of a process and its children."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path


def children(pid: int | str) -> Iterator[int]:
    """Yield the ids of a process's descendants; none if the system does not report them."""
    for task in Path("/proc").glob(f"{pid}/task/*/children"):
        with contextlib.suppress(OSError):  # the process has just ended
            for child in map(int, task.read_text().split()):
                yield child
                yield from children(child)


def memory_mb(pid: int | str, file: str, field: str) -> float:
    """Return the sum of the fields with this prefix in a /proc file, in MB; 0 if there is no such file."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:  # another system, or the process has just ended
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024 / 1e6


def peak_memory_mb() -> float | None:
    """Return the peak memory of this process and its running children in MB; None if it is unknown.

    The children are the workers of a training.
    """
    # getrusage would include the memory of the parent process at the fork.
    if peak := memory_mb("self", "status", "VmHWM"):
        return round(peak + sum(memory_mb(child, "status", "VmHWM") for child in children("self")), 1)
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)
