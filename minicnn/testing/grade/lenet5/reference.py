"""The net of the exercise `lenet5`, with the weights of a learner's net, in float64."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from minicnn.layers import Conv2D, Dense, Flatten, Layer, Pool2D, ReLU, Sequential, Softmax
from minicnn.losses import softmax_cross_entropy
from minicnn.ops.padding import Pair
from minicnn.optimizers import Adam

LAYERS = (
    "the first convolution",
    "the second convolution",
    "the dense layer of 120",
    "the dense layer of 84",
    "the output layer",
)
RATE = 1e-3  # Adam's default
_EPS = {"Keras": 1e-7, "TensorFlow": 1e-8}  # Adam's default in `tf.compat.v1` is another one


@dataclass(frozen=True)
class Design:
    """The layers without weights: those of the exercise, or with a mistake."""

    activations: tuple[type[Layer] | None, ...] = (ReLU, ReLU, ReLU, ReLU)
    pooling: str = "max"
    outputs: tuple[type[Layer], ...] = field(default=(Softmax,))


def shapes(size: Pair) -> list[tuple[int, ...]]:
    """Return the shapes of kernels and biases for images of a size.

    >>> shapes((28, 28))[:5]
    [(5, 5, 1, 6), (6,), (5, 5, 6, 16), (16,), (400, 120)]
    """
    height, width = ((n // 2 - 4) // 2 for n in size)
    kernels = (5, 5, 1, 6), (5, 5, 6, 16), (height * width * 16, 120), (120, 84), (84, 10)
    return [shape for kernel in kernels for shape in (kernel, kernel[-1:])]


def net(size: Pair, weights: Sequence[np.ndarray], design: Design) -> Sequential:
    """Return the net up to its logits."""
    first, second, third, fourth = ([kind()] if kind else [] for kind in design.activations)
    layers = [Conv2D(6, 5, padding="same"), *first, Pool2D(2, mode=design.pooling)]
    layers += [Conv2D(16, 5), *second, Pool2D(2, mode=design.pooling), Flatten()]
    layers += [Dense(120), *third, Dense(84), *fourth, Dense(10)]
    model = Sequential(layers).build((*size, 1), rng=0, dtype=np.float64)
    model.set_weights([weight.astype(np.float64) for weight in weights])
    return model


def predictions(
    size: Pair, weights: Sequence[np.ndarray], x: np.ndarray, design: Design | None = None
) -> np.ndarray:
    """Return the predictions of a net with these weights."""
    design = design or Design()
    y = net(size, weights, design)(x.astype(np.float64))
    for kind in design.outputs:
        y = kind().build(y.shape[1:], dtype=np.float64)(y)
    return y


class Training:
    """Training steps by Adam from the learner's weights.

    Attributes
    ----------
    gradients : list of ndarray
        Those of the first step.
    """

    def __init__(self, framework: str, size: Pair, weights: Sequence[np.ndarray]) -> None:
        self.model = net(size, weights, Design()).train()
        self.optimizer = Adam(RATE, eps=_EPS[framework])
        self.gradients: list[np.ndarray] = []

    def step(self, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        """Make a step; return the weights after it."""
        _, dlogits = softmax_cross_entropy(self.model(x.astype(np.float64)), y)
        self.model.zero_grad()
        self.model.backward(dlogits)
        parameters = self.model.parameters()
        self.gradients = self.gradients or [parameter.grad.copy() for parameter in parameters]
        self.optimizer.step(parameters)
        return self.model.get_weights()
