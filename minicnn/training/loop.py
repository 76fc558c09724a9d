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
from minicnn.parallel.data_parallel import DataParallel
from minicnn.saving.checkpoints import CheckpointFolder
from minicnn.training import resume
from minicnn.training.batches import Batches, Examples
from minicnn.training.callbacks import Callback
from minicnn.training.diagnosis import find_nonfinite, is_finite
from minicnn.training.history import History, Progress

if TYPE_CHECKING:
    from minicnn.training.trainer import Trainer

_ADVICE = "; a smaller learning rate may help"

_claims = threading.Lock()
_training: set[int] = set()  # ids of the layers that are being trained; they live while they are here
# What an optimizer has trained: the buffers of the weights, which a model that is built again has no more.
_trained: weakref.WeakKeyDictionary[Optimizer, list[weakref.ref[np.ndarray]]] = weakref.WeakKeyDictionary()


class TrainingLoop:
    """One call of `Trainer.fit`: its data, its hooks, and how far it is."""

    def __init__(
        self,
        trainer: Trainer,
        shards: DataParallel,
        checkpoints: CheckpointFolder | None,
        batches: Batches,
        validation_data: Examples | None,
        hooks: Sequence[Callback],
    ) -> None:
        self.trainer, self.shards, self.checkpoints = trainer, shards, checkpoints
        self.ranks, self.batches, self.validation_data = trainer.ranks, batches, validation_data
        self.hooks = [hook for hook in hooks if self.ranks.rank == 0 or hook.every_rank]
        self.progress = Progress(trainer.epoch)

    def run(self, epochs: int) -> History:
        """Train from where the newest checkpoint stands, if there is one, to the end."""
        trainer = self.trainer
        trainer.stop_training = trainer.interrupted = False
        self.rate = trainer.optimizer.lr
        if trainer.rates is not None and self.rate == trainer.rates[1]:
            self.rate = trainer.rates[0]  # what callbacks have made of it, nobody has asked for
        try:
            return self._run(epochs)
        finally:
            trainer.rates = self.rate, trainer.optimizer.lr

    def _run(self, epochs: int) -> History:
        trainer, ranks = self.trainer, self.ranks
        ranks.assert_equal(
            (self.batches.size, self.batches.batch_size, trainer.seed, trainer.epoch, epochs),
            "examples, batch size, seed, epoch and epochs must be the same in all ranks",
        )
        trainer.model.set_weights(ranks.broadcast(trainer.model.get_weights))
        if self.checkpoints is None:
            self._notify("on_train_begin")
        else:
            self._begin(self.checkpoints)
        self._sync_stop()
        while trainer.epoch < self.progress.first_epoch + epochs and not self._stopping():
            self._run_epoch()
        self._save()  # before the end, at which a callback may change the weights
        self._notify("on_train_end")
        return self.progress.history

    def _begin(self, checkpoints: CheckpointFolder) -> None:
        """Go back to the newest checkpoint, if there is one; or, on an error, to where all was before."""
        self.streams = self.shards.generators()
        self.settings = self.ranks.broadcast(lambda: resume.settings(self))
        snapshot = self.ranks.broadcast(checkpoints.latest)
        if snapshot is None:
            self._notify("on_train_begin")
            return
        with resume.rollback_on_error(self):
            resume.restore(self, snapshot)
            self._notify("on_train_begin")
            resume.restore_callbacks(self.hooks, snapshot)

    def _run_epoch(self) -> None:
        """Train on each example once, or go on with that; return earlier if it is to stop."""
        trainer, progress, ranks = self.trainer, self.progress, self.ranks
        every = self.checkpoints.every if self.checkpoints is not None else None
        self._notify("on_epoch_begin", trainer.epoch)
        self.shards.sync_replicas()
        for size, x, y in self.batches.epoch(trainer.epoch, progress.step, ranks):
            if self._stopping():
                return
            step = progress.step
            ranks.stage = f"epoch {trainer.epoch}, step {step}"
            self._notify("on_batch_begin", step)
            results = self._step(self._augmented(x, step), y, size)
            self._notify("on_batch_end", step, progress.add(results, size))
            if every is not None and trainer.optimizer.steps % every == 0:
                self._save()
        logs = progress.means()
        ranks.stage = f"the end of epoch {trainer.epoch}"
        ranks.assert_equal(
            ranks.weights_digest(self.shards.parameters[0]),
            "all ranks must have equal weights, so a callback that changes the training needs `every_rank`",
        )
        logs |= self._validate()
        progress.end_epoch(trainer.epoch, logs)
        trainer.epoch += 1
        self._notify("on_epoch_end", trainer.epoch - 1, logs)
        self._sync_stop()
        if every is None:
            self._save()

    def _validate(self) -> dict[str, float]:
        """Return loss and metrics of the validation data, of which each rank computes a part."""
        if self.validation_data is None:
            return {}
        (x, y), rank, count = self.validation_data, self.ranks.rank, self.ranks.size
        own = slice(len(x) * rank // count, len(x) * (rank + 1) // count)
        parts = self.ranks.all_gather(self.trainer.predict(x[own]))
        # In one rank only, since other processors might round, and so decide, differently.
        results = self.ranks.broadcast(lambda: self.trainer.score(np.concatenate(parts), y))
        return {f"val_{name}": value for name, value in results.items()}

    def _step(self, x: np.ndarray, y: np.ndarray, size: int) -> dict[str, float]:
        """Change the weights once; return loss and metrics as they were before.

        The batch has `size` examples, of which `x` are those of this rank.
        """
        trainer, parameters = self.trainer, self.shards.parameters[0]
        statistics = [(p, p.value.copy()) for p in parameters if not p.trainable]
        results: dict[str, float] = {}
        try:
            loss, predictions = self.shards.forward_backward(x, y, size)
            if self.shards.is_parallel and not all(_equal(p.value, value) for p, value in statistics):
                raise ValueError(
                    "a layer whose forward changes weights (running statistics) must say "
                    "`batch_dependent = True`, else each shard of a batch changes them; or take one thread"
                )
            values = dict.fromkeys(trainer.metrics, 0.0)
            if len(x) and math.isfinite(loss):
                share = len(x) / size
                values = {name: metric(predictions, y) * share for name, metric in trainer.metrics.items()}
            loss, *sums = self._add_up([loss, *values.values()], len(x), size)
            if math.isfinite(loss) and is_finite(*(parameter.grad for parameter in parameters)):
                results = dict(zip(("loss", *values), map(float, (loss, *sums)), strict=True))
        finally:
            if not results:  # the step is not made, but forward has changed these already
                for parameter, value in statistics:
                    parameter.value = value
        if not results:
            culprit = find_nonfinite(trainer.model, to_float(x, trainer.model.dtype), y, trainer.loss)
            found = [one for one in self.ranks.all_gather(culprit) if one]
            told = found[0] if found else "it did not happen again when a copy of the model repeated the step"
            raise self.ranks.raised_everywhere(
                FloatingPointError(
                    f"loss and gradients must be finite, got a loss of {loss:g} in epoch {trainer.epoch}, "
                    f"step {self.progress.step}: {told}{'' if 'batch itself' in told else _ADVICE}"
                )
            )
        trainer.optimizer.step(parameters)
        return results

    def _add_up(self, values: list[float], examples: int, size: int) -> list[float]:
        """Sum the gradients and these values over the ranks, which also agree on whether to stop."""
        trainer, ranks = self.trainer, self.ranks
        wishes = [trainer.stop_training, trainer.interrupted]
        numbers = ranks.all_reduce(self.shards.parameters[0], [*values, examples, *wishes])
        *sums, seen, stop, pause = numbers
        if seen != size:
            raise ValueError(f"all ranks must be given the same batch, but of {size} examples came {seen:g}")
        self._apply_stop(stop, pause)
        return sums

    def _augmented(self, images: np.ndarray, step: int) -> np.ndarray:
        trainer = self.trainer
        if trainer.augment is None or len(images) == 0:
            return images
        # A seed sequence is filled up with zeros: [s, e, 0] would repeat the stream of [s, e], the order; but
        # a first rank has the same stream as one that is alone.
        seeds = [trainer.seed, trainer.epoch, step + 1, self.ranks.rank]
        return trainer.augment(images, np.random.default_rng(seeds))

    def _save(self) -> None:
        if self.checkpoints is None:
            return
        if not is_finite(*(parameter.value for parameter in self.shards.parameters[0])):
            named = self.trainer.model.named_parameters()
            name = next(name for name, parameter in named if not is_finite(parameter.value))
            # The last update was too large; the checkpoint before it stays.
            raise self.ranks.raised_everywhere(
                FloatingPointError(
                    f"weights must be finite to be saved, but {name!r} are not after "
                    f"{self.trainer.optimizer.steps} steps{_ADVICE}"
                )
            )
        self._sync_stop()
        own = [[stream.bit_generator.state for stream in streams] for streams in self.shards.generators()]
        streams = [states for one in self.ranks.all_gather(own) for states in one]
        if self.ranks.rank == 0:
            self.progress.stopped = self.trainer.stop_training
            self.checkpoints.save(self.trainer.optimizer.steps, *resume.capture(self, streams))

    def _sync_stop(self) -> None:
        """Learn whether a callback or a signal in any of the ranks wants the fit to stop."""
        wishes = self.ranks.all_gather((self.trainer.stop_training, self.trainer.interrupted))
        self._apply_stop(*map(any, zip(*wishes, strict=True)))

    def _apply_stop(self, stop: float, pause: float) -> None:
        if self.ranks.size > 1:
            self.stop = bool(stop or pause)
            self.trainer.stop_training |= bool(stop)
            self.trainer.interrupted |= bool(pause)

    def _stopping(self) -> bool:
        """Return whether to stop; several ranks only by what they agreed on, since none may go on alone."""
        trainer = self.trainer
        return self.stop if self.ranks.size > 1 else trainer.stop_training or trainer.interrupted

    def _notify(self, name: str, *args: Any) -> None:
        for hook in self.hooks:
            getattr(hook, name)(*args)


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a, b) or np.array_equal(a, b, equal_nan=True)  # which takes ten times longer


@contextlib.contextmanager
def training_lock(model: Layer, optimizer: Optimizer) -> Iterator[None]:
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
        weights = [parameter.value for parameter in model.parameters()]
        trained = [buffer() for buffer in _trained.get(optimizer, map(weakref.ref, weights))]
        if optimizer.steps and [*map(id, trained)] != [*map(id, weights)]:
            raise ValueError(
                f"an optimizer must train one model only, since it remembers its gradients: this one made "
                f"{optimizer.steps} steps with another, or before it was built again; give each trainer an "
                f"optimizer of its own"
            )
        _trained[optimizer] = [*map(weakref.ref, weights)]
        _training.update(layers)
    training, needs_dx = model.training, model.needs_dx
    try:
        model.train().needs_dx = False
        yield
    finally:
        model.train(training).needs_dx = needs_dx
        with _claims:
            _training.difference_update(layers)
