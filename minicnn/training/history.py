"""The record of a fit, epoch by epoch, in Keras's form."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class History:
    """The record that `Trainer.fit` returns.

    Attributes
    ----------
    epoch : list of int
        The completed epochs, counted from 0.
    history : dict of str to list of float
        For each quantity (`loss, accuracy, val_loss, val_accuracy`) its value in each of these epochs; NaN
        in epochs that did not compute it, as in a fit that is resumed with other metrics.

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
        for name in self.history | dict(logs):  # in the order of first appearance
            values = self.history.setdefault(name, [math.nan] * len(self.epoch))
            values.append(logs.get(name, math.nan))
        self.epoch.append(epoch)
