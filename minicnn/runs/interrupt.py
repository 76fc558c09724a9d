"""Ctrl-C and SIGTERM end a training after the current step."""

import contextlib
import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from minicnn.training import Callback


class StopOnSignal(Callback):
    """Stops the fit after the current step at the first signal, and at once at the second.

    A context manager that is also a callback of the fit inside it. `mpiexec` forwards a signal to all ranks:
    those with `quiet` print nothing.

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
        """Stop if a signal arrived before the first step."""
        self.state.interrupted = bool(self.received)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            raise KeyboardInterrupt(number)
        self.received = number
        if hasattr(self, "state"):
            self.state.interrupted = True
        if self.quiet:
            return
        # Not print, which is not re-entrant: the signal may have interrupted another print.
        with contextlib.suppress(OSError):  # closed, or a pipe whose reader was ended by the same Ctrl-C
            os.write(2, b"\nstopping after this step; press Ctrl-C again to stop at once\n")

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # other threads cannot set handlers
            self._previous = {n: signal.signal(n, self._handle) for n in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
