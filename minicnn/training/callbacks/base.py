"""The base of all callbacks, with Keras's hooks, which the training loop calls."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from minicnn.saving.files import check_schema
from minicnn.training.state import TrainingState

Logs = Mapping[str, float]


class Callback:
    """Base of all callbacks: override the hooks you need; here each does nothing.

    Attributes
    ----------
    state : TrainingState
        The state of the training (`model`, `optimizer`, `epoch`, `step`, ...), set before `on_train_begin`.
        `self.state.stop = True` ends the fit after the step that runs. For `evaluate` or `predict`, give the
        callback the trainer.
    every_rank : bool
        False: with several ranks (see `Trainer`), only the first calls it, so that it may print and write.
        A callback that changes the training (weights, learning rate) must run in all ranks: True.
    sets_final_weights : bool
        Whether it leaves other weights in the model when the fit ends; a fit warns if two do.
    checkpointed : dict of str to type
        The attributes that a checkpoint must hold, each with its type (float, int, str, bool, or a list or
        dict of these). For anything else, override `state_dict` and `load_state_dict`.

    Examples
    --------
    >>> class Shout(Callback):
    ...     def on_epoch_end(self, epoch, logs):
    ...         print(f"epoch {epoch} done, loss {logs['loss']:.2f}")
    """

    state: TrainingState
    every_rank: ClassVar[bool] = False
    sets_final_weights: bool = False
    checkpointed: ClassVar[Mapping[str, Any]] = {}

    def check(self, names: Sequence[str] | None) -> None:
        """Raise if the callback cannot work in this fit; called for all callbacks before `on_train_begin`.

        `names` are those of the logs; None if they are not known, since a callback may add more.
        """

    def on_train_begin(self) -> None:
        """Before the first epoch."""

    def on_train_end(self) -> None:
        """After the last epoch, also if the fit was stopped; not after an error."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Before an epoch, or when a fit resumes in the middle of it; epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """After an epoch and its validation, with the epoch's means."""

    def on_batch_begin(self, step: int) -> None:
        """Before a step; steps count from 0 in each epoch."""

    def on_batch_end(self, step: int, logs: Logs) -> None:
        """After a step, with the means of the epoch so far."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold of this callback: names, and arrays or JSON values."""
        return {name: getattr(self, name) for name in type(self).checkpointed}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned; called after `on_train_begin` when a fit resumes."""
        check_schema(dict(state), dict(type(self).checkpointed))
        vars(self).update(state)


def check_callbacks(callbacks: Any) -> list[Callback]:
    """Return an iterable of callbacks as a list; raise TypeError for anything else."""
    checked = list(callbacks) if np.iterable(callbacks) else None
    if checked is None or not all(isinstance(callback, Callback) for callback in checked):
        raise TypeError(f"`callbacks` must be a list of Callback objects, got {callbacks!r}")
    return checked
