"""Commands that run on several ranks: only rank 0 prints, and an error on one rank ends all."""

import contextlib
import os
import sys
from collections.abc import Iterator
from types import TracebackType

from minicnn.cli.errors import EXPECTED, one_line
from minicnn.parallel.ranks import Ranks, detect_world


@contextlib.contextmanager
def in_ranks(command: str, timeout: float) -> Iterator[Ranks]:
    """Yield the ranks that `mpiexec` or `srun` started, or this process alone."""
    ranks = Ranks(detect_world(), timeout)
    if ranks.size == 1:
        yield ranks
        return

    def report(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if isinstance(error, EXPECTED):
            print(f"{command}: {one_line(error)}", file=sys.stderr)
        else:
            sys.__excepthook__(kind, error, traceback)

    hook, sys.excepthook = sys.excepthook, report
    try:
        with open(os.devnull, "w") as devnull, contextlib.ExitStack() as stack:
            if ranks.rank:
                stack.enter_context(contextlib.redirect_stdout(devnull))
            with ranks.abort_on_error():
                yield ranks
    finally:
        sys.excepthook = hook
