"""The base class of callbacks that monitor a logged quantity."""

import math
import warnings
from collections.abc import Collection, Sequence
from typing import ClassVar

from minicnn.safeguards.user_code import plain_function
from minicnn.training.callbacks.base import Callback, Logs
from minicnn.validation import check_real


def _direction_of(monitor: str) -> bool | None:
    """Return whether higher is better, from its name; None if it is not known."""
    if monitor.endswith(("loss", "error")):
        return False
    return True if "acc" in monitor else None


class Monitor(Callback):
    """Base of callbacks that compare one of the logs with its best value so far.

    The first epoch that has a number is the best so far. An epoch whose value is NaN never is: it counts as
    one without improvement. (Keras does so, too, except for a NaN in the first epoch, which it takes for the
    best: then no later epoch is an improvement.)

    Parameters
    ----------
    monitor : str
        Key of the logs.
    mode : {"auto", "min", "max"}
        Whether lower or higher is better; "auto": as the metric's attribute `higher_is_better` says; else
        lower for names that end in "loss" or "error", higher for names that contain "acc". For other names
        "auto" is a ValueError when the fit begins.
    min_delta : float
        Smallest change that counts as an improvement.

    Attributes
    ----------
    best : float
        The best value in this fit, negated if higher is better; NaN before the first.
    """

    checkpointed: ClassVar[dict[str, type]] = {"best": float}

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"`mode` must be 'auto', 'min' or 'max', got {mode!r}")
        self.monitor, self.mode, self.min_delta = monitor, mode, check_real(min_delta, "min_delta")
        self.higher = mode == "max" if mode != "auto" else _direction_of(monitor)
        self.best = math.nan

    def check(self, names: Sequence[str] | None) -> None:
        """Raise ValueError if there is no such quantity, or it is not known which direction is better."""
        metrics = self.state.metrics if hasattr(self, "state") else {}
        metric = metrics.get(self.monitor.removeprefix("val_"))
        says = getattr(plain_function(metric), "higher_is_better", None)
        known = _direction_of(self.monitor) if says is None else bool(says)
        if self.mode == "auto":
            self.higher = known
        elif known is not None and known != self.higher:
            better = "higher" if known else "lower"
            warnings.warn(
                f"{type(self).__name__} with mode={self.mode!r} looks for the worst {self.monitor}, which is "
                f"better when it is {better}",
                stacklevel=4,
            )
        if self.higher is None:
            raise ValueError(
                f"{type(self).__name__} cannot tell whether {self.monitor!r} is better when it is lower or "
                f"higher: pass mode='min' or mode='max', or set `higher_is_better` on the metric"
            )
        if names is not None:
            self._require(names)

    def on_train_begin(self) -> None:
        """Forget earlier fits."""
        self.best = math.nan

    def improved(self, logs: Logs) -> bool:
        """Return whether these logs have a new best value, and keep it."""
        self._require(logs)
        value = -logs[self.monitor] if self.higher else logs[self.monitor]
        if math.isnan(value) or value >= self.best - self.min_delta:  # false before the first
            return False
        self.best = value
        return True

    def _require(self, names: Collection[str]) -> None:
        """Raise ValueError unless the quantity is one of these."""
        if self.monitor not in names:
            missing = self.monitor.startswith("val_") and self.monitor.removeprefix("val_") in names
            hint = "; give `validation_data` to `fit`" if missing else ""
            raise ValueError(f"`monitor` must be one of {', '.join(names)}, got {self.monitor!r}{hint}")
