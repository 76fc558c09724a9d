"""The memory of processes and of those that they started, as Linux reports it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


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
