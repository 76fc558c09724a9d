"""Sums over the shards of a batch, in memory that all of them see.

Each shard writes its values and then a counter, waits for the counters of the others, and adds the values of
all in the order of the shards. Threads use private memory, worker processes shared memory; there is no other
difference. Two slots in turn are enough: a shard that writes its next values has seen that all others have
written the present ones, and so have read those before.

No shard waits for one that does not come. A shard that ends says so, and whether it has failed; then those
that wait for it fail too. The first shard, which the process that trains computes itself, says it for a
worker that has died, and a worker looks whether that process still runs.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Self, TypeVar

import numpy as np

from minicnn.batch_sums import summing

T = TypeVar("T")
ROOM = 1 << 12  # float64 values of a shard that are exchanged at a time
# Words of 8 bytes that each shard has, in a cache line of its own: its last turn; whether it has ended (the
# number of the attempt, negative if it has failed); the sizes of its values in both slots.
TURN, ENDED, SIZES, WORDS = 0, 1, 2, 8
SPIN_SECONDS = 2e-3  # of polling without sleeping, since a thread that sleeps wakes up late
BUSY_SECONDS = 1e-4  # a pause that took so long was used by another process: this core is wanted
SHORTEST_SLEEP, LONGEST_SLEEP = 5e-5, 1e-3

# Both release Python's lock, too.
_let_others_run = getattr(os, "sched_yield", None) or functools.partial(time.sleep, 0)
UNEQUAL_CALLS = "the shards of a batch must call `sum_over_batch` equally often, with arrays of equal shapes"


class AbortedError(Exception):
    """Raised in a shard that waits for another one that has failed."""


class SumMemory:
    """Counters and values of all shards.

    Parameters
    ----------
    count : int
        The number of shards, at most.
    memory : ndarray of uint8, optional
        Shared memory of `SumMemory.size(count)` bytes, all zero at first.

    Attributes
    ----------
    attempt : int
        The number of the attempt to compute a batch, from 1. What a shard of an earlier one has left behind,
        or still writes, counts for nothing.
    """

    def __init__(self, count: int, memory: np.ndarray | None = None) -> None:
        memory = np.zeros(self.size(count), np.uint8) if memory is None else memory
        self.words = memory[: 8 * WORDS * count].data.cast("q")
        self.slots = memory[8 * WORDS * count :].view(np.float64).reshape(2, count, ROOM)
        self.attempt = 1
        self._fence = threading.Lock()

    @staticmethod
    def size(count: int) -> int:
        """Return the number of bytes for `count` shards."""
        return 8 * count * (WORDS + 2 * ROOM)

    def end(self, index: int, *, failed: bool = False) -> None:
        """Mark a shard that makes no more sums in this attempt."""
        self.words[WORDS * index + ENDED] = -self.attempt if failed else self.attempt

    def abort(self) -> None:
        """End the attempt, so that no shard waits for another one."""
        for index in range(self.slots.shape[1]):
            self.end(index, failed=True)

    def fence(self) -> None:
        """Keep the order of what this thread reads and writes before and after, for other processors too."""
        for _ in range(2):
            with self._fence:
                pass


class ShardSums:
    """What `sum_over_batch` does in one shard, inside a `with` block.

    Parameters
    ----------
    memory : SumMemory
        Shared by the shards.
    index, count : int
        The number of this shard, and of all.
    known : sequence of ndarray
        Results of the first sums, if the shard is computed once more; for these it does not wait.
    over_ranks : callable, optional
        Sums an array over all ranks. Only the first shard calls it.
    has_ranks : bool
        Whether the first shard does.
    check : callable, optional
        `check(other, seconds)`, called now and then while this shard waits for another one.

    Attributes
    ----------
    totals : list of ndarray
        The results.
    checksum : int
        Of all that this shard has added.
    """

    def __init__(
        self,
        memory: SumMemory,
        index: int,
        count: int,
        known: Sequence[np.ndarray] = (),
        over_ranks: Callable[[np.ndarray], np.ndarray] | None = None,
        has_ranks: bool = False,
        check: Callable[[int, float], None] | None = None,
    ) -> None:
        self.memory, self.index, self.count, self.known = memory, index, count, known
        self.over_ranks, self.has_ranks, self.check = over_ranks, has_ranks, check
        self.totals: list[np.ndarray] = []
        self.checksum = 0
        self.turn = memory.attempt << 32  # so that those of earlier attempts are smaller
        self._summing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._summing.enter_context(summing(self))
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._summing.close()
        self.memory.end(self.index, failed=error is not None)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the sum over all shards and ranks of float64 `values`."""
        self.checksum = zlib.crc32(values.tobytes(), self.checksum)
        if len(self.totals) < len(self.known):
            total = self.known[len(self.totals)]
        else:
            total = self._add(values)
            if self.over_ranks is not None:
                total = self.over_ranks(total) + 0.0  # not -0.0, see below
        self.totals.append(total)
        if self.has_ranks and len(self.totals) > len(self.known):  # the others add zeros to it
            total = self._add(total if self.over_ranks is not None else np.zeros_like(total))
            self.totals[-1] = total
        return total

    def _add(self, values: np.ndarray) -> np.ndarray:
        """Return the sum over the shards of this process and its workers."""
        if self.count == 1:
            return values.copy()
        flat = values.ravel()
        if flat.size <= ROOM:
            return self._add_part(flat).reshape(values.shape)
        parts = [self._add_part(flat[i : i + ROOM]) for i in range(0, flat.size, ROOM)]
        return np.concatenate(parts).reshape(values.shape)

    def _add_part(self, values: np.ndarray) -> np.ndarray:
        memory, words, own, size = self.memory, self.memory.words, WORDS * self.index, values.size
        self.turn += 1
        slot = self.turn & 1
        parts = memory.slots[slot]
        parts[self.index, :size] = values
        words[own + SIZES + slot] = size
        memory.fence()
        words[own + TURN] = self.turn
        for other in range(self.count):
            if words[WORDS * other + TURN] < self.turn:
                self._wait(other)
        memory.fence()
        total = np.zeros(size)
        for other in range(self.count):
            if words[WORDS * other + SIZES + slot] != size:
                raise ValueError(UNEQUAL_CALLS)
            total += parts[other, :size]
        return total

    def _wait(self, other: int) -> None:
        """Wait until another shard has written its values."""
        for _ in spins():
            if self._has_come(other):
                return
        start, sleep = time.perf_counter(), SHORTEST_SLEEP
        while not self._has_come(other):
            if self.check is not None:
                self.check(other, time.perf_counter() - start)
            time.sleep(sleep)
            sleep = min(1.5 * sleep, LONGEST_SLEEP)

    def _has_come(self, other: int) -> bool:
        words, line = self.memory.words, WORDS * other
        ended = words[line + ENDED]  # read before the counter, which does not change after the end
        if words[line + TURN] >= self.turn:
            return True
        if ended == -self.memory.attempt:
            raise AbortedError
        if ended == self.memory.attempt:
            raise ValueError(UNEQUAL_CALLS)
        return False


@contextlib.contextmanager
def aborting(memory: SumMemory) -> Iterator[None]:
    """Abort an attempt if an exception leaves the block: KeyboardInterrupt also comes between two shards."""
    try:
        yield
    except BaseException:
        memory.abort()
        raise


def run_in_shards(functions: Sequence[Callable[[], T]]) -> list[T]:
    """Call all functions at the same time, each as a shard of one batch, and return their results."""
    from concurrent.futures import ThreadPoolExecutor  # imported here to keep `import minicnn` fast

    memory = SumMemory(len(functions))

    def call(i: int) -> T:
        with ShardSums(memory, i, len(functions)):
            return functions[i]()

    with ThreadPoolExecutor(len(functions)) as executor, aborting(memory):
        futures = [executor.submit(call, i) for i in range(len(functions))]
    errors = [error for future in futures if (error := future.exception())]
    for error in sorted(errors, key=lambda error: isinstance(error, AbortedError)):
        raise error
    return [future.result() for future in futures]


def spins() -> Iterator[None]:
    """Yield again and again, while waiting without sleep is worth it and no other process wants this core."""
    now = time.perf_counter()
    deadline = now + SPIN_SECONDS
    while now < deadline:
        yield
        _let_others_run()
        before, now = now, time.perf_counter()
        if now - before > BUSY_SECONDS:
            return
