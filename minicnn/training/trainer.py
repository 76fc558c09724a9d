"""The training loop: batches, steps, epochs, and what is reported of them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minicnn.arguments import integer
from minicnn.layers.base import Layer
from minicnn.losses import softmax_cross_entropy
from minicnn.metrics import accuracy
from minicnn.ops.scaling import to_float
from minicnn.optimizers import Optimizer
from minicnn.training.callbacks import Callback
from minicnn.training.diagnosis import find_nonfinite, is_finite
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
        What turns gradients into new weights.
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
        self.stop_training = False

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        epochs: int = 1,
        batch_size: int = 32,
        *,
        validation_data: tuple[np.ndarray, np.ndarray] | None = None,
        callbacks: Sequence[Callback] = (),
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
        """
        x, y = _examples(x, y, self.model)
        epochs, batch_size = integer(epochs, "epochs"), integer(batch_size, "batch_size", low=1)
        callbacks = _checked(callbacks)
        if validation_data is not None:
            if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
                raise TypeError("`validation_data` must be a pair (x, y)")
            validation_data = _examples(*validation_data, self.model)
        history = History()
        with (
            self._training_mode(),
            self._shards as shards,
            ProgressBar(epochs, len(x), batch_size, bool(verbose)) as bar,
        ):
            hooks = [*self.callbacks, *callbacks, bar]
            for hook in hooks:
                hook.trainer = self
            _call(hooks, "on_train_begin")
            for _ in range(epochs):
                logs = self._fit_epoch(x, y, batch_size, shards, hooks)
                if logs is None:
                    break
                if validation_data is not None:
                    results = self.evaluate(*validation_data)
                    logs |= {f"val_{name}": value for name, value in results.items()}
                history.append(self.epoch, logs)
                self.epoch += 1
                _call(hooks, "on_epoch_end", history.epoch[-1], logs)
                if self.stop_training:
                    break
            _call(hooks, "on_train_end")
        return history

    @contextlib.contextmanager
    def _training_mode(self) -> Iterator[None]:
        """Put the model into training mode, nobody wanting dL/dx, and afterwards back as it was."""
        model, training, needs_dx = self.model, self.model.training, self.model.needs_dx
        model.train().needs_dx = False
        self.stop_training = False
        try:
            yield
        finally:
            model.train(training).needs_dx = needs_dx

    def _fit_epoch(
        self, x: np.ndarray, y: np.ndarray, batch_size: int, shards: Shards, hooks: Sequence[Callback]
    ) -> dict[str, float] | None:
        """Train on each example once; return the mean logs, or None if stopped before the end."""
        _call(hooks, "on_epoch_begin", self.epoch)
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(x))
        sums: dict[str, float] = {}
        logs: dict[str, float] = {}
        for step, start in enumerate(range(0, len(x), batch_size)):
            if self.stop_training:
                return None
            _call(hooks, "on_batch_begin", step)
            indices = order[start : start + batch_size]
            results = self._train_step(self._augmented(x[indices], step), y[indices], step, shards)
            seen = start + len(indices)
            for name, value in results.items():
                sums[name] = sums.get(name, 0.0) + value * len(indices)
            logs = {name: total / seen for name, total in sums.items()}
            _call(hooks, "on_batch_end", step, logs)
        return logs

    def _augmented(self, images: np.ndarray, step: int) -> np.ndarray:
        if self.augment is None:
            return images
        # A seed sequence is filled up with zeros: [s, e, 0] would repeat the stream of [s, e], the order.
        return self.augment(images, np.random.default_rng([self.seed, self.epoch, step + 1]))

    def _train_step(self, x: np.ndarray, y: np.ndarray, step: int, shards: Shards) -> dict[str, float]:
        """Change the weights once; return loss and metrics as they were before."""
        parameters = shards.parameters[0]
        statistics = [(p, p.value.copy()) for p in parameters if not p.trainable]
        loss, predictions = shards.step(x, y)
        if not (math.isfinite(loss) and all(is_finite(parameter.grad) for parameter in parameters)):
            for parameter, value in statistics:  # they have changed already, in forward
                parameter.value = value
            culprit = find_nonfinite(self.model, to_float(x, self.model.dtype), y, self.loss)
            raise FloatingPointError(
                f"loss and gradients must be finite, got a loss of {loss:g} in epoch {self.epoch}, "
                f"step {step}: {culprit}; a smaller learning rate may help"
            )
        self.optimizer.step(parameters)
        return {"loss": loss} | {name: metric(predictions, y) for name, metric in self.metrics.items()}

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
        return {"loss": loss} | {name: metric(predictions, y) for name, metric in self.metrics.items()}

    def predict(self, x: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """Return the model's outputs for all of `x`, see `Layer.predict`; the threads share the work."""
        return predict_in_threads(self.model, x, batch_size, self.threads)


def _checked(callbacks: Any) -> tuple[Callback, ...]:
    if not np.iterable(callbacks) or not all(isinstance(hook, Callback) for hook in callbacks):
        raise TypeError(f"`callbacks` must be a list of Callback objects, got {callbacks!r}")
    return tuple(callbacks)


def _call(hooks: Sequence[Callback], name: str, *args: Any) -> None:
    for hook in hooks:
        getattr(hook, name)(*args)


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
