"""One fit: batches, steps, epochs, what is reported of them, and when a checkpoint is due."""

from __future__ import annotations

import contextlib
import math
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.ops.scaling import to_float
from minicnn.optimizers import Optimizer
from minicnn.training import resume
from minicnn.training.callbacks import Callback
from minicnn.training.checkpoints import CheckpointFolder
from minicnn.training.diagnosis import find_nonfinite, is_finite
from minicnn.training.history import History, Progress
from minicnn.training.shards import Shards

if TYPE_CHECKING:
    from minicnn.training.trainer import Trainer

_claims = threading.Lock()
_training: set[int] = set()  # ids of the layers that are being trained; they live while they are here
_trained: weakref.WeakKeyDictionary[Optimizer, weakref.ref[Layer]] = weakref.WeakKeyDictionary()

Examples = tuple[np.ndarray, np.ndarray]


class Fit:
    """One call of `Trainer.fit`: its data, its hooks, and how far it is."""

    def __init__(
        self,
        trainer: Trainer,
        shards: Shards,
        checkpoints: CheckpointFolder | None,
        x: np.ndarray,
        y: np.ndarray,
        batch_size: int,
        validation_data: Examples | None,
        hooks: Sequence[Callback],
    ) -> None:
        self.trainer, self.shards, self.checkpoints = trainer, shards, checkpoints
        self.x, self.y, self.batch_size, self.validation_data = x, y, batch_size, validation_data
        self.hooks = hooks
        self.progress = Progress(trainer.epoch)

    def run(self, epochs: int) -> History:
        """Train from where the newest checkpoint stands, if there is one, to the end."""
        trainer = self.trainer
        trainer.stop_training = trainer.interrupted = False
        snapshot = None
        if self.checkpoints is not None:
            self.settings, self.streams = resume.settings(self), self.shards.streams()
            snapshot = self.checkpoints.latest()
            if snapshot is not None:
                resume.restore(self, snapshot)
        self._call("on_train_begin")
        if snapshot is not None:
            resume.restore_callbacks(self.hooks, snapshot)
        while trainer.epoch < self.progress.first_epoch + epochs and not self._stopping():
            self._run_epoch()
        self._save()  # before the end, at which a callback may change the weights
        self._call("on_train_end")
        return self.progress.history

    def _run_epoch(self) -> None:
        """Train on each example once, or go on with that; return earlier if it is to stop."""
        trainer, progress, size = self.trainer, self.progress, len(self.x)
        every = self.checkpoints.every if self.checkpoints is not None else None
        self._call("on_epoch_begin", trainer.epoch)
        order = np.random.default_rng([trainer.seed, trainer.epoch]).permutation(size)
        while progress.seen < size:
            if self._stopping():
                return
            step = progress.step
            self._call("on_batch_begin", step)
            indices = order[progress.seen : progress.seen + self.batch_size]
            results = self._step(self._augmented(self.x[indices], step), self.y[indices])
            self._call("on_batch_end", step, progress.add(results, len(indices)))
            if every is not None and trainer.optimizer.steps % every == 0:
                self._save()
        logs = progress.means()
        if self.validation_data is not None:
            results = trainer.evaluate(*self.validation_data)
            logs |= {f"val_{name}": value for name, value in results.items()}
        progress.end_epoch(trainer.epoch, logs)
        trainer.epoch += 1
        self._call("on_epoch_end", trainer.epoch - 1, logs)
        if every is None:
            self._save()

    def _step(self, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
        """Change the weights once; return loss and metrics as they were before."""
        trainer, parameters = self.trainer, self.shards.parameters[0]
        statistics = [(p, p.value.copy()) for p in parameters if not p.trainable]
        results: dict[str, float] = {}
        try:
            loss, predictions = self.shards.step(x, y)
            if math.isfinite(loss) and all(is_finite(parameter.grad) for parameter in parameters):
                measured = {name: float(metric(predictions, y)) for name, metric in trainer.metrics.items()}
                results = {"loss": float(loss)} | measured
        finally:
            if not results:  # the step is not made, but forward has changed these already
                for parameter, value in statistics:
                    parameter.value = value
        if not results:
            culprit = find_nonfinite(trainer.model, to_float(x, trainer.model.dtype), y, trainer.loss)
            raise FloatingPointError(
                f"loss and gradients must be finite, got a loss of {loss:g} in epoch {trainer.epoch}, "
                f"step {self.progress.step}: {culprit}; a smaller learning rate may help"
            )
        trainer.optimizer.step(parameters)
        return results

    def _augmented(self, images: np.ndarray, step: int) -> np.ndarray:
        trainer = self.trainer
        if trainer.augment is None:
            return images
        # A seed sequence is filled up with zeros: [s, e, 0] would repeat the stream of [s, e], the order.
        return trainer.augment(images, np.random.default_rng([trainer.seed, trainer.epoch, step + 1]))

    def _save(self) -> None:
        if self.checkpoints is not None:
            self.progress.stopped = self.trainer.stop_training
            self.checkpoints.save(self.trainer.optimizer.steps, *resume.capture(self))

    def _stopping(self) -> bool:
        return self.trainer.stop_training or self.trainer.interrupted

    def _call(self, name: str, *args: Any) -> None:
        for hook in self.hooks:
            getattr(hook, name)(*args)


@contextlib.contextmanager
def exclusive(model: Layer, optimizer: Optimizer) -> Iterator[None]:
    """Put a model into training mode, nobody wanting dL/dx, for one fit alone; afterwards back as it was.

    Raises
    ------
    RuntimeError
        If a layer of it is being trained already.
    ValueError
        If the optimizer has trained another model: its state would be wrong for this one.
    """
    layers = {id(layer) for layer in (model, *(layer for _, layer in model.named_layers()))}
    with _claims:
        if layers & _training:
            raise RuntimeError(
                "a model must be trained by one fit at a time, but another runs, perhaps in another thread"
            )
        trained = _trained.setdefault(optimizer, weakref.ref(model))
        if trained() is not model and optimizer.steps:
            raise ValueError(
                f"an optimizer must train one model only, since it remembers its gradients: this one made "
                f"{optimizer.steps} steps with another; give each trainer an optimizer of its own"
            )
        _trained[optimizer] = weakref.ref(model)
        _training.update(layers)
    training, needs_dx = model.training, model.needs_dx
    try:
        model.train().needs_dx = False
        yield
    finally:
        model.train(training).needs_dx = needs_dx
        with _claims:
            _training.difference_update(layers)
