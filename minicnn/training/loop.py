"""The training loop: epochs, batches, steps, and the callbacks between them."""

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.parallel.data_parallel import DataParallel
from minicnn.safeguards.claims import changing
from minicnn.safeguards.inputs import check_content, check_equal, check_scale, some_of
from minicnn.safeguards.nonfinite import nonfinite_weights
from minicnn.safeguards.user_code import is_own
from minicnn.saving.fingerprint import data_digest
from minicnn.training.batch import Batch, Batches
from minicnn.training.callbacks import Callback
from minicnn.training.evaluation import Validation
from minicnn.training.history import History
from minicnn.training.resume.checkpointer import Checkpointer
from minicnn.training.safeguards.finite import require_finite
from minicnn.training.safeguards.single import warn_of_single_values
from minicnn.training.state import TrainingState


@dataclass(eq=False)
class TrainingLoop:
    """One call of `Trainer.fit`.

    Parameters
    ----------
    state : TrainingState
        Advanced in place.
    data_parallel : DataParallel
        Computes loss and gradients; its replicas are kept up to date, and its `ranks` share the batches.
    batches : Batches
        Where the batches come from.
    validate : Validation
        Returns loss and metrics of the validation data, if there is any.
    callbacks : list of Callback
        Called in this order; the checkpointer, if there is one, is the last.
    checkpointer : Checkpointer, optional
        Restores the newest checkpoint when the loop begins, and saves the last one when it ends.
    train_epoch : callable
        Makes the steps of the batches of an epoch, and returns their means; see `Trainer.train_epoch`.
    """

    state: TrainingState
    data_parallel: DataParallel
    batches: Batches
    validate: Validation
    callbacks: list[Callback]
    checkpointer: Checkpointer | None
    train_epoch: Callable[[Iterable[Batch]], Mapping[str, float]]

    def __post_init__(self) -> None:
        self.ranks, self.checked = self.data_parallel.ranks, False
        self.is_whole = False  # whether all batches of the epoch were given

    def run(self, epochs: int) -> History:
        """Train until the fit has `epochs` epochs, or a callback or a signal stops it."""
        state, ranks = self.state, self.ranks
        self._begin(epochs)
        with self.checkpointer.resumed() if self.checkpointer else contextlib.nullcontext():
            self._notify("on_train_begin")
        is_done = self.checkpointer is not None and self.checkpointer.is_other_fit_finished(epochs)
        state.sync_stop(ranks)
        state.nonfinite_before = nonfinite_weights(state.model)
        while state.epoch < state.first_epoch + epochs and not self.stopping:
            self._notify("on_epoch_begin", state.epoch)
            self.data_parallel.sync_replicas()
            with contextlib.closing(self._batches_left()) as batches:
                logs = self.train_epoch(batches)
                self._require_all(batches)
            if self.is_whole:
                self._end_epoch(logs)
        if self.checkpointer and not is_done:
            self.checkpointer.save()  # before `on_train_end`, which may change the weights
        self._notify("on_train_end")
        return state.history

    def _batches_left(self) -> Generator[Batch, None, None]:
        """Yield the batches of the epoch whose steps are not made; before and after each, call the callbacks.

        They end early if the fit is stopped. When the next batch is asked for, the step of the last is made.
        """
        state, self.is_whole = self.state, False
        for batch in self.batches.epoch(state.epoch, state.step, self.ranks):
            if self.stopping:
                return
            self.ranks.stage = f"epoch {state.epoch}, step {state.step}"
            self._notify("on_batch_begin", state.step)
            if not self.checked:
                self._check_inputs(batch)
            with changing(state.model), state.giving(batch.size):
                yield batch
            self._notify("on_batch_end", state.step - 1, state.means())
        self.is_whole = True

    def _require_all(self, batches: Iterator[Batch]) -> None:
        """Raise unless `train_epoch` has taken all batches, or the fit was stopped."""
        if next(batches, None) is not None or not (self.is_whole or self.stopping):
            raise RuntimeError(
                f"`train_epoch` must take all batches that it is given, but ended in step {self.state.step} "
                f"of epoch {self.state.epoch}: use `continue` to leave a batch out, and set "
                f"`self.state.stop = True` to end the fit"
            )

    def _begin(self, epochs: int) -> None:
        """Check that the ranks agree, and give all of them the weights of rank 0."""
        state, ranks, batches = self.state, self.ranks, self.batches
        ranks.assert_equal(
            (batches.size, batches.batch_size, batches.seed, state.epoch, epochs),
            "examples, batch size, seed, epoch and epochs must be the same in all ranks",
        )
        ranks.assert_equal(
            [name for name, p in state.model.named_parameters() if p.trainable],
            "the same weights must be trainable in all ranks",
        )
        if ranks.size > 1:
            source = batches.source
            digest = data_digest(*batches.arrays), None if source is None else source.digest()
            ranks.assert_equal(digest, "all ranks must be given the same examples")
        state.model.set_weights(ranks.broadcast(state.model.get_weights))
        if not is_own(type(getattr(self.train_epoch, "__self__", self))):  # a subclass may leave batches out
            require_finite(state, batches, self.validate.data)
        self.data_parallel.compares_next = True

    def _check_inputs(self, batch: Batch) -> None:
        """Warn if examples, or those to validate with, have hardly the values that they should have."""
        self.checked = True
        model, arrays, augmented = self.state.model, self.batches.arrays, self.batches.augment is not None
        name, sample = "what `augment` returned" if augmented else "`x`", batch.x
        is_held = arrays and self.batches.source is None
        if is_held and not isinstance(arrays[0], np.memmap):  # of which only the rows of a step are read
            check_equal(model, some_of(arrays[0]), "`x`")
            sample = sample if augmented else some_of(arrays[0])
        check_content(model, sample, name)
        check_scale(model, sample, name, training=True)
        self.validate.check_scale()
        if not self.state.optimizer.steps:
            warn_of_single_values(model, batch.size)

    def _end_epoch(self, logs: Mapping[str, float]) -> None:
        """Check the weights, validate, and close the epoch."""
        state, ranks = self.state, self.ranks
        if not isinstance(logs, Mapping) or "loss" not in logs:
            raise TypeError(
                f"`train_epoch` must return the means of the epoch with its 'loss', such as "
                f"`self.epoch_logs()`, got {logs!r:.50}"
            )
        # The last step may have been too large.
        if new := state.newly_nonfinite():
            raise FloatingPointError(
                f"the weights {new[0]!r} became non-finite in epoch {state.epoch}, by step {state.step - 1}"
                f". Try a smaller learning rate."
            )
        ranks.stage = f"the end of epoch {state.epoch}"
        ranks.assert_equal(
            ranks.weights_digest(self.data_parallel.parameters[0]),
            "the ranks' weights differ: a callback that changes weights needs `every_rank = True`",
        )
        logs = {**logs, **self.validate()}
        state.close_epoch(logs)
        self._notify("on_epoch_end", state.epoch - 1, logs)
        state.sync_stop(ranks)

    @property
    def stopping(self) -> bool:
        """Whether to stop before the next step; with several ranks, only when all of them have agreed."""
        state = self.state
        return state.agreed_to_stop if self.ranks.size > 1 else state.stop or state.interrupted

    def _notify(self, name: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, name)(*args)
