"""minicnn itself."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from minicnn.bench.nets import make
from minicnn.layers import Conv2D, Dense, Layer
from minicnn.losses import softmax_cross_entropy
from minicnn.optimizers import Adam
from minicnn.training import Trainer


class OwnReLU(Layer):
    """ReLU as a user writes it."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the positive part."""
        self.cache = x > 0
        return np.maximum(x, 0)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx."""
        return dy * self.cache


def own_loss(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Return softmax cross-entropy and its gradient, as a user writes them."""
    rows = np.arange(len(logits))
    shifted = logits - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    sums = powers.sum(axis=1, keepdims=True)
    loss = float((np.log(sums[:, 0]) - shifted[rows, labels]).mean())
    gradient = powers / sums
    gradient[rows, labels] -= 1
    return loss, gradient / len(logits)


class Peer:
    """A net with the given weights, and Adam."""

    def __init__(self, net: Mapping[str, Any], weights: Sequence[np.ndarray], threads: int) -> None:
        self.model = make([(layer["kind"], *layer["settings"]) for layer in net["layers"]], OwnReLU)
        self.model.build(tuple(net["input_shape"]), rng=0)
        given = iter(weights)
        for layer in self.model.layers:
            if isinstance(layer, Conv2D | Dense):
                layer.set_weights([next(given), next(given)])
        self.threads = threads
        loss = own_loss if net["own_loss"] else softmax_cross_entropy
        self.trainer = Trainer(self.model, Adam(), loss=loss, threads=threads)

    def prepare(self, images: np.ndarray) -> np.ndarray:
        """Return uint8 images in the form that the framework trains on."""
        return images

    def epoch(self, x: np.ndarray, y: np.ndarray, batch_size: int, order: np.ndarray | None) -> None:
        """Train for one epoch, in this order; None leaves the order to the framework."""
        if order is None:
            self.trainer.fit(x, y, batch_size=batch_size, verbose=0)
        else:
            batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
            self.trainer.fit(lambda epoch: ((x[batch], y[batch]) for batch in batches), verbose=0)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the logits of each image, computed in batches of 256."""
        return self.trainer.predict(x)

    def predict_one(self, x: np.ndarray) -> Callable:
        """Return a function that calls `predict` for a single image."""
        return lambda: self.model.predict(x)

    def call_one(self, x: np.ndarray) -> Callable:
        """Return a function that computes the logits of a single image in the most direct way."""
        return lambda: self.model(x)

    def conv(
        self, x: np.ndarray, filters: int, kernel_size: int, strides: int, pad: int
    ) -> dict[str, Callable]:
        """Return functions, by variant, that compute a convolution's output, and its gradients for dy = 1."""
        layer = Conv2D(filters, kernel_size, strides, ((pad, pad), (pad, pad))).build(x.shape[1:], rng=0)
        # As in `Trainer`: one replica per thread, each with a part of the batch.
        layers = [layer.train(), *(layer.replica() for _ in range(min(self.threads, len(x)) - 1))]
        parts = np.array_split(x, len(layers))
        dys = [np.ones((len(part), *layer.output_shape), x.dtype) for part in parts]
        pool = ThreadPoolExecutor(len(layers))

        def run() -> None:
            with threadpool_limits(max(self.threads // len(layers), 1), "blas"):
                list(pool.map(_forward_backward, layers, parts, dys))
            for own, *others in zip(*(replica.parameters() for replica in layers), strict=True):
                for other in others:
                    own.add_grad(other.grad)

        return {"": run}


def _forward_backward(layer: Conv2D, x: np.ndarray, dy: np.ndarray) -> None:
    layer.zero_grad()
    layer(x)
    layer.backward(dy)
