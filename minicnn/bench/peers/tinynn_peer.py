"""tinynn; training only."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tinynn.core.layer import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from tinynn.core.loss import SoftmaxCrossEntropy
from tinynn.core.model import Model
from tinynn.core.net import Net
from tinynn.core.optimizer import Adam


class Peer:
    """LeNet-5 with its own initial weights, and Adam."""

    def __init__(self, net: Mapping[str, Any], weights: Sequence[np.ndarray], threads: int) -> None:
        convs = [Conv2D([5, 5, 1, 6], padding="SAME"), ReLU(), MaxPool2D([2, 2])]
        convs += [Conv2D([5, 5, 6, 16], padding="VALID"), ReLU(), MaxPool2D([2, 2])]
        net = Net([*convs, Flatten(), Dense(120), ReLU(), Dense(84), ReLU(), Dense(10)])
        self.model = Model(net, SoftmaxCrossEntropy(), Adam(1e-3))

    def epoch(self, x: np.ndarray, y: np.ndarray, batch_size: int, order: np.ndarray | None) -> None:
        """Train for one epoch."""
        labels = np.eye(10, dtype=np.float32)[y]
        order = np.random.default_rng(0).permutation(len(x)) if order is None else order
        for batch in np.split(order, range(batch_size, len(x), batch_size)):
            _, gradients = self.model.backward(self.model.forward(x[batch]), labels[batch])
            self.model.apply_grads(gradients)
