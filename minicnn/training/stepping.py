"""The steps of a training one by one: what `fit` calls for each batch, to be overridden or called by hand."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from minicnn.layers.base import Layer
from minicnn.optimizers import Optimizer
from minicnn.parallel.data_parallel import DataParallel
from minicnn.parallel.ranks import Ranks
from minicnn.parameter import Parameter
from minicnn.training.batch import Batch
from minicnn.training.batches import IterableBatches
from minicnn.training.callbacks.base import Callback
from minicnn.training.gradients import GradientStep
from minicnn.training.history import History
from minicnn.training.loop import TrainingLoop
from minicnn.training.safeguards.locking import training_lock
from minicnn.training.state import Loss, TrainingState
from minicnn.training.weighting import WeightedLoss


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
        "_loop",
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
        self._loop: TrainingLoop | None = None

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
            If loss or gradients are not finite; it names the layer.
        RuntimeError
            Outside of `fit` and `session`.
        """
        return self._running_loop().gradients.compute(batch)

    def apply_gradients(self, optimizer: Optimizer | None = None) -> None:
        """Update the weights by their gradients, with the trainer's optimizer or another one."""
        gradients, optimizer = self._running_loop().gradients, optimizer or self.optimizer
        with np.errstate(
            all="ignore"
        ):  # weights that overflow are found in the next step, or after the epoch
            optimizer.step(gradients.named_parameters if optimizer.groups else gradients.parameters)

    def named_parameters(self) -> list[tuple[str, Parameter]]:
        """Return the parameters, by name, that have the gradients after `compute`."""
        return self._running_loop().gradients.named_parameters

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
        with self._parallel((), weighted) as data_parallel:
            batches = IterableBatches([], self.model)
            gradients = GradientStep(self.state, data_parallel)
            loop = TrainingLoop(self.state, gradients, batches, dict, [], None, self.train_step)
            with self._looping(loop):
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
            yield data_parallel

    @contextlib.contextmanager
    def _looping(self, loop: TrainingLoop) -> Iterator[TrainingLoop]:
        self._loop = loop
        try:
            yield loop
        finally:
            self._loop = None

    def _running_loop(self) -> TrainingLoop:
        if self._loop is None:
            raise RuntimeError("this works only during `fit` or inside `with trainer.session():`")
        return self._loop
