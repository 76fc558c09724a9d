"""Usual mistakes in `lenet5`: what explains wrong weights, predictions, losses and steps."""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from minicnn.layers import ReLU, Sigmoid, Softmax, Tanh
from minicnn.ops.padding import Pair
from minicnn.plural import counted
from minicnn.testing.grade.lenet5.reference import LAYERS, RATE, Design

DESIGNS = {
    **{
        f"the ReLU after {LAYERS[missing]} is missing": (
            Design(tuple(None if place == missing else ReLU for place in range(4)))
        )
        for missing in range(4)
    },
    "the ReLUs after the convolutions are missing": Design((None, None, ReLU, ReLU)),
    "the ReLUs after the dense layers are missing": Design((ReLU, ReLU, None, None)),
    "the hidden layers have no activation: the exercise wants ReLU": Design((None,) * 4),
    "the hidden layers have tanh: the exercise wants ReLU": Design((Tanh,) * 4),
    "the hidden layers have the sigmoid: the exercise wants ReLU": Design((Sigmoid,) * 4),
    "the pooling takes the mean: the exercise wants the maximum": Design(pooling="avg"),
    "it returns the logits: the exercise wants their softmax": Design(outputs=()),
    "the output layer has a ReLU before the softmax": Design(outputs=(ReLU, Softmax)),
    "the output layer has a ReLU in place of the softmax": Design(outputs=(ReLU,)),
    "the output layer has the sigmoid in place of the softmax": Design(outputs=(Sigmoid,)),
    "the softmax is applied twice to the predictions": Design(outputs=(Softmax, Softmax)),
}


def cause_of_shapes(found: list[tuple[int, ...]], expected: list[tuple[int, ...]], size: Pair) -> str:
    """Return why the shapes of the weights differ, in one sentence; nothing if it is not known."""
    if not found:
        return "no layer has trainable weights of its graph; `lenet5(x, y)` must not use tf.keras.layers"
    if len(found) > len(expected) and all(shape in found for shape in expected):
        return "it has further layers with weights: the exercise has no BatchNormalization, for example"
    if expected[4] not in found and all(shape in found for shape in expected[:4]):
        rows = next((shape[0] for shape in found if len(shape) == 2 and shape[1] == 120), 0)
        return _paddings(size).get(rows, "")
    for axes, wanted, name in ((4, 2, "convolution"), (2, 3, "dense layer")):
        count = sum(len(shape) == axes for shape in found)
        if count != wanted:
            return f"it has {counted(count, name)}: the exercise has {wanted}"
    for shape, name in zip(expected[::2], LAYERS, strict=True):
        alike = [each for each in found if len(each) == len(shape)]
        if shape not in found and alike:
            return f"the kernel of {name} must have the shape {shape}"
    return "a layer without bias, perhaps" if len(found) < len(expected) else ""


def _paddings(size: Pair) -> dict[int, str]:
    """Return which paddings give so many inputs of the first dense layer."""
    known = {}
    for first, second in product(("same", "valid"), repeat=2):
        rows = 16
        for n in size:
            n = (n - 4 * (first == "valid")) // 2
            rows *= (n - 4 * (second == "valid")) // 2
        wrong = [f"the first convolution has padding {first}, not same"] * (first != "same")
        wrong += [f"the second convolution has padding {second}, not valid"] * (second != "valid")
        known[rows] = " and ".join(wrong)
    return known


Loss = Callable[[np.ndarray, np.ndarray], float]


def cross_entropy(p: np.ndarray, y: np.ndarray) -> float:
    """Return the mean of -log of the probabilities of the right classes."""
    return float(-np.log(np.take_along_axis(p, y[:, None], axis=1)).mean())


def _twice(p: np.ndarray, y: np.ndarray) -> float:
    return cross_entropy(np.exp(p) / np.exp(p).sum(axis=1, keepdims=True), y)


def _one_hot(y: np.ndarray) -> np.ndarray:
    return np.eye(10)[y]


LOSSES: dict[str, Loss] = {
    "the softmax is applied twice: the loss of logits got the predictions, after their softmax": _twice,
    "the loss is a sum: it must be the mean over the images": lambda p, y: len(y) * cross_entropy(p, y),
    "the loss is divided by the number of classes, too": lambda p, y: cross_entropy(p, y) / 10,
    "the loss is the mean squared error: the exercise wants the cross-entropy": (
        lambda p, y: float(((p - _one_hot(y)) ** 2).mean())
    ),
    "the loss is a binary cross-entropy of each class: the exercise wants the categorical one": (
        lambda p, y: float(-np.log(np.where(_one_hot(y) == 1, p, 1 - p)).mean())
    ),
    "the loss has the wrong sign": lambda p, y: -cross_entropy(p, y),
}
ACCURACIES: dict[str, Callable[[float, int], float]] = {
    "it is a number of images: it must be their share": lambda share, n: share * n,
    "it is a percentage: it must be a share": lambda share, n: share * 100,
    "it is the share of the errors": lambda share, n: 1 - share,
}


def cause_of_step(change: Sequence[np.ndarray], gradient: Sequence[np.ndarray]) -> str:
    """Return which other optimizer makes a first step like this; nothing if none is known."""
    steps, slopes = np.concatenate([c.ravel() for c in change]), np.concatenate([g.ravel() for g in gradient])
    clear = np.abs(slopes) > 0.01 * np.abs(slopes).max()
    steps, slopes = steps[clear], slopes[clear]
    signed = steps / -np.sign(slopes)
    if _constant(signed):
        rate = float(np.median(signed))
        if rate < 0:
            return "the loss is maximized"
        if np.isclose(rate, RATE / np.sqrt(0.1), rtol=0.03):
            return "its step is that of RMSprop: the exercise wants Adam"
        return f"its step is that of Adam with the learning rate {rate:.2g}: the exercise wants 0.001"
    if _constant(steps / -slopes):
        rate = float(np.median(steps / -slopes))
        return f"its step is that of gradient descent with the rate {rate:.2g}: the exercise wants Adam"
    return ""


def _constant(values: np.ndarray) -> bool:
    middle = float(np.median(values))
    return bool((np.abs(values - middle) <= 0.05 * abs(middle)).mean() > 0.95) and middle != 0
