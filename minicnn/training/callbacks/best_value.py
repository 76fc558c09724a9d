"""The best value so far of one of the logged quantities, for callbacks that monitor one."""

from __future__ import annotations

import math

from minicnn.training.callbacks.base import Logs
from minicnn.validation import check_real


class BestValue:
    """The best value of a monitored quantity.

    Parameters
    ----------
    monitor : str
        Key of the logs.
    mode : {"auto", "min", "max"}
        Whether lower or higher is better; "auto": higher if the name contains "acc".
    min_delta : float
        Smallest change that counts as an improvement.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"`mode` must be 'auto', 'min' or 'max', got {mode!r}")
        self.monitor, self.min_delta = monitor, check_real(min_delta, "min_delta")
        self.sign = -1 if mode == "max" or (mode == "auto" and "acc" in monitor) else 1
        self.value = math.inf  # times the sign, so that lower is better

    def reset(self) -> None:
        """Forget all values."""
        self.value = math.inf

    def improved(self, logs: Logs) -> bool:
        """Return whether these logs have a new best value, and keep it."""
        if self.monitor not in logs:
            raise ValueError(f"`monitor` must be one of {', '.join(logs)}, got {self.monitor!r}")
        value = self.sign * logs[self.monitor]
        if not value < self.value - self.min_delta:
            return False
        self.value = value
        return True
