"""The time that a solution takes, without that in which it waited for a core of a busy machine."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

PATIENCE = 5.0  # at most so many times the seconds of a clock on the wall, however busy the machine seems


class Stopwatch:
    """Seconds since `restart`, without those in which processes were ready to run and got no core.

    Linux counts those for each thread (`man 5 proc_pid_schedstat`); elsewhere nothing is subtracted.

    Parameters
    ----------
    processes : callable
        Returns the ids of the processes that count, beside the calling thread.
    """

    def __init__(self, processes: Callable[[], Iterable[int]]) -> None:
        self.processes = processes
        self.started, self.waited_before = 0.0, 0.0
        self.restart()

    def restart(self) -> None:
        """Begin at 0 again."""
        self.started, self.waited_before = time.monotonic(), self._waited()

    def elapsed(self) -> float:
        """Return the seconds; at least a fifth of those on the wall, as a file may keep all cores busy."""
        passed = time.monotonic() - self.started
        return max(passed - max(self._waited() - self.waited_before, 0.0), passed / PATIENCE)

    def _waited(self) -> float:
        folders = [Path("/proc/self/task", str(threading.get_native_id()))]
        for process in self.processes():
            with contextlib.suppress(OSError):  # it has ended
                folders += Path("/proc", str(process), "task").iterdir()
        return sum(map(_waited, folders)) / 1e9


def _waited(thread: Path) -> int:
    """Return the nanoseconds in which a thread waited for a core; 0 where the system does not count them."""
    try:
        return int((thread / "schedstat").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
