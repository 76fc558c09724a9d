"""A thread that ends all MPI ranks if one of them does not arrive where the others wait for it.

MPI itself would wait for ever. While a rank waits, its watchdog reports this to rank 0, and that of rank 0
reports to all others. So when the timeout is over, it is known which ranks have not arrived.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, NoReturn

CHECKS_PER_TIMEOUT = 20
_exit = os._exit  # a fit over several ranks replaces that of `os`


def abort_all_ranks() -> NoReturn:
    """End the processes of all ranks, on all machines."""
    from mpi4py import MPI

    sys.stdout.flush()
    sys.stderr.flush()
    time.sleep(0.5)  # `mpiexec` may otherwise exit before it has forwarded the output
    MPI.COMM_WORLD.Abort(1)  # Abort of another communicator would not end ranks that are stopped
    _exit(1)  # MPI does not guarantee that Abort ends the calling process immediately


class Watchdog:
    """Watches how long this rank waits for the others, inside a `running()` block.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        The communicator, of which all ranks must create a watchdog. A duplicate of it carries the watchdogs'
        messages.
    timeout : float
        Seconds.
    """

    def __init__(self, comm: Any, timeout: float) -> None:
        from mpi4py import MPI

        if MPI.Query_thread() < MPI.THREAD_MULTIPLE:
            raise RuntimeError("a rank timeout needs MPI with THREAD_MULTIPLE; or set rank_timeout=None")
        self.comm, self.timeout = comm.Dup(), timeout
        self.waits = 0  # all ranks wait at the same points of the program: the number identifies the point
        self.current: tuple[int, str, float] | None = None  # number, stage and start of the current wait
        self.reported = [0] * comm.size  # the number of the last wait that each rank has reported
        self.requests: list[Any] = []  # of messages being sent, which must stay referenced

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run the watchdog's thread."""
        ended = threading.Event()
        thread = threading.Thread(None, self._watch, "minicnn-watchdog", (ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    @contextlib.contextmanager
    def waiting(self, stage: str) -> Iterator[None]:
        """Mark a block that waits for the other ranks."""
        self.waits += 1
        self.current = (self.waits, stage, time.monotonic())
        yield
        self.current = None

    def _watch(self, ended: threading.Event) -> None:
        rank, size = self.comm.rank, self.comm.size
        # The other ranks wait a little longer, so that rank 0, which knows more, reports first.
        timeout_factor = 1 if rank == 0 else 1.2
        while not ended.wait(self.timeout / CHECKS_PER_TIMEOUT):
            current = self.current  # read once, since the main thread changes it
            if current is None:
                continue
            number, stage, start = current
            while self.comm.iprobe():
                sender, reported = self.comm.recv()
                self.reported[sender] = reported
            self.reported[rank] = number
            # Sending must not block: a process that is stopped receives no message.
            for other in range(1, size) if rank == 0 else [0]:
                self.requests.append(self.comm.isend((rank, number), other))
            missing = [other for other in range(size) if self.reported[other] < number]
            if rank and 0 not in missing:
                continue  # rank 0 waits as well, and reports
            missing = [0] if rank else missing
            if time.monotonic() - start > self.timeout * timeout_factor and self.current is current:
                who = " and ".join(f"rank {other}" for other in missing) or "an MPI message"
                text = f"{who} did not reach {stage} within {self.timeout:g} s; aborting all ranks"
                print(text, file=sys.stderr)
                abort_all_ranks()
