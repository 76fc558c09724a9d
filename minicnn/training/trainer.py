"""The trainer: what belongs to a training beside its data. The loop itself is in `training.fitting`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minicnn.arguments import integer
from minicnn.layers.base import Layer
from minicnn.losses import softmax_cross_entropy
from minicnn.metrics import accuracy
from minicnn.optimizers import Optimizer
from minicnn.training.callbacks import Callback
from minicnn.training.checkpoints import CheckpointFolder
from minicnn.training.fitting import Fit, exclusive
from minicnn.training.history import History
from minicnn.training.progress import ProgressBar
from minicnn.training.shards import Shards, predict_in_threads

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
        Threads that compute a step, each on its shard of the batch; None takes the cores there are. With the
        same number of threads a run gives the same numbers, bit for bit; with another, equal ones up to
        rounding.
    callbacks : sequence of Callback
        Called in every `fit`, before those that it is given.

    Attributes
    ----------
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
        callbacks: Sequence[Callback] = (),
    ) -> None:
        if model.input_shape is None:
            raise RuntimeError("a model must be built before it is trained: call build(input_shape) first")
        self.model, self.optimizer, self.loss = model, optimizer, loss
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"`optimizer` must be an Optimizer object such as Adam(), got {optimizer!r}")
        if not callable(loss):
            raise TypeError(f"`loss` must be a function, see `minicnn.losses`, got {loss!r}")
        if not isinstance(metrics, Mapping | None):
            raise TypeError(f"`metrics` must be a dict of functions by name, got {metrics!r}")
        if metrics is None:
            metrics = {"accuracy": accuracy} if loss is softmax_cross_entropy else {}
        self.metrics = dict(metrics)
        self.seed = integer(seed, "seed")
        self.augment = augment
        self.threads = None if threads is None else integer(threads, "threads", low=1)
        self.callbacks = _checked(callbacks)
        self._shards = Shards(model, loss, threads)
        self.epoch = 0
        self.stop_training = self.interrupted = False

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
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
            Examples; uint8 images stay uint8, each batch is scaled to [0, 1] when its turn comes.
        y : ndarray, shape (N,) or (N, K)
            Labels, as the loss wants them.
        epochs : int
            How often each example is seen.
        batch_size : int
            Examples in a step; the last step of an epoch takes what is left.
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
            the step before.
        OSError
            If a checkpoint cannot be written, or somebody else trains into its folder.
        ValueError
            If the checkpoint is of another fit: other examples, batch size, seed, or weights.
        FileFormatError
            If there are checkpoints, but none is whole.
        RuntimeError
            If the model is trained in another thread.
        """
        x, y = _examples(x, y, self.model)
        epochs, batch_size = integer(epochs, "epochs"), integer(batch_size, "batch_size", low=1)
        callbacks = _checked(callbacks)
        if validation_data is not None:
            if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
                raise TypeError("`validation_data` must be a pair (x, y)")
            validation_data = _examples(*validation_data, self.model)
        if checkpoint is None and every is not None:
            raise ValueError(f"`every` must come with a folder for `checkpoint`, got every={every}")
        folder = contextlib.nullcontext() if checkpoint is None else CheckpointFolder(checkpoint, every)
        with (
            exclusive(self.model, self.optimizer),
            self._shards as shards,
            folder as checkpoints,
            ProgressBar(epochs, len(x), batch_size, bool(verbose)) as bar,
        ):
            hooks = [*self.callbacks, *callbacks, bar]
            for hook in hooks:
                hook.trainer = self
            return Fit(self, shards, checkpoints, x, y, batch_size, validation_data, hooks).run(epochs)

    def evaluate(self, x: np.ndarray, y: np.ndarray, batch_size: int = 256) -> dict[str, float]:
        """Return the loss and the metrics over all of `x`, in evaluation mode.

        Parameters
        ----------
        x, y : ndarray
            As for `fit`.
        batch_size : int
            Examples at a time; the result does not depend on it.
        """
        x, y = _examples(x, y, self.model)
        predictions = self.predict(x, batch_size)
        loss, _ = self.loss(predictions, y)
        metrics = {name: float(metric(predictions, y)) for name, metric in self.metrics.items()}
        return {"loss": float(loss)} | metrics

    def predict(self, x: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """Return the model's outputs for all of `x`, see `Layer.predict`; the threads share the work."""
        return predict_in_threads(self.model, x, batch_size, self.threads)


def _checked(callbacks: Any) -> tuple[Callback, ...]:
    if not np.iterable(callbacks) or not all(isinstance(hook, Callback) for hook in callbacks):
        raise TypeError(f"`callbacks` must be a list of Callback objects, got {callbacks!r}")
    return tuple(callbacks)


def _examples(x: Any, y: Any, model: Layer) -> tuple[np.ndarray, np.ndarray]:
    """Return examples and labels as arrays, if there are any, as many of each, of the model's shape."""
    x, y = np.asanyarray(x), np.asanyarray(y)
    if x.shape[1:] != model.input_shape:
        hint = " (add a channel axis: x[..., None])" if (*x.shape[1:], 1) == model.input_shape else ""
        raise ValueError(f"examples must have shape {model.input_shape}, got an array of {x.shape}{hint}")
    if len(x) == 0 or y.ndim == 0 or len(x) != len(y):
        raise ValueError(
            f"there must be at least one example, and a label for each; got arrays of {x.shape} and {y.shape}"
        )
    return x, y
