"""A thread that sees when ranks wait for one that does not come, says which, and ends them all.

By itself MPI would wait for ever. A rank that waits lets rank 0 know from time to time, and rank 0 the
others; so when its patience ends, each knows who has not arrived where it waits.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any, NoReturn

TICKS = 20  # how often, within the time that is waited at most, the thread looks around


def end_all() -> NoReturn:
    """End the processes of all ranks, on all machines."""
    from mpi4py import MPI

    sys.stdout.flush()
    sys.stderr.flush()
    time.sleep(0.5)  # else `mpiexec` may end before it has passed on what was said
    MPI.COMM_WORLD.Abort(1)  # of another communicator, it would leave ranks that are stopped as they are
    os._exit(1)  # MPI need not end this process at once


class Watchdog:
    """Watches over the waits of this rank, from `start` to `end`, again and again.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        All of its ranks must make a watchdog; their talk does not mix with that of others.
    timeout : float
        Seconds.
    """

    def __init__(self, comm: Any, timeout: float) -> None:
        from mpi4py import MPI

        if MPI.Query_thread() < MPI.THREAD_MULTIPLE:
            raise RuntimeError("MPI must be started with THREAD_MULTIPLE, or `rank_timeout` be None")
        self.comm, self.timeout = comm.Dup(), timeout
        self.waits = 0  # each rank waits at the same places, so that the number says where
        self.waiting: tuple[int, str, float] | None = None
        self.heard = [0] * comm.size  # of each other rank: at which place it said that it waits
        self.sent: list[Any] = []
        self.ended = threading.Event()

    def start(self) -> None:
        """Begin to watch."""
        self.ended.clear()
        self.thread = threading.Thread(target=self._watch, name="minicnn-watchdog", daemon=True)
        self.thread.start()

    def begin(self, place: str) -> None:
        """Note that this rank waits from now on."""
        self.waits += 1
        self.waiting = (self.waits, place, time.monotonic())

    def pause(self) -> None:
        """Note that the others came."""
        self.waiting = None

    def end(self) -> None:
        """Stop watching."""
        self.ended.set()
        self.thread.join()

    def _watch(self) -> None:
        ranks = range(self.comm.size)
        while not self.ended.wait(self.timeout / TICKS):
            waiting = self.waiting  # once, since the other thread changes it
            if waiting is None:
                continue
            number, place, since = waiting
            while self.comm.iprobe():
                other, said = self.comm.recv()
                self.heard[other] = said
            self.heard[self.comm.rank] = number
            # Nothing may block here: a process that is stopped does not even take a message.
            for other in ranks[1:] if self.comm.rank == 0 else ranks[:1]:
                self.sent.append(self.comm.isend((self.comm.rank, number), other))
            missing = [other for other in ranks if self.heard[other] < number]
            if self.comm.rank and 0 not in missing:
                continue  # rank 0 waits too, and knows more
            # The others wait a little longer, so that rank 0, if it is there, speaks first.
            patience = self.timeout * (1 if self.comm.rank == 0 else 1.2)
            if time.monotonic() - since > patience and self.waiting is waiting:
                self._abort(missing if self.comm.rank == 0 else [0], place)

    def _abort(self, missing: list[int], place: str) -> None:
        who = " and ".join(f"rank {rank}" for rank in missing) or "the others' messages"
        print(
            f"{who} did not arrive in {place} within {self.timeout:g} seconds; this ends all ranks",
            file=sys.stderr,
        )
        end_all()
