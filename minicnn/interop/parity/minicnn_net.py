"""LeNet-5 for the comparison, in minicnn."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from minicnn.losses import softmax_cross_entropy
from minicnn.models import lenet5
from minicnn.optimizers import Adam
from minicnn.training import Trainer


class Net:
    """LeNet-5 and its optimizer; the other two frameworks have the same methods."""

    def __init__(self, weights: Sequence[np.ndarray], dtype: str) -> None:
        self.model = lenet5().build((28, 28, 1), rng=0, dtype=dtype)
        self.set_weights = self.model.set_weights
        self.set_weights(weights)
        self.trainer = Trainer(self.model, Adam())

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        """Train on one batch; return its loss."""
        return self.trainer.fit(x, y, batch_size=len(x), verbose=0).history["loss"][0]

    def epoch(self, x: np.ndarray, y: np.ndarray, batch_size: int) -> None:
        """Train for one epoch, as a user would."""
        self.trainer.fit(x, y, batch_size=batch_size, verbose=0)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the logits."""
        with threadpool_limits(1, "blas"):  # on a busy machine BLAS's threads mostly wait for each other
            return self.model.predict(x)

    def layers(self, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        """Return each layer's output, dx, dkernel and dbias for a batch, by "INDEX CLASS QUANTITY"."""
        found: dict[str, Any] = {}
        names = [f"{i} {type(layer).__name__}" for i, layer in enumerate(self.model)]
        self.model.train().zero_grad()
        for name, layer in zip(names, self.model, strict=True):
            x = found[f"{name} output"] = layer(x)
        dx: Any = softmax_cross_entropy(x, y)[1]
        for name, layer in reversed(list(zip(names, self.model, strict=True))):
            dx = found[f"{name} dx"] = layer.backward(dx)
            for kind, parameter in layer.named_parameters():
                found[f"{name} d{kind}"] = parameter.grad.copy()
        return found
