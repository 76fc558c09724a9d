"""What a trainer holds: the state, and the threads and processes that compute its steps."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.optimizers import Optimizer
from minicnn.parallel.data_parallel import DataParallel
from minicnn.parallel.ranks import Ranks
from minicnn.parameter import Parameter
from minicnn.training.batch import Batch
from minicnn.training.callbacks.base import Callback
from minicnn.training.history import History
from minicnn.training.safeguards.locking import training_lock
from minicnn.training.state import Loss, TrainingState
from minicnn.training.weighting import WeightedLoss


class Session:
    """A base of `Trainer`: claims the model, and starts the threads and processes.

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
            self.state.by_hand = True
            self.state.begin_epoch()
            try:
                yield
            finally:
                self.state.by_hand = False

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

    def _running_for(self, batch: Batch) -> DataParallel:
        """Return what computes a batch; raise unless it has weights where the others have some."""
        data_parallel = self._running()
        if not isinstance(batch, Batch):
            raise TypeError(f"a batch must be a Batch, such as `Batch.of(x, y)`, got {type(batch).__name__}")
        has_weights = batch.parts[0][2] is not None
        if has_weights and data_parallel is not self._weighted:
            raise ValueError(
                "the batch has sample weights, but this training has none: give `fit` "
                "`sample_weight=np.ones(len(x))`, or `session` `weighted=True`"
            )
        if not has_weights and data_parallel is self._weighted:
            raise ValueError(
                "the batch has no sample weights, but this training has: give them to `Batch.of`, such as "
                "`batch.sample_weight` of the batch that it is made from"
            )
        return data_parallel

    def _running(self) -> DataParallel:
        if self._entered is None:
            raise RuntimeError("this works only during `fit` or inside `with trainer.session():`")
        return self._entered
