"""Dropout, in the inverted form that is used today."""

from __future__ import annotations

import numpy as np

from minicnn.arguments import real
from minicnn.layers.base import Layer, check_gradient


class Dropout(Layer):
    """In training, set each value to zero with probability `rate` and scale up the rest by 1 / (1 - rate).

    The expected value stays the same, and outside training nothing has to be done.

    Parameters
    ----------
    rate : float
        In [0, 1).
    """

    def __init__(self, rate: float) -> None:
        self.rate = real(rate, "rate", high=1)

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Take a random stream of its own; the weights of the layers after it are not affected."""
        self.rng = rng.spawn(1)[0]

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return x with some values dropped, in training; a copy of x otherwise."""
        if not self.training or self.rate == 0:
            self.cache = np.broadcast_to(np.ones((), x.dtype), x.shape)
            return x.copy()
        keep = (self.rng.random(x.shape, np.float32) >= self.rate) * np.asarray(1 / (1 - self.rate), x.dtype)
        self.cache = keep
        return x * keep

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dy, dropped and scaled as the values were."""
        keep = self.cache
        check_gradient(dy, keep.shape)
        return dy * keep
