"""Reduce the learning rate when a monitored quantity stops improving."""

import math
import warnings
from collections.abc import Sequence
from typing import ClassVar

from minicnn.training.callbacks.base import Logs
from minicnn.training.callbacks.monitor import Monitor
from minicnn.validation import check_int, check_real


class ReduceLROnPlateau(Monitor):
    """Reduce the learning rate when a quantity has not improved for `patience` epochs.

    It reduces after the same epochs as Keras's, unless the quantity is NaN in the first epoch, which Keras
    takes for the best.

    It multiplies the optimizer's `lr_scale`; `lr`, a number or a schedule, stays as the user gave it.
    AlexNet's rate was reduced so by hand: divided by 10 when the validation error stopped improving
    (Krizhevsky et al. 2012, section 5).

    Parameters
    ----------
    monitor : str
        Key of the logs.
    factor : float
        Factor of each reduction, in [0, 1).
    patience : int
        Number of epochs without improvement after which the rate is reduced.
    min_delta : float
        Smallest change that counts as an improvement.
    cooldown : int
        Number of epochs after a reduction that do not count.
    min_lr : float
        The rate is not reduced below this; a schedule of the optimizer may fall below it.
    mode : {"auto", "min", "max"}
        Whether lower or higher is better; "auto" decides by the name of a loss, error or accuracy.
    """

    every_rank = True
    checkpointed: ClassVar = Monitor.checkpointed | {"waited": int, "cooling": int}

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
        super().__init__(monitor, mode, min_delta)
        self.factor, self.min_lr = check_real(factor, "factor", high=1), check_real(min_lr, "min_lr")
        self.patience, self.cooldown = check_int(patience, "patience"), check_int(cooldown, "cooldown")
        self.waited = self.cooling = 0

    def check(self, names: Sequence[str] | None) -> None:
        """Warn if there is no room for a reduction."""
        super().check(names)
        lr = self.state.optimizer.lr
        if not callable(lr) and 0 < lr <= self.min_lr:
            warnings.warn(
                f"ReduceLROnPlateau never reduces the rate: {lr:g} is not above min_lr={self.min_lr:g}",
                stacklevel=4,
            )

    def on_train_begin(self) -> None:
        """Reset; the optimizer keeps its `lr_scale`."""
        super().on_train_begin()
        self.waited = self.cooling = 0

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Compare with the best epoch, and reduce the rate if it is due."""
        if self.cooling:
            self.cooling, self.waited = self.cooling - 1, 0
        if self.improved(logs):
            self.waited = 0
        elif not self.cooling:
            self.waited += 1
            optimizer = self.state.optimizer
            rate = optimizer.learning_rate
            # The scaled rate may miss `min_lr` by a rounding error, which is no room for another reduction.
            above = rate > self.min_lr and not math.isclose(rate, self.min_lr)
            if self.waited >= self.patience and above:
                optimizer.lr_scale *= max(self.factor, self.min_lr / rate)
                self.waited, self.cooling = 0, self.cooldown
