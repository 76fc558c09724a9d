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
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from minicnn.layers._freezing import share_frozen
from minicnn.layers.base import Layer
from minicnn.parallel.pickling import is_builtin, structure_digest
from minicnn.parallel.ranks import Ranks
from minicnn.parallel.shard import ShardResult, compute_shard, has_large_maps, interleave
from minicnn.parallel.sharded_batch import ShardedBatch
from minicnn.parallel.threads import blas_threads
from minicnn.parallel.whole_batch import (
    batch_dependent_parts,
    count_shards,
    find_loss_mistake,
    find_mixing_layer,
)
from minicnn.parallel.worker_pool import WorkerPool

if TYPE_CHECKING:
    from minicnn.parallel.shard_threads import ShardThreads

# Input values of the smallest shard for which a worker saves time (16 images of MNIST), a thread with twice.
SMALLEST_SHARD = 12_500


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
        A `batch_dependent` layer or loss that does not call `sum_over_batch` allows only one.
    ranks, workers
        See `Trainer`.

    Attributes
    ----------
    models, parameters : list
        The model for each shard, and its parameters; those of the first model get the batch's gradients.
    named_parameters : list of (str, Parameter)
        Those of the first model.
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
        """Make all attributes in one place, in the order in which they need each other."""
        self.ranks = ranks or Ranks()
        self.model, self.loss, rank = model, loss, self.ranks.rank
        self.needs_sums = bool(batch_dependent_parts(model, loss))
        threads = count_shards(model, loss, threads, self.ranks.size)
        if rank:  # lower ranks use the model's own generators and the first children of these
            for generator in model.generators():
                generator.spawn(rank * threads - 1)
            model = model.replica().train()
        self.models = [model, *(model.replica().train() for _ in range(threads - 1))]
        self.replicas = range(0 if rank else 1, len(self.models))  # in rank 0, the first is the model itself
        self.parameters = [replica.parameters() for replica in self.models]
        names = (name for name, _ in self.model.named_parameters())
        self.named_parameters = list(zip(names, self.parameters[0], strict=True))
        # Found once, as it takes longer than some steps: all parameters, and the generators of each replica.
        self.own_parameters, self.streams = self.model.parameters(), self.generators()
        self.modes = self._modes()
        self.is_parallel = len(self.models) > 1 or self.ranks.size > 1
        self.structure_digest = structure_digest(model) if self.is_parallel else None
        self.worker_pool = WorkerPool(workers, self.models, self.parameters, loss, warns=rank == 0)
        if self.is_parallel:
            self.worker_pool.update()
        self.statistics: dict[int, np.ndarray] = {}  # of the first model, before the step
        self.splits = False  # whether one shard alone is computed in microbatches
        self.compares_next = False  # whether to compare the next batch, whole and in shards
        self.pool: ShardThreads | None = None
        self._open = contextlib.ExitStack()

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"pool": None, "_open": contextlib.ExitStack()}

    def __enter__(self) -> Self:
        from minicnn.parallel.shard_threads import ShardThreads  # here, to keep `import minicnn` fast

        self.model.needs_dx = False
        self.sync_replicas()
        self.worker_pool.verify_again()
        self.pool = self._open.enter_context(ShardThreads(max(len(self.models) - 1, 1)))
        self._open.enter_context(blas_threads(1))  # more would compete for the same cores
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()
        self.pool = None

    def sync_replicas(self) -> None:
        """Apply changes of the model's structure (a rate, an exchanged layer) to the replicas and workers.

        The loop calls it before each epoch, `begin_step` if a weight was frozen or thawed. Replicas keep
        their gradients and generators; all stays as it is if the model cannot be copied or compared.

        Raises
        ------
        RuntimeError
            If the model has other weights than at first: the optimizer would not train them.
        """
        if [*map(id, self.model.parameters())] != [*map(id, self.own_parameters)]:
            raise RuntimeError(
                "a layer with weights was replaced, added or removed during the fit: do that before it, and "
                "make a new Trainer, with a new optimizer"
            )
        self.modes = self._modes()
        self.needs_sums = bool(batch_dependent_parts(self.model, self.loss))  # a thawed BatchNorm does
        self.model.needs_dx = self.model.needs_dx  # finds again which layers need no backward pass
        for i in self.replicas:
            share_frozen(self.model, self.models[i])
            self.models[i].needs_dx = False
        digest = structure_digest(self.model) if self.is_parallel else None
        if digest is not None and digest != self.structure_digest:
            self._copy_structure()
            self.structure_digest = digest
            self.worker_pool.update()
        elif digest is not None:
            self.worker_pool.update_code()
        alone = not (self.is_parallel or self.needs_sums)
        self.splits = alone and has_large_maps(self.model) and is_builtin(self.model, self.loss)
        self.streams = self.generators()

    def _modes(self) -> list[tuple[bool, bool]]:
        """Return which weights are trained, and which are frozen: running averages can be frozen, too."""
        return [(parameter.trainable, parameter.frozen) for parameter in self.own_parameters]

    def _copy_structure(self) -> None:
        count_shards(self.model, self.loss, len(self.models), self.ranks.size)  # refuses some
        own = self.model.parameters()
        for i in self.replicas:
            kept: dict[int, Any] = dict(zip(map(id, own), self.parameters[i], strict=True))
            generators = self.models[i].generators()
            for generator in self.model.generators():
                index = self.ranks.rank * len(self.models) + i
                kept[id(generator)] = generators.pop(0) if generators else generator.spawn(index)[-1]
            with contextlib.suppress(TypeError):  # from a part that cannot be copied
                self.models[i] = copy.deepcopy(self.model, kept)

    def begin_step(self) -> None:
        """Keep the running statistics for `restore_statistics`; notice weights that were frozen or thawed."""
        if self.modes != self._modes():
            self.sync_replicas()
        own = enumerate(self.parameters[0])
        self.statistics = {k: parameter.value.copy() for k, parameter in own if parameter.is_statistic}

    @property
    def forward_backward(self) -> Callable[..., ShardResult]:
        """`f(x, y, batch)` that returns mean loss and predictions for a batch, and sets the gradients.

        If `x` and `y` are this rank's part of a batch of `batch` examples, loss and gradients are the part's
        contribution to the means. An empty part has no predictions.
        """
        if self.is_parallel:
            return self._in_shards
        return functools.partial(compute_shard, self.model, self.parameters[0], self.loss, split=self.splits)

    def _in_shards(self, x: np.ndarray, y: np.ndarray, batch: int | None = None) -> ShardResult:
        """Compute a batch in several shards, see `forward_backward`.

        An exception in a shard is raised here, with its traceback, after all others have ended.
        """
        if self.pool is None:
            raise RuntimeError("DataParallel must be entered first: use a `with` statement")
        batch = len(x) if batch is None else batch
        rest = batch, self.worker_pool.is_builtin and not self.needs_sums
        count = max(min(len(self.models), len(x), x.size // self.smallest_shard), 1)
        if min(len(x), x.size // SMALLEST_SHARD) > 1:
            self.worker_pool.warn_once()
        if count > 1:  # the memory layout that workers see; another would round sums differently
            x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
        shards = [
            (self.models[i], self.parameters[i], self.loss, x[i::count], y[i::count], *rest)
            for i in range(count)
        ]  # a batch with fewer examples than there are ranks is computed by the first rank alone
        over_ranks = self.ranks.sum if self.ranks.size > 1 and batch >= self.ranks.size else None
        is_first = self.compares_next and (count > 1 or self.ranks.size > 1)
        if is_first:
            self._refuse(find_mixing_layer(self.model, x))
        sharded = ShardedBatch(shards, self.streams, self.pool, self.worker_pool, over_ranks)
        losses, outputs = zip(*sharded.compute(), strict=True)
        sharded.check_statistics(self.needs_sums)
        for own, *others in zip(*self.parameters[:count], strict=True):
            for other in others if own.trainable else ():
                own.add_grad(other.grad)
        predictions = interleave(outputs, len(x))
        if is_first:
            self._refuse(find_loss_mistake(self.loss, predictions, y))
            self.compares_next = False
        return sum(losses), predictions

    def restore_statistics(self) -> None:
        """Undo what the step has made of running statistics."""
        for k, value in self.statistics.items():
            self.parameters[0][k].value = value

    def broadcast_statistics(self) -> None:
        """Copy the running statistics of the first rank to all others."""
        own = [self.parameters[0][k] for k in self.statistics]
        for parameter, value in zip(own, self.ranks.broadcast(lambda: [p.value for p in own]), strict=True):
            parameter.value = value

    def _refuse(self, problem: str) -> None:
        """Raise an error in all ranks if one of them has found a problem."""
        for found in filter(None, self.ranks.all_gather(problem)):
            raise self.ranks.raised_everywhere(ValueError(found))

    @property
    def smallest_shard(self) -> int:
        """Input values of the smallest shard."""
        return SMALLEST_SHARD * (1 if self.worker_pool.is_sendable else 2)

    def generators(self) -> list[list[np.random.Generator]]:
        """Return the random generators of each model, whose states change in every step."""
        return [model.generators() for model in self.models]
