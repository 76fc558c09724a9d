"""What happened in a fit, epoch by epoch, in Keras's form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class History:
    """The record that `Trainer.fit` returns.

    Attributes
    ----------
    epoch : list of int
        The epochs that were finished, counted from 0.
    history : dict of str to list of float
        For each quantity (`loss, accuracy, val_loss, val_accuracy`) its value in each of these epochs; NaN
        where it was not asked for, as in a fit that goes on with other metrics.

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
        for name in self.history | dict(logs):  # in the order in which they first came
            values = self.history.setdefault(name, [math.nan] * len(self.epoch))
            values.append(logs.get(name, math.nan))
        self.epoch.append(epoch)


@dataclass
class Progress:
    """How far a fit is, between two steps.

    Attributes
    ----------
    first_epoch : int
        With which it began.
    step, seen : int
        Steps made in the epoch that runs, and the examples in them.
    sums : dict of str to float
        Of loss and metrics over these examples.
    stopped : bool
        Whether a callback ended the fit for good.
    history : History
        Of the epochs before.
    """

    first_epoch: int
    step: int = 0
    seen: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    stopped: bool = False
    history: History = field(default_factory=History)

    def add(self, results: Mapping[str, float], examples: int) -> dict[str, float]:
        """Count a step with these mean results, and return the means of the epoch so far."""
        self.step += 1
        self.seen += examples
        for name, value in results.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * examples
        return self.means()

    def means(self) -> dict[str, float]:
        """Return the means of the epoch so far."""
        return {name: total / self.seen for name, total in self.sums.items()}

    def end_epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Write an epoch into the history, and begin a new one."""
        self.history.append(epoch, logs)
        self.step, self.seen, self.sums = 0, 0, {}

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, as JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Progress:
        """Return what `to_dict` described."""
        return cls(**values | {"history": History(**values["history"])})
