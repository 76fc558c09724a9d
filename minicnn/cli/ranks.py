"""A command that several ranks run together: rank 0 alone prints, an error in any of them ends them all."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from types import TracebackType

from minicnn.cli.errors import EXPECTED, sentence
from minicnn.parallel.ranks import Ranks, detect_world


@contextlib.contextmanager
def in_ranks(command: str, timeout: float) -> Iterator[Ranks]:
    """Yield the ranks that `mpiexec` or `srun` started, or this process alone if neither did."""
    ranks = Ranks(detect_world(), timeout)
    if ranks.size == 1:
        yield ranks
        return

    def say(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if isinstance(error, EXPECTED):
            print(f"{command}: {sentence(error)}", file=sys.stderr)
        else:
            sys.__excepthook__(kind, error, traceback)

    hook, sys.excepthook = sys.excepthook, say
    try:
        with open(os.devnull, "w") as nowhere, contextlib.ExitStack() as stack:
            if ranks.rank:
                stack.enter_context(contextlib.redirect_stdout(nowhere))
            with ranks.abort_on_error():
                yield ranks
    finally:
        sys.excepthook = hook
