"""Stop training when a monitored quantity stops improving."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from minicnn.training.callbacks.base import Logs
from minicnn.training.callbacks.monitor import Monitor
from minicnn.validation import check_int


class EarlyStopping(Monitor):
    """Stop the fit when a quantity has not improved for `patience` epochs.

    It stops after the same epoch as Keras's and keeps the same one, unless the quantity is NaN in the first
    epoch: Keras takes that epoch for the best and returns to it; here a NaN is never the best.

    Parameters
    ----------
    monitor : str
        Key of the logs.
    patience : int
        Number of epochs without improvement after which training stops (at least 1).
    min_delta : float
        Smallest change that counts as an improvement.
    restore_best : bool
        Whether the model ends with the weights of its best epoch, also if the fit was not stopped early.
    mode : {"auto", "min", "max"}
        Whether lower or higher is better; "auto" decides by the name of a loss, error or accuracy.
    """

    every_rank = True
    checkpointed: ClassVar = Monitor.checkpointed | {"waited": int}

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 0,
        min_delta: float = 0.0,
        restore_best: bool = True,
        mode: str = "auto",
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience, self.restore_best = check_int(patience, "patience"), restore_best
        self.sets_final_weights = bool(restore_best)
        self.waited = 0
        self.best_weights: list[np.ndarray] | None = None

    def on_train_begin(self) -> None:
        """Reset."""
        super().on_train_begin()
        self.waited, self.best_weights = 0, None

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Compare with the best epoch; keep its weights, or stop."""
        if self.improved(logs):
            self.waited = 0
            if self.restore_best:
                self.best_weights = self.state.model.get_weights()
        else:
            self.waited += 1
            if self.waited >= max(self.patience, 1):
                self.state.stop = True

    def on_train_end(self) -> None:
        """Restore the best weights."""
        if self.best_weights is not None:
            self.state.model.set_weights(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, the epochs since then, and the best weights."""
        weights = {f"weights.{i}": value for i, value in enumerate(self.best_weights or [])}
        return super().state_dict() | weights

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the best value."""
        super().load_state_dict({name: state[name] for name in type(self).checkpointed})
        weights = [state[f"weights.{i}"] for i in range(len(state) - len(self.checkpointed))]
        expected = [parameter.shape for parameter in self.state.model.parameters()]
        if weights and [getattr(value, "shape", None) for value in weights] != expected:
            raise ValueError("the saved best weights do not fit the model")
        self.best_weights = weights or None
