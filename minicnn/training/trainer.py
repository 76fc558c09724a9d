"""The trainer: fits a model to data. The loop itself is in `minicnn.training.loop`."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Mapping, Sequence
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
from minicnn.training.batches import (
    ArrayBatches,
    Augmentation,
    Batches,
    BatchSource,
    Examples,
    IterableBatches,
    check_pairs,
)
from minicnn.training.callbacks import Callback
from minicnn.training.history import History
from minicnn.training.loop import Metric, TrainingLoop, training_lock
from minicnn.training.lr_finder import RateSearch, find_rate
from minicnn.training.progress import ProgressBar
from minicnn.training.resume import Checkpointer
from minicnn.training.state import Loss, TrainingState
from minicnn.validation import check_int


class Trainer:
    """Fits a model to examples.

    Parameters
    ----------
    model : Layer
        A built model.
    optimizer : Optimizer
        Turns gradients into new weights. It holds state, so it trains one model only.
    loss : callable
        `f(predictions, labels) -> (mean value, dpredictions)`, see `minicnn.losses`.
    metrics : dict of str to callable, optional
        `f(predictions, labels) -> float`, by the names under which they are reported. By default the accuracy
        if the loss is `softmax_cross_entropy`, else none.
    seed : int
        Seed of the order of the examples and of the augmentation. The order of epoch e is
        `default_rng([seed, e]).permutation(n)`, whatever happened before.
    augment : callable, optional
        `f(images, rng) -> images`, applied to each training batch, see `minicnn.datasets.augment`.
    threads : int, optional
        Number of cores that compute a step, each its shard of the batch. None: all cores available to the
        process, respecting a container's CPU quota (rounded up). With the same number of threads a run gives
        the same numbers, bit for bit; with another number, the same up to rounding.
        If layers, loss and initializers are all of this package, the shards are computed in worker processes,
        which return results faster than threads do and end with the trainer. They import the package afresh,
        so functions of it that were replaced in this process are not replaced there.
    comm : mpi4py.MPI.Comm, optional
        The processes that train this model together, such as `MPI.COMM_WORLD`: each makes the same trainer
        and calls `fit` with the same arguments. Of n ranks, rank r computes rows r, r + n, r + 2n ... of each
        batch, on one thread unless `threads` says more; all get the same weights and history. With the same
        number of ranks a run gives the same numbers, bit for bit; two ranks compute exactly what two threads
        do. Metrics must be means over examples. An exception in one rank ends the processes of all.
    rank_timeout : float, optional
        Seconds that ranks wait for a missing one before they report it and exit; None: forever.
    callbacks : sequence of Callback
        Called in every `fit`, before those that it is given.

    Attributes
    ----------
    state : TrainingState
        `state.epoch`, `state.step` ...; `state.stop = True`, from a callback or another thread, ends the fit
        after the step that runs.
    ranks : Ranks
        `ranks.rank` is the number of this process among `ranks.size`; 0 of 1 without `comm`.

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
        augment: Augmentation | None = None,
        threads: int | None = None,
        comm: Any = None,
        rank_timeout: float | None = TIMEOUT,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        _check_types(model, optimizer, loss, metrics, augment)
        if metrics is None:
            metrics = {"accuracy": accuracy} if loss is softmax_cross_entropy else {}
        self.state = TrainingState(model, optimizer, loss)
        self.metrics = dict(metrics)
        self.seed, self.augment = check_int(seed, "seed"), augment
        self.threads = None if threads is None else check_int(threads, "threads", low=1)
        self.callbacks = _check_callbacks(callbacks)
        self.ranks = Ranks(comm, rank_timeout)
        self._data_parallel = DataParallel(model, loss, threads, self.ranks)

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
    def epoch(self) -> int:
        """Number of the next epoch; a second `fit` continues counting."""
        return self.state.epoch

    def fit(
        self,
        x: np.ndarray | BatchSource,
        y: np.ndarray | None = None,
        epochs: int = 1,
        batch_size: int = 32,
        *,
        validation_data: Examples | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | None = None,
        verbose: int = 1,
    ) -> History:
        """Train for `epochs` more epochs.

        Parameters
        ----------
        x : ndarray, shape (N, ...)
            Examples; uint8 images stay uint8, and each batch is scaled to [0, 1] when it is used. Of
            memory-mapped arrays (`np.load(path, mmap_mode="r")`) only the rows of a step are read, by each
            rank its own. Or batches, pairs (x, y), and then no `y`: a list, another object that can be
            iterated again in each epoch, or a function `f(epoch)` that returns one. They are used in the
            order in which they come; a fit that resumes from a checkpoint skips those that it has seen, so
            they must come in the same order again. Each rank uses its rows of each batch.
        y : ndarray, shape (N,) or (N, K)
            Labels, as the loss wants them.
        epochs : int
            Number of passes over the examples.
        batch_size : int
            Examples in a step; the last step of an epoch has what is left. Ignored if `x` gives batches.
        validation_data : (x, y), optional
            Evaluated after each epoch; reported as `val_loss`, `val_accuracy`.
        callbacks : sequence of Callback
            Called in this order.
        checkpoint : path, optional
            A folder for checkpoints of this fit. If it holds some, the fit resumes from the newest: a script
            that was killed is simply started again. With equal data, settings, threads and versions it then
            ends with the same weights and the same history, bit for bit; otherwise it warns of what differs.
            Callbacks resume if they have a `state_dict`.
        checkpoint_every : int, optional
            Steps from one checkpoint to the next; by default one at the end of each epoch. There is always
            one when the fit ends.
        verbose : int
            0 shows nothing; 1 a progress bar, if the output is a terminal.

        Returns
        -------
        History
            The means of loss and metrics over each epoch's steps, as they were at these steps.

        Raises
        ------
        FloatingPointError
            If a loss or gradient is not finite; it names the step and the layer. The weights are those of
            the step before. Non-finite weights are never saved in a checkpoint.
        OSError
            If a checkpoint cannot be written, or another process trains into its folder.
        ValueError
            If the checkpoint is of another fit: other examples, batch size, seed, or weights.
        FileFormatError
            If there are checkpoints, but none is whole, or the newest of these cannot have come from such
            a fit. The trainer is then as it was.
        RuntimeError
            If the model is trained in another thread, or has been built again since the trainer was made.
        """
        self._check_weights()
        batches, epochs = self._batches(x, y, batch_size), check_int(epochs, "epochs")
        hooks = [*self.callbacks, *_check_callbacks(callbacks)]
        validation = _check_validation(validation_data, self.model)
        if checkpoint is None and checkpoint_every is not None:
            raise ValueError(f"`checkpoint_every` needs a folder in `checkpoint`, got {checkpoint_every}")
        folder = None if checkpoint is None else CheckpointFolder(checkpoint, checkpoint_every)
        with (
            self.ranks.abort_on_error(),
            self.ranks,
            training_lock(self.model, self.optimizer),
            self._data_parallel as data_parallel,
            folder if folder and self.ranks.rank == 0 else contextlib.nullcontext(),
            ProgressBar(epochs, batches.size, batches.batch_size, batches.unit, bool(verbose)) as bar,
        ):
            self._begin(batches, epochs, hooks := [*hooks, bar])
            fit = self.state, data_parallel, batches, self.metrics
            hooks = [hook for hook in hooks if self.ranks.rank == 0 or hook.every_rank]
            checkpointer = Checkpointer(*fit, validation or (), folder, hooks) if folder else None
            hooks = [*hooks, checkpointer] if checkpointer else hooks
            validate = functools.partial(self._validate, validation)
            return TrainingLoop(*fit, validate, hooks, checkpointer).run(epochs)

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
        """Find a learning rate: train a copy with growing rates until the loss diverges.

        The trainer does not change: neither weights nor optimizer nor random streams.

        Parameters
        ----------
        x, y, batch_size
            As for `fit`.
        low, high : float
            The first and the last rate; each is the one before times a constant factor.
        steps : int
            Number of steps, fewer if the loss diverges.

        Returns
        -------
        RateSearch
            `rates`, smoothed `losses`, and a `suggestion`; `minicnn.plots.learning_rates` draws it.

        Raises
        ------
        FloatingPointError
            If the very first loss or gradient is not finite.
        """
        batches = self._batches(x, y, batch_size)
        return find_rate(self.state, batches, self.threads, low, high, steps)

    def evaluate(self, x: np.ndarray, y: np.ndarray, batch_size: int = 256) -> dict[str, float]:
        """Return the loss and the metrics over all of `x`, in evaluation mode.

        Parameters
        ----------
        x, y : ndarray
            As for `fit`.
        batch_size : int
            Examples at a time; the result does not depend on it.
        """
        x, y = check_pairs(x, y, self.model)
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
            return IterableBatches(x, self.model, self.seed, self.augment)
        return ArrayBatches(*check_pairs(x, y, self.model), batch_size, self.seed, self.augment)

    def _check_weights(self) -> None:
        """Raise if the model was built again: the replicas share the weights of before."""
        known = [parameter.value for parameter in self._data_parallel.parameters[0]]
        if [*map(id, known)] != [id(parameter.value) for parameter in self.model.parameters()]:
            raise RuntimeError(
                "the model has other weights than when this trainer was made, perhaps because it was built "
                "again: make a new Trainer, with a new optimizer"
            )

    def _begin(self, batches: Batches, epochs: int, hooks: Sequence[Callback]) -> None:
        """Begin a fit: the same in all ranks, with rank 0's weights."""
        ranks, state = self.ranks, self.state
        ranks.assert_equal(
            (batches.size, batches.batch_size, self.seed, state.epoch, epochs),
            "examples, batch size, seed, epoch and epochs must be the same in all ranks",
        )
        state.model.set_weights(ranks.broadcast(state.model.get_weights))
        state.begin_fit()
        for hook in hooks:
            hook.state = state

    def _validate(self, validation_data: Examples | None) -> dict[str, float]:
        """Return loss and metrics of the validation data; each rank predicts a part of it."""
        if validation_data is None:
            return {}
        (x, y), rank, size = validation_data, self.ranks.rank, self.ranks.size
        own = slice(len(x) * rank // size, len(x) * (rank + 1) // size)
        parts = self.ranks.all_gather(self.predict(x[own]))
        # In one rank only: other processors might round, and then callbacks decide, differently.
        results = self.ranks.broadcast(lambda: self.score(np.concatenate(parts), y))
        return {f"val_{name}": value for name, value in results.items()}


def _check_types(model: Any, optimizer: Any, loss: Any, metrics: Any, augment: Any) -> None:
    if not isinstance(model, Layer):
        raise TypeError(f"`model` must be a Layer object such as a Sequential, got {model!r}")
    if model.input_shape is None:
        raise RuntimeError("the model is not built: call build(input_shape) before training it")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"`optimizer` must be an Optimizer object such as Adam(), got {optimizer!r}")
    if not isinstance(metrics, Mapping | None):
        raise TypeError(f"`metrics` must be a dict of functions by name, got {metrics!r}")
    functions = {"`loss`": loss} | {f"metric {name!r}": metric for name, metric in (metrics or {}).items()}
    if augment is not None:
        functions["`augment`"] = augment
    for name, function in functions.items():
        if not callable(function):
            raise TypeError(f"{name} must be a function, got {function!r}")
    for name in metrics or ():
        if name == "loss" or str(name).startswith("val_"):
            raise ValueError(f"a metric must not be called 'loss' or 'val_...', got {name!r}")


def _check_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    hooks = tuple(callbacks) if np.iterable(callbacks) else None
    if hooks is None or not all(isinstance(hook, Callback) for hook in hooks):
        raise TypeError(f"`callbacks` must be a list of Callback objects, got {callbacks!r}")
    return hooks


def _check_validation(validation_data: Any, model: Layer) -> Examples | None:
    if validation_data is None:
        return None
    if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
        raise TypeError("`validation_data` must be a pair (x, y)")
    return check_pairs(validation_data[0], validation_data[1], model)
