"""The callback that writes the checkpoints of a fit, and restores the newest."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minicnn.errors import FileFormatError
from minicnn.parallel.data_parallel import DataParallel
from minicnn.plural import counted
from minicnn.saving.checkpoints import CheckpointFolder, Snapshot
from minicnn.saving.fingerprint import differences
from minicnn.saving.weights import check_weights
from minicnn.training.batch import Batches
from minicnn.training.callbacks.base import Callback, Logs
from minicnn.training.evaluation import is_mean
from minicnn.training.resume.checkpoint_format import (
    check_generator_state,
    check_values,
    file_format_error,
    is_consistent,
    under,
)
from minicnn.training.resume.settings import settings_of_fit
from minicnn.training.sources import Examples, ExampleSource
from minicnn.training.state import TrainingState

_OUTPUTS = ("epoch.predictions", "epoch.labels")


@dataclass(eq=False)
class Checkpointer(Callback):
    """Write checkpoints of a fit into a folder, and restore the newest; the last of the callbacks.

    Parameters
    ----------
    state : TrainingState
        What is saved and restored.
    data_parallel : DataParallel
        Its replicas hold the generators.
    batches, validation_data
        With the settings of model, optimizer and metrics they decide the numbers. The size of the data set,
        batch size and seed must be those of the checkpoint; other differences are reported, and the fit
        continues.
    folder : CheckpointFolder
        Entered by the caller in the first rank.
    callbacks : list of Callback
        Those whose state is saved.
    own_steps : str
        The methods of an epoch or a step that are the user's.
    """

    state: TrainingState
    data_parallel: DataParallel
    batches: Batches
    validation_data: ExampleSource | Examples | None
    folder: CheckpointFolder
    callbacks: list[Callback]
    own_steps: str = ""
    every_rank: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.ranks, self.lr = self.data_parallel.ranks, self.state.optimizer.lr
        kinds = [type(callback).__name__ for callback in self.callbacks]
        names = [f"{kind}.{kinds[:i].count(kind)}" for i, kind in enumerate(kinds)]
        self.named_callbacks = dict(zip(names, self.callbacks, strict=True))
        size, batch_size, seed = self.batches.size, self.batches.batch_size, self.batches.seed
        self.fixed = {"examples": size, "batch_size": batch_size, "seed": seed}
        fit = self.state, self.data_parallel, self.batches, self.validation_data, self.own_steps
        self.fingerprint = self.ranks.broadcast(lambda: settings_of_fit(*fit))
        self.changed = ""  # how the settings differ from those of the checkpoint

    def on_batch_end(self, step: int, logs: Logs) -> None:
        """Save if `folder.every` steps have passed."""
        if self.folder.every is not None and self.state.batches % self.folder.every == 0:
            self.save()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Save, unless `folder.every` says otherwise."""
        if self.folder.every is None:
            self.save()

    def is_other_fit_finished(self, epochs: int) -> bool:
        """Return whether the fit has ended, and warn, if the user asks for something else now."""
        state = self.state
        more = state.first_epoch + epochs - state.epoch
        if (more > 0 and not state.stop) or not (self.changed or more < 0):
            return False
        done = counted(len(state.history.epoch), "epoch")
        why = f"was stopped in epoch {state.epoch}" if more > 0 else f"has {done}"
        but = f", although {self.changed}" if self.changed else f", but `epochs` is {epochs}"
        if self.ranks.rank == 0:
            text = f"nothing to train: the fit in {self.folder.folder} is finished, it {why}{but}; "
            warnings.warn(f"{text}use another checkpoint folder, or more epochs", stacklevel=4)
        return True

    def save(self) -> None:
        """Write a checkpoint of the state between two steps; no weights may have become infinite or NaN."""
        state = self.state
        if state.optimizer.lr != self.lr:
            message = f"a callback changed `optimizer.lr` from {self.lr!r} to {state.optimizer.lr!r}, which "
            message += "checkpoints do not hold; change `optimizer.lr_scale` instead"
            raise self.ranks.raised_everywhere(ValueError(message))
        if new := state.newly_nonfinite():
            message = f"the weights {new[0]!r} became non-finite in step {state.optimizer.steps}, not saved"
            error = FloatingPointError(f"{message}. Try a smaller learning rate.")
            raise self.ranks.raised_everywhere(error)
        own = [[g.bit_generator.state for g in each] for each in self.data_parallel.generators()]
        generators = [states for rank in self.ranks.all_gather(own) for states in rank]
        state.sync_stop(self.ranks)
        outputs = state.all_outputs(self.ranks)
        if self.ranks.rank == 0:
            arrays = state.arrays()
            if len(outputs[1]):
                arrays |= dict(zip(_OUTPUTS, outputs, strict=True))
            callbacks: dict[str, dict[str, Any]] = {}
            for name, callback in self.named_callbacks.items():
                for key, value in callback.state_dict().items():
                    if isinstance(value, np.ndarray):
                        arrays[f"callbacks.{name}.{key}"] = value
                    else:
                        callbacks.setdefault(name, {})[key] = value
            more = {"fingerprint": self.fingerprint, "generators": generators, "callbacks": callbacks}
            self.folder.save(state.batches, arrays, self.fixed | state.values() | more)

    @contextlib.contextmanager
    def resumed(self) -> Iterator[None]:
        """Restore the newest checkpoint, if there is one; the callbacks' state when the block is left.

        Raises ValueError if it is of another fit, FileFormatError if it cannot come from one; everything is
        then put back as it was.
        """
        checkpoint = self.ranks.broadcast(self.folder.latest)
        if checkpoint is None:
            yield
            return
        arrays = {name: array.copy() for name, array in self.state.arrays().items()}
        values = self.state.values()
        generators = [g.bit_generator for each in self.data_parallel.generators() for g in each]
        before = [bits.state for bits in generators]
        try:
            self._restore(checkpoint)
            yield
            self._restore_callbacks(checkpoint)
        except BaseException:
            self.state.load(arrays, values)
            for bits, old in zip(generators, before, strict=True):
                bits.state = old
            raise

    def _restore(self, checkpoint: Snapshot) -> None:
        """Check the whole checkpoint, then take it over; warn if the results will not be bit-identical."""
        state, values = self.state, checkpoint.state
        means = [name for name, metric in state.metrics.items() if is_mean(metric)]
        generators = self._check(checkpoint)
        try:
            state.load(checkpoint.arrays, values)
        except ValueError as error:
            then, now = values["fingerprint"].get("optimizer"), self.fingerprint["optimizer"]
            if then == now:
                raise
            raise ValueError(
                f"{checkpoint.path} belongs to another fit: its optimizer is {then!r:.50}, "
                f"and here it is {now!r:.50}; use another checkpoint folder"
            ) from error
        if values["fingerprint"].get("lr") != self.fingerprint["lr"]:  # the user asks for this rate now
            state.optimizer.lr_scale = 1.0
        if _OUTPUTS[0] in checkpoint.arrays:
            predictions, labels = (checkpoint.arrays[name] for name in _OUTPUTS)
            own = slice(None) if self.ranks.rank == 0 else slice(0)
            state.outputs = [(predictions[own], labels[own])]
        if state.sums and values["fingerprint"].get("metrics") != self.fingerprint["metrics"]:
            # A metric that is new is unknown for the epoch so far.
            state.sums = {name: state.sums.get(name, math.nan) for name in ("loss", *means)}
            state.counts = dict.fromkeys(state.sums, state.counts.get("loss", state.seen))
        for generator, bits in generators:
            generator.bit_generator.state = bits
        self.changed = self._differences(values)
        if self.changed and self.ranks.rank == 0:
            text = f"resuming from {checkpoint.path}; results will not be bit-identical, because "
            warnings.warn(text + self.changed, stacklevel=2)

    def _differences(self, values: dict[str, Any]) -> str:
        """Return how the settings and callbacks differ from those of the checkpoint."""
        then, now = values["callbacks"].keys(), values["callbacks"].keys() & self.named_callbacks.keys()
        then, now = (", ".join(sorted(names)) or "none" for names in (then, now))
        return differences(values["fingerprint"] | {"callbacks": then}, self.fingerprint | {"callbacks": now})

    def _check(self, checkpoint: Snapshot) -> list[tuple[np.random.Generator, dict]]:
        """Raise unless the checkpoint is of this fit; return this rank's generators with their states."""
        values, path = checkpoint.state, checkpoint.path
        with file_format_error(f"{path} is not a checkpoint of this version"):
            check_values(values)
            generators = self._generators(values["generators"])
        for name, own in self.fixed.items():
            if values[name] != own:
                raise ValueError(
                    f"{path} belongs to another fit: `{name}` is {values[name]!r:.50} there and {own} here; "
                    f"use another checkpoint folder"
                )
        if not is_consistent(values, self.batches):
            raise FileFormatError(f"the steps, examples and epochs in {path} contradict each other")
        check_weights(self.state.model, under("model.", checkpoint.arrays), path)
        return generators

    def _generators(self, states: list[list[dict[str, Any]]]) -> list[tuple[np.random.Generator, dict]]:
        """Return this rank's generators, each with its saved state; threads may be more or fewer."""
        own = self.data_parallel.generators()
        mine = states[self.ranks.rank * len(own) :]
        pairs = [pair for each in zip(own, mine, strict=False) for pair in zip(*each, strict=False)]
        for generator, state in pairs:
            check_generator_state(generator, state)
        return pairs

    def _restore_callbacks(self, checkpoint: Snapshot) -> None:
        for name, callback in self.named_callbacks.items():
            values = checkpoint.state["callbacks"].get(name, {})
            arrays = under(f"callbacks.{name}.", checkpoint.arrays)
            if values or arrays:
                with file_format_error(f"{checkpoint.path} has an invalid state of {name}"):
                    callback.load_state_dict(values | arrays)
