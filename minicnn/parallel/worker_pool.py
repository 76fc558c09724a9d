"""The workers of a training: when they are started, what they compute, and when threads take their place."""

import contextlib
import os
import pickle
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn.cores import available_threads
from minicnn.layers.base import Layer
from minicnn.parallel.held_values import HeldValues
from minicnn.parallel.pickling import (
    PickledModel,
    can_start_workers,
    is_small,
    pickled_loss,
    pickled_model,
)
from minicnn.parallel.shard import Place
from minicnn.parallel.shared_memory import map_sums, shared_file
from minicnn.parallel.sums import SumMemory
from minicnn.parallel.workers import Worker
from minicnn.parameter import Parameter

MODES = ("auto", "processes", "threads")
PREDICTION_BYTES = 1 << 16  # of shared memory for the predictions of a shard
MOST_FAILED_STARTS = 3  # of workers in succession that were killed before they were ready
LARGEST_LOSS = 1 << 16  # bytes of the largest pickled loss that is compared in every step


class WorkerPool:
    """One worker for each replica of a model but the first; started when its first shard comes.

    Parameters
    ----------
    mode : {"auto", "processes", "threads"}
        See `Trainer`.
    models, parameters : list
        The replicas, and the parameters of each. An exchanged replica has the same parameters.
    loss : callable
        The loss.
    warns : bool
        Whether to warn if the user's code is the reason that there are no workers.

    Attributes
    ----------
    workers : dict of int to Worker
        By the index of the replica.
    pickled : PickledModel or None
        Model and loss; None if threads compute all shards.
    is_builtin, is_sendable : bool
        Whether model and loss are this package's own code, so that shards are computed in microbatches; and
        whether workers could compute them, so that shards may be small. These decide how sums are rounded,
        so they depend neither on the mode nor on what happens to workers.
    """

    def __init__(
        self,
        mode: str,
        models: list[Layer],
        parameters: Sequence[Sequence[Parameter]],
        loss: Callable,
        warns: bool = True,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"`workers` must be 'auto', 'processes' or 'threads', got {mode!r}")
        self.mode, self.models, self.parameters, self.loss = mode, models, parameters, loss
        self.workers: dict[int, Worker] = {}
        self.pickled: PickledModel | None = None
        self.loss_values = HeldValues(loss)
        self.is_builtin = self.is_sendable = False
        self.problem, self.warns = "", warns  # why the user's code runs on threads
        self.failed_starts = 0
        self._owner = 0  # the process that has made the memory for sums
        self._sums_file: Any = None
        self._sum_memory: SumMemory | None = None
        self.has_failed = False  # the user's code did not run in a worker as it does here

    def __getstate__(self) -> dict[str, Any]:
        own = {"workers": {}, "_owner": 0, "_sums_file": None, "_sum_memory": None}  # a copy starts its own
        return vars(self) | own

    def update(self) -> None:
        """Pickle the model and the loss, which may have changed, and decide whether there can be workers."""
        possible, pickled, problem = can_start_workers() and is_small(self.models[0]), None, ""
        try:
            pickled = pickled_model(self.models[-1], self.loss)
        except pickle.PicklingError as error:
            problem = str(error)
        self.is_sendable = possible and pickled is not None
        self.is_builtin = self.is_sendable and pickled is not None and pickled.is_builtin
        for i, worker in self.workers.items():
            worker.generators = self.models[i].generators()
        if len(self.models) == 1 or self.mode == "threads" or self.has_failed:
            return
        if self.mode == "processes" and (problem or not can_start_workers()):
            problem = problem or "this system cannot start worker processes"
            raise ValueError(f"`workers` must be 'auto' or 'threads' for this model: {problem}")
        if pickled != self.pickled:  # workers get it when it is another object
            self.pickled = pickled if possible or self.mode == "processes" else None
        self.problem = problem if possible else ""

    def update_code(self) -> None:
        """Notice changes of the user's code and of the globals that it uses, where the model is the same."""
        if self.pickled and not self.pickled.is_builtin:
            self.update()

    def update_loss(self) -> None:
        """Notice a change of what the user's loss holds, which threads see at once."""
        known = self.pickled
        if known is None or known.is_builtin or len(known.loss) > LARGEST_LOSS:
            return
        if not self.loss_values.have_changed():
            return
        try:
            loss = pickled_loss(self.models[0], self.loss)
        except pickle.PicklingError as error:
            self._give_up(str(error))
        else:
            if loss != known.loss:
                self.pickled = known._replace(loss=loss)

    def submit(self, place: Place, x: np.ndarray, y: np.ndarray, batch: int, split: bool) -> Worker | None:
        """Send a shard to its worker, which is started if necessary; None if a thread must compute it."""
        index = place.index
        worker = self.workers.get(index)
        if worker is not None and worker.ready:
            self.failed_starts = 0
        elif worker is not None and worker.closed:
            self.failed_starts += 1
            killed = (worker.process.returncode or 0) < 0  # otherwise the next one would end as well
            if worker.error or not killed or self.failed_starts > MOST_FAILED_STARTS:
                self._give_up(worker.error or "a worker ended before it was ready")
        if worker is not None and worker.arena.capacity < x.nbytes + y.nbytes:
            worker.detach()
        if self.pickled is None:
            return None
        if worker is None or worker.closed:
            others = sum(not other.closed for other in self.workers.values())
            if others >= available_threads():  # more would only wait for each other
                return None
            arguments = self.models[index], self.parameters[index], self.pickled
            try:
                capacity = x.nbytes + y.nbytes + PREDICTION_BYTES
                worker = Worker(*arguments, capacity, self._sums_file.fileno())
            except (OSError, ValueError):
                self.pickled = None
                return None
            self.workers[index] = worker
        return worker if self._load(worker, index) and worker.submit(x, y, batch, split, place) else None

    def _load(self, worker: Worker, index: int) -> bool:
        """Send a worker the model and the loss if they have changed; return whether it has started."""
        if self.pickled is None or not worker.has_started():
            return False
        known, current = worker.pickled, self.pickled
        if known is not current:
            # Not `current.model`: what its layers keep in attributes may have changed on threads meanwhile.
            model = None
            try:
                if not known or known.model != current.model:
                    model = pickled_model(self.models[index], self.loss).model
            except pickle.PicklingError as error:
                self._give_up(str(error))
                return False
            if not current.is_builtin and (known is None or known.is_builtin):
                worker.verified = False
            worker.load(model, None if known and known.loss == current.loss else current.loss)
            worker.pickled = current
        return True

    def verify_again(self) -> None:
        """Compare the next result of each worker with the user's code with that of this process."""
        for worker in self.workers.values():
            worker.verified = self.pickled is not None and self.pickled.is_builtin

    def reject(self, worker: Worker, *, differs: bool = False) -> None:
        """Do without workers, since the user's code failed in one, or gave other numbers than here."""
        text = "a layer or the loss computes other numbers in a worker (random numbers or changed globals?)"
        self._give_up(text if differs else f"in a worker, {worker.error}")

    def shared_sums(self) -> SumMemory | None:
        """Return the memory for sums that the workers share; None if threads compute all shards."""
        if self.pickled is not None and self._owner != os.getpid():  # a fork has workers of its own
            try:
                self._sums_file = shared_file(SumMemory.size(len(self.models)))
            except OSError:
                self.pickled = None
                return None
            weakref.finalize(self, _close, self._sums_file)
            self._sum_memory, self._owner = map_sums(self._sums_file.fileno()), os.getpid()
        return self._sum_memory if self.pickled is not None else None

    def _give_up(self, problem: str) -> None:
        """Use no more workers."""
        if self.pickled and not self.pickled.is_builtin:
            self.problem, self.has_failed = problem, True
        self.pickled = None
        for worker in self.workers.values():
            worker.detach()

    def warn_once(self) -> None:
        """Warn if the user's code is the reason that threads compute shards."""
        if self.problem and self.warns:
            self.warns = False
            text = f"training on threads, which may be slower than worker processes: {self.problem}; "
            warnings.warn(f"{text}to silence this warning, set workers='threads'", stacklevel=2)


def _close(file: Any) -> None:
    with contextlib.suppress(OSError):  # the user's program may have closed all descriptors, as daemons do
        file.close()
