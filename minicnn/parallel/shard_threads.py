"""The threads that compute shards, or wait for the workers that do."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

from minicnn.safeguards.threads import current_thread, serve


class ShardThreads:
    """A pool of threads; a context manager that ends them.

    A forked process has none of them, and would wait for ever: it gets threads of its own when it continues.

    Parameters
    ----------
    count : int
        The number of threads.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._served = current_thread()  # whose claims on the model the threads share
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._threads.shutdown()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future:
        """Call a function in one of the threads."""
        if self._process != os.getpid():
            self._start()
        return self._threads.submit(function, *arguments)

    def _start(self) -> None:
        self._process = os.getpid()
        self._threads = ThreadPoolExecutor(
            self.count, "minicnn-shard", initializer=serve, initargs=(self._served,)
        )
