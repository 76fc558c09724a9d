"""Dropout, in the inverted form that is used today and as it was first."""

from __future__ import annotations

import numpy as np

from minicnn.layers.base import Layer, check_gradient
from minicnn.validation import check_real


class Dropout(Layer):
    """In training, set each value to zero with probability `rate` (Hinton et al. 2012).

    What the next layer sees must have the same expected value in training and outside of it. The inverted
    form, of all frameworks today, scales up in training what is kept, by 1 / (1 - rate), and leaves all
    values alone outside. The first form (Krizhevsky et al. 2012, section 4.2) keeps them as they are in
    training, and multiplies by 1 - rate outside. The nets are the same but for that factor: from the same
    weights, the first form has smaller values and gradients in training, so that the paper's learning rates
    and initial weights are right for it alone.

    Parameters
    ----------
    rate : float
        In [0, 1).
    inverted : bool
        Which of the two.

    Examples
    --------
    >>> x = np.ones((1, 6))
    >>> today, first = Dropout(0.5).build((6,), rng=0), Dropout(0.5, inverted=False).build((6,), rng=0)
    >>> today.train()(x), first.train()(x)
    (array([[2., 2., 0., 0., 2., 2.]]), array([[1., 1., 0., 0., 1., 1.]]))
    >>> today.eval()(x), first.eval()(x)
    (array([[1., 1., 1., 1., 1., 1.]]), array([[0.5, 0.5, 0.5, 0.5, 0.5, 0.5]]))
    """

    def __init__(self, rate: float, inverted: bool = True) -> None:
        self.rate = check_real(rate, "rate", high=1)
        self.inverted = bool(inverted)

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Take a random stream of its own; the weights of the layers after it are not affected."""
        self.rng = rng.spawn(1)[0]

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return x with some values dropped, in training; outside, a copy of x, or x times 1 - rate."""
        if not self.training:
            return x.copy() if self.inverted else x * (1 - self.rate)
        scale = np.asarray(1 / (1 - self.rate) if self.inverted else 1, x.dtype)
        keep = (self.rng.random(x.shape, np.float32) >= self.rate) * scale
        self.cache = keep
        return x * keep

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dy, dropped and scaled as the values were."""
        keep = self.cache
        check_gradient(dy, keep.shape)
        return dy * keep
