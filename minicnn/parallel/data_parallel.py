"""One training step on several cores: each computes a shard of the batch with its own replica of the model.

Replicas share the weights, but neither caches nor gradients. The gradients are summed in a fixed order: the
same number of threads gives the same numbers, bit for bit.

Threads can compute shards, since NumPy releases Python's lock in longer operations; but passing the lock on
takes longer than many short ones. So workers do, where model and loss can be sent to other processes.
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from minicnn.errors import noted
from minicnn.layers._claims import current_thread, serve
from minicnn.layers._freezing import share_frozen
from minicnn.layers.base import Layer
from minicnn.losses import call_loss
from minicnn.ops.scaling import to_float
from minicnn.parallel.cores import blas_threads, resolve_threads
from minicnn.parallel.pickling import structure_digest
from minicnn.parallel.ranks import Ranks
from minicnn.parallel.worker_pool import WorkerPool, generator_states
from minicnn.parallel.workers import ShardResult
from minicnn.parameter import Parameter

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

# Input values of the smallest shard for which a worker saves time (16 images of MNIST), a thread with twice.
SMALLEST_SHARD = 12_500
MICROBATCH, MICROBATCH_VALUES = 64, 50_000  # the least examples and input values of a microbatch


class DataParallel:
    """Computes loss and gradients of batches on several cores; a context manager that holds the threads.

    Parameters
    ----------
    model : Layer
        In training mode during the steps. It computes the first shard itself.
    loss : callable
        `f(predictions, labels) -> (mean value, dpredictions)`.
    threads : int, optional
        The number of shards. None: the number of cores this process may use, or 1 if there are several ranks.
        If the model has a `batch_dependent` layer (BatchNorm), BLAS uses the threads instead.
    ranks, workers
        See `Trainer`.

    Attributes
    ----------
    models, parameters : list
        The model for each shard, and its parameters; those of the first model get the batch's gradients.
    is_parallel : bool
        Whether batches are split, over threads or ranks.
    worker_pool : WorkerPool
        The processes that compute shards.
    """

    def __init__(
        self,
        model: Layer,
        loss: Callable,
        threads: int | None,
        ranks: Ranks | None = None,
        workers: str = "auto",
    ) -> None:
        self.ranks = ranks or Ranks()
        rank, size = self.ranks.rank, self.ranks.size
        whole_batch = _batch_dependent(model)
        if whole_batch and ((threads or 1) > 1 or size > 1):
            raise ValueError(
                f"`threads` must be 1 or None, and `comm` have one rank, for a model with {whole_batch[0]}, "
                f"which needs whole batches; got threads={threads}, ranks={size}"
            )
        threads = resolve_threads(threads, size)
        self.model, self.loss = model, loss
        if rank:  # lower ranks use the model's own generators and the first children of these
            for generator in model.generators():
                generator.spawn(rank * threads - 1)
            model = model.replica().train()
        self.models = [model, *(model.replica().train() for _ in range(0 if whole_batch else threads - 1))]
        self.replicas = range(0 if rank else 1, len(self.models))  # in rank 0, the first is the model itself
        self.parameters = [replica.parameters() for replica in self.models]
        self.trainable = [parameter.trainable for parameter in model.parameters()]
        self.is_parallel = len(self.models) > 1 or size > 1
        self.structure_digest = structure_digest(model) if self.is_parallel else None
        self.worker_pool = WorkerPool(workers, self.models, self.parameters, loss, warns=rank == 0)
        if self.is_parallel:
            self.worker_pool.update()
        self.blas_threads = max(threads // len(self.models), 1)
        self.pool: Executor | None = None
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        from concurrent.futures import ThreadPoolExecutor  # imported here to keep `import minicnn` fast

        self.model.needs_dx = False
        self.sync_replicas()
        self.worker_pool.verify_again()
        shards, thread = max(len(self.models) - 1, 1), current_thread()
        pool = ThreadPoolExecutor(shards, "minicnn-shard", initializer=serve, initargs=(thread,))
        self.pool = self._open.enter_context(pool)
        self._open.enter_context(blas_threads(self.blas_threads))  # more would compete for the same cores
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()
        self.pool = None

    def sync_replicas(self) -> None:
        """Apply changes of the model's structure (a rate, an exchanged layer) to the replicas and workers.

        The loop calls it before each epoch, and in the next step if a weight was frozen
        or thawed. The replicas share the weights anyway, and keep their gradients
        and generators. They stay as they are if the model cannot be copied or compared.
        """
        self.trainable = [parameter.trainable for parameter in self.model.parameters()]
        self.model.needs_dx = self.model.needs_dx  # finds again which layers need no backward pass
        for i in self.replicas:
            share_frozen(self.model, self.models[i])
            self.models[i].needs_dx = False
        digest = structure_digest(self.model) if self.is_parallel else None
        if digest is None:
            return
        if digest != self.structure_digest:
            self._copy_structure()
            self.structure_digest = digest
            self.worker_pool.update()
        else:
            self.worker_pool.update_code()

    def _copy_structure(self) -> None:
        if whole_batch := _batch_dependent(self.model):
            name = whole_batch[0]
            raise ValueError(
                f"{name}, which needs whole batches, was added after the Trainer was made: make a new one"
            )
        own = self.model.parameters()
        for i in self.replicas:
            kept: dict[int, Any] = dict(zip(map(id, own), self.parameters[i], strict=True))
            generators = self.models[i].generators()
            for generator in self.model.generators():
                index = self.ranks.rank * len(self.models) + i
                kept[id(generator)] = generators.pop(0) if generators else generator.spawn(index)[-1]
            with contextlib.suppress(TypeError):  # from a part that cannot be copied
                self.models[i] = copy.deepcopy(self.model, kept)

    def forward_backward(self, x: np.ndarray, y: np.ndarray, batch: int | None = None) -> ShardResult:
        """Return mean loss and predictions for a batch, and set the gradients of the first model.

        If `x` and `y` are this rank's part of a batch of `batch` examples, loss and gradients are the part's
        contribution to the means. The part may be empty; it then has no predictions. An exception in a shard
        is raised here, with its traceback, after all other shards have ended.
        """
        if self.trainable != [parameter.trainable for parameter in self.model.parameters()]:
            self.sync_replicas()
        count = max(min(len(self.models), len(x), x.size // self.smallest_shard), 1)
        batch = len(x) if batch is None else batch
        if min(len(x), x.size // SMALLEST_SHARD) > 1:
            self.worker_pool.warn_once()
        if count > 1:  # the memory layout that workers see; another would round sums differently
            x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
        rest = batch, self.worker_pool.is_builtin
        shards = [
            (self.models[i], self.parameters[i], self.loss, x[i::count], y[i::count], *rest)
            for i in range(count)
        ]
        with self._other_shards(shards) as results:
            results[0] = compute_shard(*shards[0])
        losses, outputs = zip(*(results[i] or compute_shard(*shards[i]) for i in range(count)), strict=True)
        for own, *others in zip(*self.parameters[:count], strict=True):
            for other in others if own.trainable else ():
                own.add_grad(other.grad)
        if count == 1:
            return losses[0], outputs[0]
        predictions = np.empty((len(x), *outputs[0].shape[1:]), outputs[0].dtype)
        for i, output in enumerate(outputs):
            predictions[i::count] = output
        return sum(losses), predictions

    @property
    def smallest_shard(self) -> int:
        """Input values of the smallest shard."""
        return SMALLEST_SHARD * (1 if self.worker_pool.is_sendable else 2)

    def generators(self) -> list[list[np.random.Generator]]:
        """Return the random generators of each model, whose states change in every step."""
        return [model.generators() for model in self.models]

    @contextlib.contextmanager
    def _other_shards(self, shards: Sequence[tuple]) -> Iterator[dict[int, ShardResult | None]]:
        """Compute all shards but the first during the block; a result is None where a worker has failed."""
        if self.pool is None:
            raise RuntimeError("DataParallel must be entered first: use a `with` statement")
        indices, pool = range(1, len(shards)), self.worker_pool
        pool.update_loss()
        workers = {i: worker for i in indices if (worker := pool.submit(i, *shards[i][3:]))}
        states = {i: generator_states(self.models[i]) for i in workers if not workers[i].verified}
        futures: dict[int, Future] = {}
        results: dict[int, ShardResult | None] = {}
        try:
            for i in indices:
                if i not in workers:
                    futures[i] = self.pool.submit(compute_shard, *shards[i])
            yield results
        finally:
            for future in futures.values():
                future.exception()  # waits: no shard may still run when an exception is raised
            results |= {i: worker.result() for i, worker in workers.items()}
        results |= {i: future.result() for i, future in futures.items()}
        for i, worker in workers.items():
            if not worker.verified or (results[i] is None and not worker.closed):
                before = states.get(i) or generator_states(self.models[i])
                compute = functools.partial(compute_shard, *shards[i])
                replica = self.models[i], self.parameters[i]
                results[i] = pool.verify(worker, results[i], compute, *replica, before)


def compute_shard(
    model: Layer,
    parameters: Sequence[Parameter],
    loss: Callable,
    x: np.ndarray,
    y: np.ndarray,
    batch: int,
    split: bool,
) -> ShardResult:
    """Run forward, loss and backward for a shard of a batch of `batch` examples; an overflow gives no error.

    Loss and gradients are the shard's contribution to the means over the batch. If `split` is true, a large
    shard is computed in microbatches, whose arrays fit into the cache.
    """
    for parameter in parameters:
        parameter.zero_grad()
    if len(x) == 0:  # there are more ranks than examples
        return 0.0, np.empty(0)
    count = max(min(len(x) // MICROBATCH, x.size // MICROBATCH_VALUES), 1) if split else 1
    total, outputs = 0.0, []
    with np.errstate(all="ignore"), noted(f"with {len(x)} of the batch's {batch} examples"):
        for i in range(count):
            rows = slice(len(x) * i // count, len(x) * (i + 1) // count)
            predictions = model(to_float(x[rows], model.dtype))
            value, dpredictions = call_loss(loss, predictions, y[rows])
            if len(predictions) != batch:
                share = len(predictions) / batch
                value, dpredictions = value * share, dpredictions * share
            model.backward(dpredictions)
            total += value
            outputs.append(predictions)
    return total, outputs[0] if count == 1 else np.concatenate(outputs)


def _batch_dependent(model: Layer) -> list[str]:
    """Return the class names of the layers whose output depends on the whole batch."""
    layers = model, *(layer for _, layer in model.named_layers())
    return [type(layer).__name__ for layer in layers if layer.batch_dependent]
