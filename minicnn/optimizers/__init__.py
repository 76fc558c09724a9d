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
    """An optimizer on the command line: `make(lr=, weight_decay=)`, and the defaults for LeNet-5.

    The rate is for batches of 128. `lr_per_image` says that smaller batches need one in proportion to their
    size (Goyal et al. 2017): the optimizer does not scale its steps, so that noisy gradients make long ones.
    """

    make: Callable[..., Optimizer]
    lr: float
    weight_decay: float = 0.0
    lr_per_image: bool = False


# Learning rates and decay were chosen on 5,000 held-out training images of MNIST, for LeNet-5 in 15 epochs
# without augmentation.
OPTIMIZERS = {
    "adamw": NamedOptimizer(AdamW, lr=3e-3, weight_decay=0.3),
    "adam": NamedOptimizer(Adam, lr=2e-3),
    "rmsprop": NamedOptimizer(RMSprop, lr=1e-3),
    "sgd": NamedOptimizer(partial(SGD, momentum=0.9, nesterov=True), lr=0.05, lr_per_image=True),
}
