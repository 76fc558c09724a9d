"""Answers go before steps of training, on a server whose networks learn while somebody draws."""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

_PATIENCE = 0.02  # seconds that a step waits at most: a class of many hands does not stop the training


class Courtesy:
    """Who answers says so, and a thread that trains waits for that between two steps.

    Both compete for the interpreter and the cores: beside the steps an answer takes several times as long as
    alone.

    Parameters
    ----------
    patience : float
        Seconds that a step waits at most.
    """

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self.pending = 0  # answers that are being given
        self._change = threading.Condition()

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Let the steps wait until the block ends."""
        with self._change:
            self.pending += 1
        try:
            yield
        finally:
            with self._change:
                self.pending -= 1
                if not self.pending:
                    self._change.notify_all()

    def first(self, view: Callable[[], T]) -> Callable[[], T]:
        """Return a function whose answers steps wait for."""

        @functools.wraps(view)
        def answered() -> T:
            with self.answering():
                return view()

        return answered

    def give_way(self) -> None:
        """Wait for the answers that are being given, but not for long."""
        with self._change:
            self._change.wait_for(lambda: not self.pending, self._patience)
