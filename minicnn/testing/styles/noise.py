"""Right layers with noise that is drawn in the dtype of x, of slopes, logits and columns."""

import numpy as np

from minicnn.testing.styles.chance import WithStream
from minicnn.testing.styles.style import right


@right((6, 4), 0.001)
@right((6, 4), 0.2)
@right((4, 3, 2), 3.0)
class NoiseInTheDtype(WithStream):
    """Normal noise in the dtype of x: float32 and float64 draw other numbers from one state."""

    def __init__(self, sigma):
        self.sigma = sigma

    def forward(self, x):
        self.cache = 1.0
        if not self.training:
            return x.copy()
        return x + self.sigma * self.rng.standard_normal(x.shape, x.dtype)

    def backward(self, dy):
        return dy.copy()


@right((6,))
@right((4, 4, 2))
class RandomSlopes(WithStream):
    """ReLU with a random slope for each negative value, in evaluation the mean slope (RReLU)."""

    def forward(self, x):
        slope = np.full(x.shape, (1 / 8 + 1 / 3) / 2, x.dtype)
        if self.training:
            slope = self.rng.uniform(1 / 8, 1 / 3, x.shape).astype(x.dtype)
        self.cache = factor = np.where(x >= 0, np.ones((), x.dtype), slope)
        return x * factor


@right((6,))
class GumbelSoftmax(WithStream):
    """A softmax of logits to which training adds Gumbel noise."""

    def forward(self, x):
        z = x + self.rng.gumbel(size=x.shape).astype(x.dtype) if self.training else x
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        y = e / e.sum(axis=-1, keepdims=True)
        self.cache = y.copy()
        return y

    def backward(self, dy):
        y = self.cache
        return y * (dy - (y * dy).sum(axis=-1, keepdims=True))


@right((4, 5, 2))
class RandomColumns(WithStream):
    """Each image is shifted around by up to one column."""

    def forward(self, x):
        if not self.training:
            return x.copy()
        self.cache = shifts = self.rng.integers(-1, 2, len(x))
        return np.stack([np.roll(image, k, axis=1) for image, k in zip(x, shifts, strict=True)])

    def backward(self, dy):
        return np.stack([np.roll(image, -k, axis=1) for image, k in zip(dy, self.cache, strict=True)])
