"""Ctrl-C and SIGTERM, taken as a wish to stop soon rather than as an accident."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from minicnn.training import Callback


class StopOnSignal(Callback):
    """While entered, the first signal ends the fit, for now, after the step that runs; a second one at once.

    A context manager that is also a callback: give it to the fit that it surrounds. Of several ranks, to
    which `mpiexec` passes a signal on, only the first says something.

    Attributes
    ----------
    received : int
        The number of the first signal; 0 if there was none.
    """

    every_rank = True

    def __init__(self, quiet: bool = False) -> None:
        self.received, self.quiet = 0, quiet
        self._previous: dict[int, Any] = {}

    def on_train_begin(self) -> None:
        """Stop at once if the signal was faster than the first step."""
        self.trainer.interrupted = bool(self.received)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            raise KeyboardInterrupt(number)
        self.received = number
        if hasattr(self, "trainer"):
            self.trainer.interrupted = True
        if self.quiet:
            return
        # Not print: the signal may have come in the middle of another print, which is not re-entrant.
        with contextlib.suppress(OSError):  # closed, or a pipe whose reader the same Ctrl-C has ended
            os.write(2, b"\nstopping after this step; once more to stop at once\n")

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # nobody else may set handlers
            self._previous = {n: signal.signal(n, self._handle) for n in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
