"""An exponential moving average of the weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from minicnn.training.callbacks.base import Callback, Logs
from minicnn.validation import check_real


class AverageWeights(Callback):
    """Average the weights over the steps, and leave the averages in the model when the fit ends.

    After each step, average = momentum * average + (1 - momentum) * weight; the first average is the weights
    after the first step (Keras's `use_ema=True`). The average is often better than the last weights, as the
    noise of single batches cancels (Polyak and Juditsky 1992). What is not trainable, such as running
    statistics, is not averaged. During the fit, losses are those of the weights themselves.

    Parameters
    ----------
    momentum : float
        In [0, 1): 0.99 averages about the last 100 steps.

    Attributes
    ----------
    averages : dict of str to ndarray
        By the names of the weights.
    """

    every_rank = True
    sets_final_weights = True

    def __init__(self, momentum: float = 0.99) -> None:
        self.momentum = check_real(momentum, "momentum", high=1)
        self.averages: dict[str, np.ndarray] = {}

    def on_train_begin(self) -> None:
        """Forget earlier fits."""
        self.averages = {}

    def on_batch_end(self, step: int, logs: Logs) -> None:
        """Take the weights into the average."""
        for name, parameter in self.state.model.named_parameters():
            if not parameter.trainable:
                continue
            if name not in self.averages:
                self.averages[name] = parameter.value.copy()
            else:
                average = self.averages[name]
                average *= self.momentum
                average += (1 - self.momentum) * parameter.value

    def on_train_end(self) -> None:
        """Put the averages into the model."""
        for name, parameter in self.state.model.named_parameters():
            if name in self.averages:
                parameter.value = self.averages[name]

    def state_dict(self) -> dict[str, Any]:
        """Return the averages."""
        return dict(self.averages)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from these averages."""
        shapes = {name: parameter.shape for name, parameter in self.state.model.named_parameters()}
        if any(np.shape(value) != shapes.get(name) for name, value in state.items()):
            raise ValueError("the saved averages do not fit the model")
        self.averages = {name: value.copy() for name, value in state.items()}
