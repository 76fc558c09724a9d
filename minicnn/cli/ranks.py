"""Commands that run on several ranks: only rank 0 prints, and an error on one rank ends all."""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from types import TracebackType

from minicnn.cli.errors import EXPECTED, one_line, with_options
from minicnn.parallel.ranks import Ranks, detect_world


@contextlib.contextmanager
def in_ranks(args: argparse.Namespace) -> Iterator[Ranks]:
    """Yield the ranks that `mpiexec` or `srun` started, or this process alone."""
    ranks = Ranks(detect_world(), args.rank_timeout)
    if ranks.size == 1:
        yield ranks
        return

    def report(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if isinstance(error, EXPECTED):
            message = with_options(one_line(error), vars(args))
            print(f"minicnn {args.command}: {message}", file=sys.stderr)
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
