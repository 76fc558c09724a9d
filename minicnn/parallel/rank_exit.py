"""`os._exit` in an MPI rank: an error of the whole job."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import NoReturn

from minicnn.parallel.watchdog import abort_all_ranks


@contextlib.contextmanager
def exit_aborts_all_ranks(name: str) -> Iterator[None]:
    """Let `os._exit` in this process, also with status 0, say which rank it was and end all ranks as failed.

    MPICH's `mpiexec` takes a rank that ends with status 0 for a finished job, even if others wait for it: it
    kills these without a word, and returns 0. An exception, `sys.exit` included, needs no such care.
    """
    rank, original = os.getpid(), os._exit

    def exit_all(status: int) -> NoReturn:
        if os.getpid() == rank:  # not in a child that this process has forked
            print(f"{name} called os._exit({status}) in a fit; aborting all ranks", file=sys.stderr)
            abort_all_ranks()
        original(status)

    os._exit = exit_all
    try:
        yield
    finally:
        os._exit = original
