"""Ctrl-C, SIGTERM and SIGHUP end a training after the current step."""

import contextlib
import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from minicnn.training import Callback

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


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
        self._stderr = _identity()

    def on_train_begin(self) -> None:
        """Stop if a signal arrived before the first step."""
        self.state.interrupted = bool(self.received)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            raise KeyboardInterrupt(number)
        self.received = number
        if hasattr(self, "state"):
            self.state.interrupted = True
        if self.quiet or self._stderr is None or _identity() != self._stderr:
            return
        # Not print, which is not re-entrant: the signal may have interrupted another print.
        with contextlib.suppress(OSError):  # a pipe whose reader was ended by the same Ctrl-C
            os.write(2, b"\nstopping after this step; press Ctrl-C again to stop at once\n")

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # other threads cannot set handlers
            numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
            # `nohup` and the background jobs of scripts ignore a signal; so does the training then.
            heeded = [n for n in numbers if signal.getsignal(n) is not signal.SIG_IGN]
            self._previous = {n: signal.signal(n, self._handle) for n in heeded}
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)


def _identity() -> tuple[int, int] | None:
    """Return what tells the file behind descriptor 2 from others; None if Python has no stderr there.

    In a process that was started without it, the number may be that of another file by now.
    """
    try:
        status = os.fstat(2)
        return (status.st_dev, status.st_ino) if sys.__stderr__ and sys.__stderr__.fileno() == 2 else None
    except (OSError, ValueError):
        return None
