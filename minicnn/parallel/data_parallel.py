"""One training step on several cores: a replica of the model for each, on its shard of the batch.

NumPy lets go of Python's lock in matrix products and in long elementwise operations, so threads help; but
threads must share neither caches nor gradients. Replicas share the weights and nothing else. Their
gradients are summed in a fixed order: the same number of threads gives the same numbers, bit for bit.

What lies between these operations, threads must do one after the other, and handing over the lock takes
longer than many of them. So where it can be, a shard is computed by another process, a worker: for models and
losses that are all of this package, see `minicnn.parallel.workers`. What users write runs on threads.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parallel.cores import available_threads, blas_threads
from minicnn.parallel.pickling import pickled_model, structure_digest
from minicnn.parallel.ranks import Ranks
from minicnn.parallel.shard import ShardResult, compute_shard
from minicnn.parallel.workers import Worker
from minicnn.validation import check_int

if TYPE_CHECKING:
    from concurrent.futures import Future

# Fewer input values than this in a shard (16 digits of MNIST), and to ask a worker and to add up gradients
# takes more than it saves. Threads moreover wait for each other: their shards must be twice as large.
SMALLEST_SHARD = 12_500
PREDICTION_BYTES = 1 << 16  # bytes


class DataParallel:
    """Runs the steps of a fit; a context manager, since it holds threads while it is open.

    Parameters
    ----------
    model : Layer
        It computes the first shard itself, and is put into training mode by whoever owns it.
    loss : callable
        `f(predictions, labels) -> (mean value, dpredictions)`.
    threads : int, optional
        None takes the cores that this process may use. A model whose examples influence each other in
        training (`batch_dependent`: BatchNorm) is computed in one piece, and BLAS may use the threads.
        Of several ranks, each takes one.
    ranks : Ranks, optional
        With whom the batches are shared.
    """

    def __init__(self, model: Layer, loss: Callable, threads: int | None, ranks: Ranks | None = None) -> None:
        self.ranks = ranks or Ranks()
        mixing = _mixing(model)
        alone = "`threads` must be 1 or None", "`comm` must have one rank or be None"
        for sentence, number in zip(alone, (threads or 1, self.ranks.size), strict=True):
            if mixing and number > 1:
                raise ValueError(
                    f"{sentence} for a model with {mixing[0]}, whose examples influence each "
                    f"other: the result would depend on the shards; got {number}"
                )
        if threads is None:
            threads = available_threads() if self.ranks.size == 1 else 1
        total = check_int(threads, "threads", low=1)
        self.model, self.loss = model, loss
        if self.ranks.rank:  # the ranks before have the model's own random streams, and replicas' of them
            for stream in model.generators():
                stream.spawn(self.ranks.rank * total - 1)
            model = model.replica().train()
        self.models = [model, *(model.replica().train() for _ in range(0 if mixing else total - 1))]
        for replica in self.models[0 if self.ranks.rank else 1 :]:
            replica.needs_dx = False
        self.parameters = [one.parameters() for one in self.models]
        self.blas_threads = max(total // len(self.models), 1)
        self.workers: dict[int, Worker] = {}
        self.is_parallel = len(self.models) > 1 or self.ranks.size > 1
        self.pickled_model = (
            pickled_model(self.models[-1], self.parameters[-1], loss) if self.is_parallel else None
        )
        self.structure_digest = structure_digest(model) if self.is_parallel else None
        self.is_builtin = (
            self.pickled_model is not None
        )  # so no example influences another, nor the loss of another
        self.smallest = SMALLEST_SHARD * (1 if self.is_builtin else 2)

    def __enter__(self) -> Self:
        # Imported when a fit begins: `import minicnn` is to take little more time than `import numpy`.
        from concurrent.futures import ThreadPoolExecutor

        self.sync_replicas()
        self.pool = ThreadPoolExecutor(max(len(self.models) - 1, 1), "minicnn-shard")
        # Two pools of threads would fight for the same cores: BLAS works alone within each of ours.
        self.limits = blas_threads(self.blas_threads)
        self.limits.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.limits.__exit__(None, None, None)
        self.pool.shutdown()

    def sync_replicas(self) -> None:
        """Let all replicas be as the model is now: somebody may have changed a rate, or exchanged a layer.

        They keep their weights, gradients and random streams. What somebody changes counts from the next fit
        or epoch on, in all shards at once; weights count at once, since replicas share them. (Not so in
        models that hold what cannot be copied, or not be compared: their replicas stay as they are.)
        """
        now = structure_digest(self.model) if self.is_parallel else None
        if now is None or now == self.structure_digest:
            return
        if mixing := _mixing(self.model):
            raise ValueError(f"a model must not be given a {mixing[0]} when it has a trainer: make a new one")
        for i in range(0 if self.ranks.rank else 1, len(self.models)):
            replica, place = self.models[i], self.ranks.rank * len(self.models) + i
            kept: dict[int, Any] = dict(
                zip(map(id, self.model.parameters()), self.parameters[i], strict=True)
            )
            streams = replica.generators()
            for stream in self.model.generators():
                kept[id(stream)] = streams.pop(0) if streams else stream.spawn(place)[-1]
            with contextlib.suppress(TypeError):  # of what cannot be copied
                self.models[i] = copy.deepcopy(self.model, kept)
        for worker in self.workers.values():
            if not worker.closed:
                worker.detach()
        self.workers = {}
        self.pickled_model = pickled_model(self.models[-1], self.parameters[-1], self.loss)
        self.is_builtin = self.pickled_model is not None
        self.structure_digest = now

    def forward_backward(
        self, x: np.ndarray, y: np.ndarray, batch: int | None = None
    ) -> tuple[float, np.ndarray]:
        """Return mean loss and predictions for a batch; its gradients are then those of the first model.

        Of a part of a batch with so many examples, loss and gradients are the part's share in the means; it
        may be empty, and then has no predictions.

        An exception in a shard is raised here, with its traceback, when no other shard runs any more.
        """
        count = max(min(len(self.models), len(x), x.size // self.smallest), 1)
        batch = len(x) if batch is None else batch
        if count > 1:  # in the order in which workers see it: in another, sums would be rounded otherwise
            x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
        tasks = {i: (x[i::count], y[i::count], batch) for i in range(count)}
        asked = {i: worker for i in range(1, count) if (worker := self._submit(i, *tasks[i]))}
        futures: dict[int, Future] = {}
        answers: dict[int, ShardResult | None] = {}
        try:
            for i in range(1, count):
                if i not in asked:
                    futures[i] = self.pool.submit(self._shard, i, *tasks[i])
            answers[0] = self._shard(0, *tasks[0])
        finally:
            for future in futures.values():
                future.exception()  # waits; nothing may run on when an exception leaves this method
            answers |= {i: worker.result() for i, worker in asked.items()}
        answers |= {i: future.result() for i, future in futures.items()}
        results = [answers[i] or self._shard(i, *tasks[i]) for i in range(count)]
        for own, *others in zip(*self.parameters[:count], strict=True):
            for other in others:
                own.add_grad(other.grad)
        if count == 1:
            return results[0]
        predictions = np.empty((len(x), *results[0][1].shape[1:]), results[0][1].dtype)
        for i, (_, part) in enumerate(results):
            predictions[i::count] = part
        return sum(loss for loss, _ in results), predictions

    def generators(self) -> list[list[np.random.Generator]]:
        """Return the random streams of each model, which go on from step to step."""
        return [model.generators() for model in self.models]

    def _submit(self, index: int, x: np.ndarray, y: np.ndarray, batch: int) -> Worker | None:
        """Return the worker that computes this shard from now on; None, if there is none, or none yet."""
        worker = self.workers.get(index)
        if worker is not None and worker.closed and not worker.ready:
            self.pickled_model = None  # it ended before it ever was there: so would the next
        if worker is not None and worker.arena.memory.nbytes < x.nbytes + y.nbytes:
            worker.detach()  # it was made for smaller shards
        if self.pickled_model is None:
            return None
        if worker is None or worker.closed:
            capacity = x.nbytes + y.nbytes + PREDICTION_BYTES
            try:
                worker = Worker(self.models[index], self.parameters[index], self.pickled_model, capacity)
            except (OSError, ValueError):
                self.pickled_model = None
                return None
            self.workers[index] = worker
        return worker if worker.submit(x, y, batch) else None

    def _shard(self, index: int, x: np.ndarray, y: np.ndarray, batch: int) -> ShardResult:
        model, parameters = self.models[index], self.parameters[index]
        return compute_shard(model, parameters, self.loss, x, y, batch, split=self.is_builtin)


def _mixing(model: Layer) -> list[str]:
    """Return the classes of the layers whose examples influence each other."""
    layers = (model, *dict(model.named_layers()).values())
    return [type(layer).__name__ for layer in layers if layer.batch_dependent]
