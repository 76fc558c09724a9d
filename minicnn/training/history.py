"""What happened in a fit, epoch by epoch, in Keras's form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class History:
    """The record that `Trainer.fit` returns.

    Attributes
    ----------
    epoch : list of int
        The epochs that were finished, counted from 0.
    history : dict of str to list of float
        For each quantity (`loss, accuracy, val_loss, val_accuracy`) its value in each of these epochs.

    Examples
    --------
    >>> history = History()
    >>> history.append(0, {"loss": 0.25})
    >>> history.history
    {'loss': [0.25]}
    """

    epoch: list[int] = field(default_factory=list)
    history: dict[str, list[float]] = field(default_factory=dict)

    def append(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Add the results of one more epoch."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)
