"""Dropout, in the inverted form of today and in its original form."""

from __future__ import annotations

import numpy as np

from minicnn.layers._building import Size
from minicnn.layers.base import Layer
from minicnn.validation import check_dy, check_real


class Dropout(Layer):
    """In training, set each value to zero with probability `rate` (Hinton et al. 2012).

    The expected value of the output must be the same in training and in evaluation. The inverted form, used
    by all frameworks today, divides the kept values by 1 - rate in training and changes nothing in
    evaluation. The original form (Krizhevsky et al. 2012, section 4.2) leaves the kept values unchanged in
    training and multiplies by 1 - rate in evaluation. With the same weights it has smaller activations and
    gradients in training, so the learning rates and initial weights of that paper suit this form only.

    Parameters
    ----------
    rate : float
        Probability of a zero, in [0, 1).
    inverted : bool
        Whether to use the inverted form.

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
        """Spawn a generator of its own, which leaves the weights of later layers unaffected."""
        self.rng = rng.spawn(1)[0]

    def _size_for(self, input_shape: tuple[int, ...]) -> Size:
        return Size(input_shape)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return x with values dropped in training; in evaluation a copy of x, or x * (1 - rate)."""
        if not self.training:
            return x.copy() if self.inverted else x * (1 - self.rate)
        scale = np.asarray(1 / (1 - self.rate) if self.inverted else 1, x.dtype)
        keep = (self.rng.random(x.shape, np.float32) >= self.rate) * scale
        self.cache = keep
        return x * keep

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dy with the mask and the scale of `forward`."""
        keep = self.cache
        return check_dy(dy, keep.shape) * keep
