"""Optimizers: rules that update weights in place from their accumulated gradients."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from minicnn.optimizers.adam import Adam, AdamW
from minicnn.optimizers.base import Optimizer
from minicnn.optimizers.rmsprop import RMSprop
from minicnn.optimizers.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop"]


class NamedOptimizer(NamedTuple):
    """An optimizer on the command line: `make(lr=, weight_decay=)`, and the defaults for LeNet-5."""

    make: Callable[..., Optimizer]
    lr: float
    weight_decay: float = 0.0


# Learning rates and decay were chosen on 5,000 held-out training images of MNIST, for LeNet-5 in 15 epochs
# without augmentation.
OPTIMIZERS = {
    "adamw": NamedOptimizer(AdamW, lr=3e-3, weight_decay=0.3),
    "adam": NamedOptimizer(Adam, lr=2e-3),
    "rmsprop": NamedOptimizer(RMSprop, lr=1e-3),
    "sgd": NamedOptimizer(partial(SGD, momentum=0.9, nesterov=True), lr=0.05),
}
