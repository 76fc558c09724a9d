"""What may happen beside the training: callbacks, with Keras's hooks, called by the trainer."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.saving.files import check_schema, explain_os_errors
from minicnn.saving.weights import save_weights
from minicnn.validation import check_int, check_real

if TYPE_CHECKING:
    from minicnn.training.trainer import Trainer

Logs = Mapping[str, float]


class Callback:
    """Base of all callbacks: override what you need; each hook does nothing here.

    Attributes
    ----------
    trainer : Trainer
        Set before `on_train_begin`. `self.trainer.model` is the model; setting
        `self.trainer.stop_training = True` ends the fit after the step that runs.
    every_rank : bool
        False: of several ranks (see `Trainer`), only the first calls it, so that it may print and write. One
        that changes the training, the weights or the learning rate, must do so in all of them: True.

    Examples
    --------
    >>> class Shout(Callback):
    ...     def on_epoch_end(self, epoch, logs):
    ...         print(f"epoch {epoch} done, loss {logs['loss']:.2f}")
    """

    trainer: Trainer
    every_rank: bool = False

    def on_train_begin(self) -> None:
        """Before the first epoch."""

    def on_train_end(self) -> None:
        """After the last epoch, also where training was stopped; not after an error."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Before an epoch, or when a fit goes on in the middle of it; they count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """After an epoch and its validation, with the epoch's means."""

    def on_batch_begin(self, step: int) -> None:
        """Before a step; they count from 0 in each epoch."""

    def on_batch_end(self, step: int, logs: Logs) -> None:
        """After a step, with the means of the epoch so far."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint is to remember: names, and arrays or what JSON can hold; here nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned; called after `on_train_begin` where a fit goes on."""


class _Best:
    """Remembers the best value of one of the logs."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"`mode` must be 'auto', 'min' or 'max', got {mode!r}")
        self.monitor, self.min_delta = monitor, check_real(min_delta, "min_delta")
        largest = mode == "max" or (mode == "auto" and "acc" in monitor)
        self.sign = -1 if largest else 1
        self.value = math.inf

    def improved(self, logs: Logs) -> bool:
        if self.monitor not in logs:
            raise ValueError(f"`monitor` must be one of {', '.join(logs)}, got {self.monitor!r}")
        value = self.sign * logs[self.monitor]
        if not value < self.value - self.min_delta:
            return False
        self.value = value
        return True


class EarlyStopping(Callback):
    """End the fit when a quantity has not improved for `patience` epochs.

    Parameters
    ----------
    monitor : str
        Key of the logs.
    mode : {"auto", "min", "max"}
        Whether it is to fall or to grow; "auto": to grow if "acc" is in its name.
    patience : int
        So many epochs in a row without improvement end the fit, but at least one (as Keras).
    min_delta : float
        A smaller change is no improvement.
    restore_best : bool
        Whether the model ends with the weights of its best epoch, also where it was not stopped early.
    """

    every_rank = True

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 0,
        min_delta: float = 0.0,
        restore_best: bool = True,
        mode: str = "auto",
    ) -> None:
        self.monitor, self.mode, self.min_delta = monitor, mode, min_delta
        self.patience, self.restore_best = check_int(patience, "patience"), restore_best
        self.best = _Best(monitor, mode, min_delta)

    def on_train_begin(self) -> None:
        """Start anew."""
        self.best = _Best(self.monitor, self.mode, self.min_delta)
        self.waited = 0
        self.best_weights: list[np.ndarray] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Compare, remember, and perhaps stop."""
        if self.best.improved(logs):
            self.waited = 0
            if self.restore_best:
                self.best_weights = self.trainer.model.get_weights()
        else:
            self.waited += 1
            if self.waited >= max(self.patience, 1):
                self.trainer.stop_training = True

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, how long it was waited, and the best weights."""
        weights = {f"weights.{i}": value for i, value in enumerate(self.best_weights or [])}
        return {"best": self.best.value, "waited": self.waited, **weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on waiting."""
        check_schema({name: state[name] for name in ("best", "waited")}, {"best": float, "waited": int})
        weights = [state[f"weights.{i}"] for i in range(len(state) - 2)]
        expected = [parameter.shape for parameter in self.trainer.model.parameters()]
        if weights and [getattr(value, "shape", None) for value in weights] != expected:
            raise ValueError("the best weights must be those of the model")
        self.best.value, self.waited, self.best_weights = state["best"], state["waited"], weights or None

    def on_train_end(self) -> None:
        """Give the model its best weights back."""
        if self.best_weights is not None:
            self.trainer.model.set_weights(self.best_weights)


class ReduceLROnPlateau(Callback):
    """Lower the learning rate when a quantity has not improved for `patience` epochs (as Keras).

    AlexNet's was, by hand: divided by 10 whenever the validation error stopped improving (Krizhevsky et al.
    2012, section 5).

    Parameters
    ----------
    monitor : str
        Key of the logs.
    factor : float
        What the rate is multiplied by, in [0, 1).
    patience : int
        So many epochs in a row without improvement lower the rate.
    min_delta : float
        A smaller change is no improvement.
    cooldown : int
        So many epochs after a change are not counted.
    min_lr : float
        The rate is not lowered further than to this.
    mode : {"auto", "min", "max"}
        Whether it is to fall or to grow; "auto": to grow if "acc" is in its name.

    Raises
    ------
    TypeError
        When the fit begins, if the optimizer's rate is a schedule, which decides alone.
    """

    every_rank = True

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        mode: str = "auto",
    ) -> None:
        self.monitor, self.mode, self.min_delta = monitor, mode, min_delta
        self.factor, self.min_lr = check_real(factor, "factor", high=1), check_real(min_lr, "min_lr")
        self.patience, self.cooldown = check_int(patience, "patience"), check_int(cooldown, "cooldown")
        self.best = _Best(monitor, mode, min_delta)

    def on_train_begin(self) -> None:
        """Start anew."""
        rate = self.trainer.optimizer.lr
        if callable(rate):
            raise TypeError(f"the learning rate must be a number to be lowered, got {rate!r}")
        self.best = _Best(self.monitor, self.mode, self.min_delta)
        self.waited = self.cooling = 0

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Compare, and perhaps lower the rate."""
        if self.cooling:
            self.cooling, self.waited = self.cooling - 1, 0
        if self.best.improved(logs):
            self.waited = 0
        elif not self.cooling:
            self.waited += 1
            optimizer = self.trainer.optimizer
            if self.waited >= self.patience and optimizer.learning_rate > self.min_lr:
                optimizer.lr = max(optimizer.learning_rate * self.factor, self.min_lr)
                self.waited, self.cooling = 0, self.cooldown

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, and how long it was waited; the rate is the optimizer's."""
        return {"best": self.best.value, "waited": self.waited, "cooling": self.cooling}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on waiting."""
        check_schema(state, {"best": float, "waited": int, "cooling": int})
        self.best.value, self.waited, self.cooling = state["best"], state["waited"], state["cooling"]


class Checkpoint(Callback):
    """Save the weights whenever a quantity is better than ever before in this fit.

    Parameters
    ----------
    path : str or path
        A safetensors file, written atomically; read it with `load_weights`.
    monitor : str
        Key of the logs.
    mode : {"auto", "min", "max"}
        Whether it is to fall or to grow; "auto": to grow if "acc" is in its name.
    """

    def __init__(self, path: str | os.PathLike[str], monitor: str = "val_loss", mode: str = "auto") -> None:
        self.path, self.monitor, self.mode = Path(path), monitor, mode
        self.best = _Best(monitor, mode)

    def on_train_begin(self) -> None:
        """Start anew; a folder that is not there is missed now, not after an epoch."""
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"the folder for {self.path} must exist")
        self.best = _Best(self.monitor, self.mode)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Compare, and perhaps save."""
        if self.best.improved(logs):
            save_weights(self.trainer.model, self.path)

    def state_dict(self) -> dict[str, Any]:
        """Return the best value."""
        return {"best": self.best.value}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from the best value."""
        check_schema(state, {"best": float})
        self.best.value = state["best"]


class CSVLogger(Callback):
    """Write a line an epoch into a CSV file, with a header; a new file for each fit that does not go on.

    Parameters
    ----------
    path : str or path
        Where to. Each line is on the disk when its epoch ends.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path, self.text = Path(path), ""

    def on_train_begin(self) -> None:
        """Empty the file."""
        self._write("", "w")

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Append a line, after the header where it is the first."""
        lines = io.StringIO(newline="")
        header, *_ = self.text.partition("\r\n")
        names = ["epoch", *logs] if not header else next(csv.reader([header]))
        new = [name for name in logs if name not in names]
        writer = csv.DictWriter(lines, [*names, *new], restval="nan")
        if not header or new:  # a fit that goes on with other metrics
            writer.writeheader()
            for line in csv.DictReader(io.StringIO(self.text, newline="")):
                writer.writerow(line)
        writer.writerow({"epoch": epoch, **logs})
        self._write(lines.getvalue(), "w" if new else "a")

    def state_dict(self) -> dict[str, Any]:
        """Return the text so far."""
        return {"text": self.text}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Write the file as it was then; the epochs after that come again."""
        check_schema(state, {"text": str})
        self._write(state["text"], "w")

    def _write(self, text: str, mode: str) -> None:
        content = text.encode()
        with explain_os_errors(self.path), self.path.open(mode + "b") as file:
            file.write(content)
        self.text = text if mode == "w" else self.text + text
