"""The trainer: what belongs to a training beside its data. The loop itself is in `training.loop`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.losses import softmax_cross_entropy
from minicnn.metrics import accuracy
from minicnn.optimizers import Optimizer
from minicnn.parallel.data_parallel import DataParallel
from minicnn.parallel.prediction import parallel_predict
from minicnn.parallel.ranks import TIMEOUT, Ranks
from minicnn.saving.checkpoints import CheckpointFolder
from minicnn.training.batches import ArrayBatches, Batches, BatchSource, IterableBatches, examples
from minicnn.training.callbacks import Callback
from minicnn.training.history import History
from minicnn.training.loop import TrainingLoop, training_lock
from minicnn.training.lr_finder import RateSearch, find_rate
from minicnn.training.progress import ProgressBar
from minicnn.validation import check_int

Loss = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]
Metric = Callable[[np.ndarray, np.ndarray], float]


class Trainer:
    """Fits a model to examples.

    Parameters
    ----------
    model : Layer
        A built model.
    optimizer : Optimizer
        What turns gradients into new weights. It remembers, so it trains one model only.
    loss : callable
        `f(predictions, labels) -> (mean value, dpredictions)`, see `minicnn.losses`.
    metrics : dict of str to callable, optional
        `f(predictions, labels) -> float`, by the names under which they are reported. Where none are
        given: the accuracy, if the loss is `softmax_cross_entropy`.
    seed : int
        Decides the order of the examples, and the augmentation. The order of epoch e is
        `default_rng([seed, e]).permutation(n)`, whatever happened before.
    augment : callable, optional
        `f(images, rng) -> images`, applied to each training batch, see `minicnn.datasets.augment`.
    threads : int, optional
        Cores that compute a step, each its shard of the batch; None takes the cores that may be used, in a
        container its share of them, rounded up. With the same number of threads a run gives the same
        numbers, bit for bit; with another, equal ones up to rounding.
        Where layers, loss and initializers are all of this package, other processes help, which hand over the
        results faster than threads do; they end with the trainer. They import the package anew, so that
        functions of it that somebody has replaced are not replaced there.
    comm : mpi4py.MPI.Comm, optional
        The processes that train this model together, such as `MPI.COMM_WORLD`: each makes the same trainer
        and calls `fit` with the same arguments. Of n ranks, rank r computes rows r, r + n, r + 2n ... of each
        batch, on one thread unless `threads` says more; all get the same weights and history. With the same
        ranks a run gives the same numbers, bit for bit; two compute exactly what two threads do. Metrics must
        be means over examples. An exception in one of them ends the processes of all.
    rank_timeout : float, optional
        Seconds that ranks wait for one that does not arrive, before they say so and end; None: for ever.
    callbacks : sequence of Callback
        Called in every `fit`, before those that it is given.

    Attributes
    ----------
    ranks : Ranks
        `ranks.rank` is the number of this process among `ranks.size`; 0 of 1 without `comm`.
    epoch : int
        Number of the next epoch; a second `fit` goes on counting.
    stop_training : bool
        Set it to True, from a callback or another thread, to end the fit after the step that runs.
    interrupted : bool
        The same, but only for now: called again with its checkpoint folder, the fit goes on.

    Examples
    --------
    >>> from minicnn import SGD, Dense
    >>> x, y = np.array([[-1.0], [1.0]]), np.array([0, 1])
    >>> trainer = Trainer(Dense(2).build((1,), rng=0), SGD(lr=1.0), seed=0)
    >>> history = trainer.fit(x, y, epochs=20, batch_size=2)
    >>> trainer.evaluate(x, y)["accuracy"]
    1.0
    """

    def __init__(
        self,
        model: Layer,
        optimizer: Optimizer,
        loss: Loss = softmax_cross_entropy,
        *,
        metrics: Mapping[str, Metric] | None = None,
        seed: int = 0,
        augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None,
        threads: int | None = None,
        comm: Any = None,
        rank_timeout: float | None = TIMEOUT,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        if not isinstance(model, Layer):
            raise TypeError(f"`model` must be a Layer object such as a Sequential, got {model!r}")
        if model.input_shape is None:
            raise RuntimeError("a model must be built before it is trained: call build(input_shape) first")
        self.model, self.optimizer, self._loss = model, optimizer, loss
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"`optimizer` must be an Optimizer object such as Adam(), got {optimizer!r}")
        if not callable(loss):
            raise TypeError(f"`loss` must be a function, see `minicnn.losses`, got {loss!r}")
        if not isinstance(metrics, Mapping | None):
            raise TypeError(f"`metrics` must be a dict of functions by name, got {metrics!r}")
        for name, metric in (metrics or {}).items():
            if not callable(metric):
                raise TypeError(
                    f"each of `metrics` must be a function, see `minicnn.metrics`, got {metric!r}"
                )
            if name == "loss" or str(name).startswith("val_"):
                raise ValueError(f"a metric must not be called 'loss' or 'val_...', got {name!r}")
        if augment is not None and not callable(augment):
            raise TypeError(f"`augment` must be a function, see `minicnn.datasets`, got {augment!r}")
        if metrics is None:
            metrics = {"accuracy": accuracy} if loss is softmax_cross_entropy else {}
        self.metrics = dict(metrics)
        self.seed = check_int(seed, "seed")
        self.augment = augment
        self.threads = None if threads is None else check_int(threads, "threads", low=1)
        self.callbacks = _checked(callbacks)
        self.ranks = Ranks(comm, rank_timeout)
        self._data_parallel = DataParallel(model, loss, threads, self.ranks)
        self.rates: tuple[Any, Any] | None = None  # which was asked for, and which the last fit left
        self.epoch = 0
        self.stop_training = self.interrupted = False

    @property
    def loss(self) -> Loss:
        """The loss; for another one, make another trainer."""
        return self._loss

    def fit(
        self,
        x: np.ndarray | BatchSource,
        y: np.ndarray | None = None,
        epochs: int = 1,
        batch_size: int = 32,
        *,
        validation_data: tuple[np.ndarray, np.ndarray] | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        every: int | None = None,
        verbose: int = 1,
    ) -> History:
        """Train for `epochs` more epochs.

        Parameters
        ----------
        x : ndarray, shape (N, ...)
            Examples; uint8 images stay uint8, each batch is scaled to [0, 1] when its turn comes. Of arrays
            on the disk (`np.load(path, mmap_mode="r")`) only the rows of a step are read, by each rank its
            own. Or batches, pairs (x, y), and then no `y`: a list, another object that can be iterated again
            in each epoch, or a function `f(epoch)` that returns one. They are taken in the order in which
            they come; a fit that goes on from a checkpoint skips those that it has seen, so that they must
            come in the same order again. Each rank takes its rows of each batch.
        y : ndarray, shape (N,) or (N, K)
            Labels, as the loss wants them.
        epochs : int
            How often each example is seen.
        batch_size : int
            Examples in a step; the last step of an epoch takes what is left. Of no use with given batches.
        validation_data : (x, y), optional
            Evaluated after each epoch; reported as `val_loss`, `val_accuracy`.
        callbacks : sequence of Callback
            Called in this order.
        checkpoint : path, optional
            A folder for checkpoints of this fit. If there are some in it, the fit goes on from the newest: so
            a script that was killed is simply started again. With equal data, settings, threads and
            versions it then ends with the same weights and the same history, bit for bit; with others it
            warns of what differs. Callbacks go on where they have a `state_dict`.
        every : int, optional
            Steps from one checkpoint to the next; by default there is one at the end of each epoch. There is
            always one when the fit ends.
        verbose : int
            0 shows nothing; 1 a progress bar, where the output is a terminal.

        Returns
        -------
        History
            The means of loss and metrics over each epoch's steps, as they were at these steps.

        Raises
        ------
        FloatingPointError
            If a loss or gradient is not finite; it names the step and the layer. The weights are those of
            the step before. Weights that are not finite are never saved in a checkpoint.
        OSError
            If a checkpoint cannot be written, or somebody else trains into its folder.
        ValueError
            If the checkpoint is of another fit: other examples, batch size, seed, or weights.
        FileFormatError
            If there are checkpoints, but none is whole, or the newest of these cannot have come from such
            a fit. The trainer is then as it was.
        RuntimeError
            If the model is trained in another thread, or has been built again since the trainer was made.
        """
        known = [
            parameter.value for parameter in self._data_parallel.parameters[0]
        ]  # replicas share the values
        if [*map(id, known)] != [id(parameter.value) for parameter in self.model.parameters()]:
            raise RuntimeError(
                "the model must have the weights that it had when its trainer was made, but has others, "
                "perhaps since it was built again: make a new Trainer, with a new optimizer"
            )
        batches = self._batches(x, y, batch_size)
        epochs, callbacks = check_int(epochs, "epochs"), _checked(callbacks)
        if validation_data is not None:
            if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
                raise TypeError("`validation_data` must be a pair (x, y)")
            validation_data = examples(*validation_data, self.model)
        if checkpoint is None and every is not None:
            raise ValueError(f"`every` must come with a folder for `checkpoint`, got every={every}")
        checkpoints = None if checkpoint is None else CheckpointFolder(checkpoint, every)
        held = contextlib.nullcontext() if checkpoints is None or self.ranks.rank else checkpoints
        with (
            self.ranks.abort_on_error(),
            self.ranks,
            training_lock(self.model, self.optimizer),
            self._data_parallel as shards,
            held,
            ProgressBar(epochs, batches.size, batches.batch_size, batches.unit, bool(verbose)) as bar,
        ):
            hooks = [*self.callbacks, *callbacks, bar]
            for hook in hooks:
                hook.trainer = self
            return TrainingLoop(self, shards, checkpoints, batches, validation_data, hooks).run(epochs)

    def lr_find(
        self,
        x: np.ndarray | BatchSource,
        y: np.ndarray | None = None,
        batch_size: int = 32,
        *,
        low: float = 1e-6,
        high: float = 10.0,
        steps: int = 200,
    ) -> RateSearch:
        """Look for a learning rate: train a copy with ever larger ones, until the loss flies off.

        Nothing of the trainer changes, neither weights nor the optimizer nor random streams.

        Parameters
        ----------
        x, y, batch_size
            As for `fit`.
        low, high : float
            The first and the last rate; each is larger than the one before by the same factor.
        steps : int
            So many, if the loss allows it.

        Returns
        -------
        RateSearch
            `rates`, smoothed `losses`, and a `suggestion`; `minicnn.plots.learning_rates` draws it.

        Raises
        ------
        FloatingPointError
            If the very first loss or gradient is not finite.
        """
        return find_rate(self, self._batches(x, y, batch_size), low, high, steps)

    def evaluate(self, x: np.ndarray, y: np.ndarray, batch_size: int = 256) -> dict[str, float]:
        """Return the loss and the metrics over all of `x`, in evaluation mode.

        Parameters
        ----------
        x, y : ndarray
            As for `fit`.
        batch_size : int
            Examples at a time; the result does not depend on it.
        """
        x, y = examples(x, y, self.model)
        return self.score(self.predict(x, batch_size), y)

    def score(self, predictions: np.ndarray, y: np.ndarray) -> dict[str, float]:
        """Return the loss and the metrics of these predictions."""
        loss, _ = self.loss(predictions, y)
        metrics = {name: float(metric(predictions, y)) for name, metric in self.metrics.items()}
        return {"loss": float(loss)} | metrics

    def predict(self, x: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """Return the model's outputs for all of `x`, see `Layer.predict`; the threads share the work."""
        return parallel_predict(self.model, x, batch_size, self.threads)

    def _batches(self, x: np.ndarray | BatchSource, y: np.ndarray | None, batch_size: int) -> Batches:
        if y is None:
            return IterableBatches(x, self.model)
        return ArrayBatches(*examples(x, y, self.model), batch_size, self.seed)


def _checked(callbacks: Any) -> tuple[Callback, ...]:
    hooks = tuple(callbacks) if np.iterable(callbacks) else None
    if hooks is None or not all(isinstance(hook, Callback) for hook in hooks):
        raise TypeError(f"`callbacks` must be a list of Callback objects, got {callbacks!r}")
    return hooks
