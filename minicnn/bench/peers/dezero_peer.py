"""DeZero, the framework of the book "Deep Learning from Scratch 3"; training only."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from dezero import Model, functions, layers
from dezero.optimizers import Adam


class _LeNet5(Model):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = layers.Conv2d(6, 5, pad=2), layers.Conv2d(16, 5)
        self.dense1, self.dense2, self.dense3 = layers.Linear(120), layers.Linear(84), layers.Linear(10)

    def forward(self, x: Any) -> Any:
        x = functions.pooling(functions.relu(self.conv1(x)), 2, 2)
        x = functions.flatten(functions.pooling(functions.relu(self.conv2(x)), 2, 2))
        return self.dense3(functions.relu(self.dense2(functions.relu(self.dense1(x)))))


class Peer:
    """LeNet-5 with its own initial weights, and Adam."""

    def __init__(self, net: Mapping[str, Any], weights: Sequence[np.ndarray], threads: int) -> None:
        self.model = _LeNet5()
        self.adam = Adam(1e-3).setup(self.model)

    def epoch(self, x: np.ndarray, y: np.ndarray, batch_size: int, order: np.ndarray | None) -> None:
        """Train for one epoch."""
        images = x.transpose(0, 3, 1, 2)
        order = np.random.default_rng(0).permutation(len(x)) if order is None else order
        for batch in np.split(order, range(batch_size, len(x), batch_size)):
            loss = functions.softmax_cross_entropy(self.model(images[batch]), y[batch])
            self.model.cleargrads()
            loss.backward()
            self.adam.update()
