"""Distributions of activations and gradients in each layer during training."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from minicnn.insight.trace import Trace, blocks
from minicnn.layers import Sequential
from minicnn.training import Callback
from minicnn.training.callbacks.base import Logs
from minicnn.validation import check_int

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Distributions(Callback):
    """A callback that records distributions inside the model, on a batch of its own, at regular intervals.

    A copy of the model runs forward and backward on the batch in training mode; training is not affected. For
    each block (a layer with weights, and its activation) it records the quantiles of the outputs, the
    quantiles of the absolute gradients of the weights, which reveal vanishing gradients, and the share of
    channels that are zero for all images (dead ReLUs).

    Parameters
    ----------
    x, y : ndarray
        The batch, as for `Trainer.fit`; about a hundred images.
    every : int
        Number of steps between two records.

    Attributes
    ----------
    names : list of str
        Names of the blocks.
    steps : list of int
        Training steps before each record.
    activations, gradients : list of ndarray, shape (blocks, 5)
        The quantiles (5, 25, 50, 75, 95 %) of each record.
    dead : list of ndarray, shape (blocks,)
        Shares of dead channels of each record.

    Examples
    --------
    >>> from minicnn import SGD, Dense, ReLU, Trainer
    >>> x, y = np.array([[-1.0], [1.0]]), np.array([0, 1])
    >>> model = Sequential([Dense(4), ReLU(), Dense(2)]).build((1,), rng=0)
    >>> record = Distributions(x, y, every=5)
    >>> history = Trainer(model, SGD(lr=1.0), callbacks=[record]).fit(x, y, epochs=10)
    >>> record.names, record.steps
    (['0 Dense', '2 Dense'], [0, 5, 10])
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, every: int = 20) -> None:
        self.x, self.y, self.every = x, y, check_int(every, "every", low=1)
        self._reset()

    def _reset(self) -> None:
        self.names: list[str] = []
        self.steps: list[int] = []
        self.activations: list[np.ndarray] = []
        self.gradients: list[np.ndarray] = []
        self.dead: list[np.ndarray] = []

    def on_train_begin(self) -> None:
        """Start a new record, with the initial weights."""
        model = self.state.model
        if not isinstance(model, Sequential):
            raise TypeError(f"Distributions needs a Sequential, got {type(model).__name__}")
        self._reset()
        self.names = [block.name for block in blocks(model)]
        self.record()

    def on_batch_end(self, step: int, logs: Logs) -> None:
        """Record, every `every` steps."""
        if self.state.optimizer.steps % self.every == 0:
            self.record()

    def record(self) -> None:
        """Record the distributions of the current weights."""
        model: Any = self.state.model
        trace = Trace(model, self.x, training=True)
        _, dpredictions = self.state.loss(trace.outputs[-1], self.y)
        trace.backward(dpredictions)
        activations, gradients, dead = [], [], []
        for block in blocks(model):
            output = trace.outputs[block.last]
            sizes = [
                np.abs(p.grad).ravel() for p in trace.layers[block.first].parameters() if not p.is_statistic
            ]
            activations.append(np.quantile(output, QUANTILES))
            gradients.append(np.quantile(np.concatenate(sizes), QUANTILES))
            dead.append((output == 0).all(axis=tuple(range(output.ndim - 1))).mean())
        self.steps.append(self.state.optimizer.steps)
        self.activations.append(np.array(activations))
        self.gradients.append(np.array(gradients))
        self.dead.append(np.array(dead))

    def state_dict(self) -> dict[str, Any]:
        """Return the record."""
        arrays = {name: np.array(getattr(self, name)) for name in ("activations", "gradients", "dead")}
        return {"steps": list(self.steps), **arrays}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the record."""
        self.steps = list(state["steps"])
        for name in ("activations", "gradients", "dead"):
            setattr(self, name, list(state[name]))
