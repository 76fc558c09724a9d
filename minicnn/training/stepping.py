"""The steps of a training one by one: what `fit` calls for each batch, to be overridden or called by hand."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.optimizers import Optimizer
from minicnn.parallel.data_parallel import DataParallel
from minicnn.parallel.ranks import Ranks
from minicnn.parameter import Parameter
from minicnn.plural import counted
from minicnn.safeguards.global_random import no_global_random
from minicnn.safeguards.nonfinite import is_finite
from minicnn.safeguards.own_functions import check_first_batch
from minicnn.training.batch import Batch
from minicnn.training.callbacks.base import Callback
from minicnn.training.evaluation import is_mean, metrics_of_batch
from minicnn.training.history import History
from minicnn.training.safeguards.diagnosis import nonfinite_error
from minicnn.training.safeguards.locking import training_lock
from minicnn.training.state import Loss, TrainingState
from minicnn.training.weighting import WeightedLoss, labels_for_loss


class Stepper:
    """The base of `Trainer`: the parts of a step.

    Attributes
    ----------
    state : TrainingState
        The model, the optimizer, and how far the training is.
    ranks : Ranks
        The processes that train together.
    threads : int or None
        The number of cores that share the work.
    workers : str
        See `Trainer`.
    """

    # An assignment to another name, such as `stop_training`, is an error rather than without effect.
    __slots__ = (
        "_data_parallel",
        "_entered",
        "_weighted",
        "ranks",
        "state",
        "threads",
        "workers",
    )

    def __init__(self, state: TrainingState, ranks: Ranks, threads: int | None, workers: str) -> None:
        self.state, self.ranks, self.threads, self.workers = state, ranks, threads, workers
        self._data_parallel = self._make_parallel(state.loss)
        self._weighted: DataParallel | None = None  # made when there are weights
        self._entered: DataParallel | None = None  # the one of these whose threads run

    def __getstate__(self) -> Any:
        state: Any = super().__getstate__()
        return state[0], state[1] | {"_entered": None}  # a copy made during a fit is of a trainer at rest

    @property
    def model(self) -> Layer:
        """The model; for another one, make another trainer."""
        return self.state.model

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer; for another one, make another trainer."""
        return self.state.optimizer

    @property
    def loss(self) -> Loss:
        """The loss; for another one, make another trainer."""
        return self.state.loss

    @property
    def metrics(self) -> Mapping[str, Callable]:
        """The metrics by name; others may be assigned between two fits."""
        return self.state.metrics

    @metrics.setter
    def metrics(self, metrics: Mapping[str, Callable]) -> None:
        self.state.metrics = metrics

    @property
    def epoch(self) -> int:
        """Number of the next epoch; a second `fit` continues counting."""
        return self.state.epoch

    @property
    def history(self) -> History:
        """The record of the present or the last fit, also if that was interrupted."""
        return self.state.history

    def generators(self) -> list[np.random.Generator]:
        """Return the random generators of the model's layers, such as Dropout's, and of its replicas."""
        return [generator for each in self._data_parallel.generators() for generator in each]

    def train_step(self, batch: Batch) -> Mapping[str, float]:
        """Make one step of `fit`, and return its loss and metrics: override it to make it in another way.

        A step that is a function of the batch, the weights and the optimizer's state keeps the exact resume.
        """
        results = self.compute(batch)
        self.apply_gradients()
        return results

    def compute(self, batch: Batch) -> dict[str, float]:
        """Set the gradients of the model to those of a batch, on all cores, and return loss and metrics.

        Parameters
        ----------
        batch : Batch
            That of `train_step`, or `Batch.of(x, y)`.

        Raises
        ------
        FloatingPointError
            If loss or gradients are not finite; it names the layer. The model is then as before the step.
        RuntimeError
            Outside of `fit` and `session`.
        """
        data_parallel, few = self._running(), batch.size < self.ranks.size
        if few:
            batch = batch.collected(self.ranks)
        y = batch.y
        results: dict[str, float] = {}
        data_parallel.begin_step()
        before = None if self.optimizer.steps else y.copy()
        try:
            with contextlib.nullcontext() if before is None else no_global_random("the model or the loss"):
                loss, predictions = self._forward_backward(data_parallel, batch)
            if before is not None and math.isfinite(loss):
                means = {name: metric for name, metric in self.metrics.items() if is_mean(metric)}
                labels = labels_for_loss(before, batch.sample_weight)
                check_first_batch(data_parallel.loss, means, predictions, labels, before)
            loss, results = self._reduce(data_parallel.parameters[0], loss, predictions, y, batch.size)
        finally:
            if not results:  # the step is not made, but forward has changed the statistics already
                data_parallel.restore_statistics()
        if few:
            data_parallel.broadcast_statistics()
        if not results:
            raise nonfinite_error(self.state, batch, loss, data_parallel.loss, self.ranks)
        if not all(map(is_mean, self.metrics.values())):
            self.state.output = predictions, y
        return results

    def _forward_backward(self, data_parallel: DataParallel, batch: Batch) -> tuple[float, np.ndarray]:
        """Set the gradients; return this rank's loss and predictions."""
        parameters = data_parallel.parameters[0]
        losses, predictions = [], []
        sums: list[np.ndarray] = []
        for x, y, weights in batch.parts:
            loss, output = data_parallel.forward_backward(x, labels_for_loss(y, weights), batch.size)
            losses.append(loss)
            predictions += [output] if len(x) else []
            if len(batch.parts) > 1:
                grads = [p.grad if p.trainable else np.zeros(()) for p in parameters]
                sums = [a + b for a, b in zip(sums, grads, strict=True)] if sums else [*map(np.copy, grads)]
        for parameter, total in zip(parameters, sums, strict=False):
            if parameter.trainable:
                parameter.grad[...] = total
        joined = predictions[0] if len(predictions) == 1 else np.concatenate(predictions or [np.empty(0)])
        return sum(losses), joined

    def _reduce(
        self, parameters: list[Parameter], loss: float, predictions: np.ndarray, y: np.ndarray, size: int
    ) -> tuple[float, dict[str, float]]:
        """Sum loss, metrics and gradients over the ranks; return the loss, and all results if finite."""
        state, ranks = self.state, self.ranks
        values = metrics_of_batch(state.metrics, predictions, y, size, ranks, math.isfinite(loss))
        numbers = [loss, *values.values(), len(y), state.stop, state.interrupted]
        loss, *sums, seen, stop, interrupted = ranks.all_reduce(parameters, numbers)
        if seen != size:
            raise ValueError(
                f"the ranks must be given the same batch, but got {seen:g} of {counted(size, 'example')}"
            )
        if ranks.size > 1:
            state.agree(stop, interrupted)
        if not (math.isfinite(loss) and is_finite(*(p.grad for p in parameters if p.trainable))):
            return loss, {}
        return loss, dict(zip(("loss", *values), map(float, (loss, *sums)), strict=True))

    def apply_gradients(self, optimizer: Optimizer | None = None) -> None:
        """Update the weights by their gradients, with the trainer's optimizer or another one."""
        data_parallel, optimizer = self._running(), optimizer or self.optimizer
        parameters = data_parallel.named_parameters if optimizer.groups else data_parallel.parameters[0]
        with np.errstate(all="ignore"):  # weights that overflow are found in the next step or after the epoch
            optimizer.step(parameters)

    def named_parameters(self) -> list[tuple[str, Parameter]]:
        """Return the parameters, by name, that have the gradients after `compute`."""
        return self._running().named_parameters

    @contextlib.contextmanager
    def session(self, weighted: bool = False) -> Iterator[None]:
        """Claim the model and start the workers, for steps that are made by hand in the block.

        Parameters
        ----------
        weighted : bool
            Whether the batches have weights.

        Examples
        --------
        >>> import numpy as np
        >>> from minicnn import SGD, Dense, Trainer
        >>> from minicnn.training import Batch
        >>> trainer = Trainer(Dense(2).build((1,), rng=0), SGD(lr=1.0))
        >>> batch = Batch.of(np.array([[-1.0], [1.0]]), np.array([0, 1]))
        >>> with trainer.session():
        ...     losses = [trainer.train_step(batch)["loss"] for _ in range(10)]
        >>> losses[-1] < losses[0] / 5
        True
        """
        with self._parallel((), weighted):
            yield

    def _make_parallel(self, loss: Loss) -> DataParallel:
        return DataParallel(self.model, loss, self.threads, self.ranks, self.workers)

    @contextlib.contextmanager
    def _parallel(self, callbacks: Sequence[Callback], weighted: bool) -> Iterator[DataParallel]:
        """Claim the model and the optimizer, and start the threads."""
        if weighted and self._weighted is None:
            self._weighted = self._make_parallel(WeightedLoss(self.loss))
        data_parallel = self._weighted if weighted and self._weighted else self._data_parallel
        with (
            self.ranks.abort_on_error(),
            self.ranks,
            training_lock(self.model, self.optimizer, callbacks, data_parallel.parameters[0]),
            data_parallel,
        ):
            self._entered = data_parallel
            try:
                yield data_parallel
            finally:
                self._entered = None

    def _running(self) -> DataParallel:
        if self._entered is None:
            raise RuntimeError("this works only during `fit` or inside `with trainer.session():`")
        return self._entered
