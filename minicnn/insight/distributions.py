"""How activations and gradients are spread in each layer while a net learns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minicnn.insight.trace import Trace, blocks
from minicnn.layers import Sequential
from minicnn.training import Callback
from minicnn.training.callbacks import Logs
from minicnn.validation import check_int

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Distributions(Callback):
    """Looks into the model every so many steps, with a batch of its own; the training does not notice.

    A copy of the model runs forward and backward on the batch, as in training. Of each block (a layer with
    weights, and its activation) there are recorded: the quantiles of its outputs; those of the sizes of its
    weights' gradients, in which a vanishing gradient shows; and the share of its channels that are zero for
    every image, dead ReLUs.

    Parameters
    ----------
    x, y : ndarray
        The batch, as for `Trainer.fit`; a hundred images will do.
    every : int
        Steps from one look to the next.

    Attributes
    ----------
    names : list of str
        Of the blocks.
    steps : list of int
        Steps made before each look.
    activations, gradients : list of ndarray, shape (blocks, 5)
        The quantiles (5, 25, 50, 75, 95 %), a look each.
    dead : list of ndarray, shape (blocks,)
        Shares, a look each.

    Examples
    --------
    >>> from minicnn import SGD, Dense, ReLU, Trainer
    >>> x, y = np.array([[-1.0], [1.0]]), np.array([0, 1])
    >>> model = Sequential([Dense(4), ReLU(), Dense(2)]).build((1,), rng=0)
    >>> watch = Distributions(x, y, every=5)
    >>> history = Trainer(model, SGD(lr=1.0), callbacks=[watch]).fit(x, y, epochs=10)
    >>> watch.names, watch.steps
    (['0 Dense', '2 Dense'], [0, 5, 10])
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, every: int = 20) -> None:
        self.x, self.y, self.every = x, y, check_int(every, "every", low=1)
        self._forget()

    def _forget(self) -> None:
        self.names: list[str] = []
        self.steps: list[int] = []
        self.activations: list[np.ndarray] = []
        self.gradients: list[np.ndarray] = []
        self.dead: list[np.ndarray] = []

    def on_train_begin(self) -> None:
        """Begin anew, with a look at the fresh weights."""
        model = self.trainer.model
        if not isinstance(model, Sequential):
            raise TypeError(f"the model must be a Sequential to be looked into, got {type(model).__name__}")
        self._forget()
        self.names = [block.name for block in blocks(model)]
        self.look()

    def on_batch_end(self, step: int, logs: Logs) -> None:
        """Look, when it is time."""
        if self.trainer.optimizer.steps % self.every == 0:
            self.look()

    def look(self) -> None:
        """Record the distributions as they are now."""
        model: Any = self.trainer.model
        trace = Trace(model, self.x, training=True)
        _, dpredictions = self.trainer.loss(trace.outputs[-1], self.y)
        trace.backward(dpredictions)
        activations, gradients, dead = [], [], []
        for block in blocks(model):
            output = trace.outputs[block.last]
            sizes = [np.abs(p.grad).ravel() for p in trace.layers[block.first].parameters() if p.trainable]
            activations.append(np.quantile(output, QUANTILES))
            gradients.append(np.quantile(np.concatenate(sizes), QUANTILES))
            dead.append((output == 0).all(axis=tuple(range(output.ndim - 1))).mean())
        self.steps.append(self.trainer.optimizer.steps)
        self.activations.append(np.array(activations))
        self.gradients.append(np.array(gradients))
        self.dead.append(np.array(dead))

    def state_dict(self) -> dict[str, Any]:
        """Return what was seen."""
        seen = {name: np.array(getattr(self, name)) for name in ("activations", "gradients", "dead")}
        return {"steps": list(self.steps), **seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with what was seen."""
        self.steps = list(state["steps"])
        for name in ("activations", "gradients", "dead"):
            setattr(self, name, list(state[name]))
