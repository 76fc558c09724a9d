"""All shards of a batch, each computed by a thread of this process or by a worker."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from minicnn.parallel.shard import Place, ShardResult, compute_shard
from minicnn.parallel.sums import AbortedError, ShardSums, SumMemory, aborting
from minicnn.parallel.worker_pool import WorkerPool
from minicnn.parallel.workers import Worker
from minicnn.parameter import Parameter

if TYPE_CHECKING:
    from concurrent.futures import Future

    from minicnn.parallel.shard_threads import ShardThreads

# A worker is late if this process has waited this many seconds, plus this many times its own working time.
PATIENCE_SECONDS, PATIENCE_FACTOR = 2.0, 10.0

Shard = tuple  # the arguments of `compute_shard` but the last
Results = dict[int, ShardResult | None]  # by the number of the shard
OverRanks = Callable[[np.ndarray], np.ndarray]
Check = Callable[[int, float], None] | None


class ShardedBatch:
    """A batch that is divided into shards.

    Shards that ask for sums over the batch wait for each other. So if a worker fails before its last sum, all
    shards are computed once more, by threads, which gives the same bits. If it fails later, or there are no
    sums, only its own shard is computed here, with the sums that are known.

    Parameters
    ----------
    shards : sequence of tuple
        The arguments of `compute_shard` for each.
    streams : sequence of sequence of Generator
        The random generators of each replica.
    threads : ShardThreads
        What computes the shards that workers do not.
    worker_pool : WorkerPool
        The workers.
    over_ranks : callable, optional
        Sums an array over all ranks, if there are several.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        streams: Sequence[Sequence[np.random.Generator]],
        threads: ShardThreads,
        worker_pool: WorkerPool,
        over_ranks: OverRanks | None = None,
    ) -> None:
        self.shards, self.streams = shards, streams
        self.threads, self.worker_pool = threads, worker_pool
        self.over_ranks, self.others = over_ranks, range(1, len(shards))
        self.totals: list[np.ndarray] = []  # the results of the sums over the batch so far
        self.states = [_states(own) for own in streams[: len(shards)]]
        self.statistics = separate_statistics([parameters for _, parameters, *_ in shards])

    def compute(self) -> list[ShardResult]:
        """Return the results of all shards.

        An exception in a shard is raised here, with its traceback, after all other shards have ended.
        """
        workers, memory = self._submit()
        results = self._attempt(workers, memory)
        if results is None or not self._complete(workers, results):
            if results is not None and self.over_ranks:
                raise RuntimeError(
                    "a layer or the loss computed other sums in a worker, and other ranks have used them "
                    "already: set workers='threads'"
                )
            if not (self.over_ranks or all(worker.verified for worker in workers.values())):
                self.totals = []  # not to be trusted
            self._restore(0, *self.others)
            results = self._attempt({}, SumMemory(len(self.shards)))
            for worker in workers.values():
                if worker.error:
                    self.worker_pool.reject(worker)
        if results is None or None in results.values():
            raise RuntimeError("a shard stopped waiting, although no other shard has failed")
        return [results[i] for i in range(len(self.shards))]  # type: ignore[misc]

    def _submit(self) -> tuple[dict[int, Worker], SumMemory]:
        """Send shards to the workers that are ready; return these, and the memory for sums."""
        pool, workers = self.worker_pool, {}
        pool.update_loss()
        memory = pool.shared_sums() if self.others else None
        if memory is not None:
            memory.attempt += 1
            rest = len(self.shards), memory.attempt, self.over_ranks is not None
            with aborting(memory):
                sent = {i: pool.submit(Place(i, *rest), *self.shards[i][3:]) for i in self.others}
            workers = {i: worker for i, worker in sent.items() if worker}
        return workers, memory if workers and memory else SumMemory(len(self.shards))

    def _attempt(self, workers: Mapping[int, Worker], memory: SumMemory) -> Results | None:
        """Compute all shards; None if one stopped waiting for a worker's sums.

        A result is None if a worker failed and no other shard needed it any more. The function is long, since
        all that it starts must have ended when it returns or raises.
        """
        known, start = tuple(self.totals), time.perf_counter()

        def check(other: int, seconds: float) -> None:
            worker = workers.get(other)
            if worker and (seconds > _patience(start, seconds) or not worker.is_alive()):
                worker.detach()
                memory.end(other, failed=True)

        futures: dict[int, Future] = {}
        results: Results = {}
        sums = self._sums(0, memory, known, check)
        with aborting(memory):  # twice, since there may be a second Ctrl-C
            try:
                with aborting(memory), contextlib.suppress(AbortedError):
                    for i in self.others:
                        if i not in workers:
                            futures[i] = self.threads.submit(self._compute, i, self._sums(i, memory, known))
                    results[0] = self._compute(0, sums)
            finally:
                self.totals = sums.totals
                for i, worker in workers.items():
                    results[i] = worker.result(_patience(start))
                    memory.end(i, failed=results[i] is None)
                errors = [future.exception() for future in futures.values()]  # waits for their end
        for error in errors:
            if error is not None and not isinstance(error, AbortedError):
                raise error
        if 0 not in results or any(errors):
            return None
        return results | {i: future.result() for i, future in futures.items()}

    def _complete(self, workers: Mapping[int, Worker], results: Results) -> bool:
        """Compute the shards of failed and of unverified workers here; return whether their sums are right.

        The user's code may depend on more than is sent to a worker: on globals of a module, on random numbers
        from elsewhere.
        """
        right = True
        for i, worker in workers.items():
            result = results[i]
            if result is not None and worker.verified:
                continue
            found = result and self._bits(i, result, worker.checksum)
            self._restore(i)
            memory = SumMemory(len(self.shards))
            for other in range(len(self.shards)):
                memory.end(other)
            sums = self._sums(i, memory, self.totals)
            results[i] = own = self._compute(i, sums)
            if found == self._bits(i, own, sums.checksum):
                worker.verified = True
                continue
            right = right and (not self.totals or (result is None and worker.verified))
            if result is not None or not worker.closed:  # it was not killed
                self.worker_pool.reject(worker, differs=result is not None)
        return right

    def _sums(self, i: int, memory: SumMemory, known: Sequence[np.ndarray], check: Check = None) -> ShardSums:
        over_ranks = self.over_ranks if i == 0 else None
        return ShardSums(memory, i, len(self.shards), known, over_ranks, self.over_ranks is not None, check)

    def _compute(self, i: int, sums: ShardSums) -> ShardResult:
        with sums:
            return compute_shard(*self.shards[i])

    def check_statistics(self, needs_sums: bool) -> None:
        """Raise if `forward` changed running statistics and must not, or in a different way in each shard."""
        for k, old in self.statistics.items():
            own, *others = (parameters[k].value for _, parameters, *_ in self.shards)
            if not needs_sums and not _equal(own, old):
                raise ValueError(
                    "a layer changes weights in forward (running statistics), so each shard of a batch would "
                    "change them; set `batch_dependent = True` on its class, and compute them from sums over "
                    "the whole batch, see `minicnn.sum_over_batch`; or use one thread"
                )
            if not all(_equal(own, other) for other in others):
                raise ValueError(
                    "the shards of a batch changed weights in forward (running statistics) in different "
                    "ways; compute them from sums over the whole batch, see `minicnn.sum_over_batch`, or use "
                    "one thread"
                )

    def _restore(self, *indices: int) -> None:
        """Restore random generators and statistics of replicas, as they were before the batch."""
        for i in indices:
            for generator, state in zip(self.streams[i], self.states[i], strict=True):
                generator.bit_generator.state = state
            for k, value in self.statistics.items():
                self.shards[i][1][k].value = value

    def _bits(self, i: int, result: ShardResult, checksum: int) -> list:
        """Return copies of all that a shard computes, to be compared bit by bit."""
        loss, predictions = result
        grads = [parameter.grad.tobytes() for parameter in self.shards[i][1]]
        states = repr(_states(self.streams[i]))
        return [np.float64(loss).tobytes(), predictions.tobytes(), *grads, states, checksum]


def separate_statistics(parameters: Sequence[Sequence[Parameter]]) -> dict[int, np.ndarray]:
    """Give replicas copies of running statistics, and let them share all other weights.

    So what `forward` makes of statistics counts in the first shard only.

    Parameters
    ----------
    parameters : sequence of sequence of Parameter
        The parameters of each replica.

    Returns
    -------
    dict of int to ndarray
        Copies of these values, by the number of the parameter.
    """
    before = {}
    for k, (first, *others) in enumerate(zip(*parameters, strict=True)):
        if first.is_statistic:
            before[k] = first.value.copy()
        for other in others:
            if (other.value is first.value) == first.is_statistic:
                other.rebind(first.value.copy() if first.is_statistic else first.value, other.grad)
            elif first.is_statistic:
                other.value = first.value
    return before


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two arrays have the same values, which may be NaN."""
    return np.array_equal(a, b) or np.array_equal(a, b, equal_nan=True)  # the second takes ten times as long


def _states(generators: Sequence[np.random.Generator]) -> list[dict]:
    return [dict(generator.bit_generator.state) for generator in generators]


def _patience(start: float, waited: float = 0.0) -> float:
    return PATIENCE_SECONDS + PATIENCE_FACTOR * (time.perf_counter() - start - waited)
