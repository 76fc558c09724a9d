"""Right layers with jumps and steps: signs, quantizers, masks, tables."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parameter import Parameter
from minicnn.testing.styles.style import right


@right((6,))
@right((3, 4, 2))
class Sign(Layer):
    """The sign, with its true gradient 0."""

    def forward(self, x):
        self.cache = None
        return np.sign(x)

    def backward(self, dy):
        return np.zeros_like(dy)


@right((6,))
class SignedRoot(Layer):
    """sign(x) sqrt(|x| + 1e-6), as in bilinear pooling."""

    def forward(self, x):
        self.cache = x
        return np.sign(x) * np.sqrt(np.abs(x) + 1e-6)

    def backward(self, dy):
        return dy * 0.5 / np.sqrt(np.abs(self.cache) + 1e-6)


@right((6,), 16)
@right((4, 4, 2), 4)
@right((6,), 255)
class Quantize(Layer):
    """Round to multiples of 1 / levels, with the true gradient 0."""

    def __init__(self, levels):
        self.levels = levels

    def forward(self, x):
        self.cache = None
        return np.round(x * self.levels) / self.levels

    def backward(self, dy):
        return np.zeros_like(dy)


@right((6,), 16, remark="straight-through")
@right((4, 4, 2), 8, remark="straight-through")
class StraightThrough(Layer):
    """Round, and let the gradient pass."""

    def __init__(self, levels):
        self.levels = levels

    def forward(self, x):
        self.cache = None
        return np.round(x * self.levels) / self.levels

    def backward(self, dy):
        return dy.copy()


@right((6,), remark="straight-through")
class BinaryActivation(Layer):
    """The sign, with a gradient of 1 between -1 and 1 (Hubara et al. 2016)."""

    def forward(self, x):
        self.cache = np.abs(x) <= 1
        return np.where(x >= 0, 1.0, -1.0).astype(x.dtype)

    def backward(self, dy):
        return dy * self.cache


@right((7,))
class HardShrink(Layer):
    """x where |x| > 0.5, otherwise 0."""

    def forward(self, x):
        self.cache = keep = np.abs(x) > 0.5
        return x * keep

    def backward(self, dy):
        return dy * self.cache


@right((5,))
class WinnerTakesAll(Layer):
    """Keep the largest feature of each example and set the others to 0."""

    def forward(self, x):
        self.cache = mask = np.arange(x.shape[-1]) == x.argmax(axis=-1)[..., None]
        return x * mask

    def backward(self, dy):
        return dy * self.cache


@right((6,), 2)
@right((9,), 4)
class TopK(Layer):
    """Keep the k largest features of each example."""

    def __init__(self, k):
        self.k = k

    def forward(self, x):
        order = np.argsort(x, axis=-1)[:, -self.k :]
        mask = np.zeros(x.shape, x.dtype)
        np.put_along_axis(mask, order, 1, axis=-1)
        self.cache = mask
        return x * mask

    def backward(self, dy):
        return dy * self.cache


@right((6,))
@right((3, 5))
class Sort(Layer):
    """The features of each example in order."""

    def forward(self, x):
        self.cache = order = np.argsort(x, axis=-1)
        return np.take_along_axis(x, order, axis=-1)

    def backward(self, dy):
        dx = np.zeros_like(dy)
        np.put_along_axis(dx, self.cache, dy, axis=-1)
        return dx


def _tokens(rng, shape):
    return rng.integers(0, 7, shape)


@right((5,), inputs=_tokens)
class Embedding(Layer):
    """A row of a table for each integer, which comes as a float."""

    def init_params(self, input_shape, rng):
        self.table = Parameter(rng.normal(size=(7, 3)))

    def forward(self, x):
        self.cache = tokens = x.astype(np.intp)
        return self.table.value[tokens]

    def backward(self, dy):
        np.add.at(self.table.grad, self.cache, dy)
        return np.zeros(self.cache.shape, dy.dtype)


@right((5,), inputs=_tokens)
class OneHot(Layer):
    """Integers, as floats, to one-hot vectors."""

    def forward(self, x):
        self.cache = x.shape
        return (x[..., None] == np.arange(7)).astype(x.dtype)

    def backward(self, dy):
        return np.zeros(self.cache, dy.dtype)


@right((4, 4, 1))
class CountsOfPositives(Layer):
    """How many pixels are positive: integers, as floats, with the gradient 0."""

    def forward(self, x):
        self.cache = x.shape
        return (x > 0).sum(axis=(1, 2)).astype(x.dtype)

    def backward(self, dy):
        return np.zeros(self.cache, dy.dtype)


@right((6,))
class Triangle(Layer):
    """The distance to the nearest integer."""

    def forward(self, x):
        z = x - np.rint(x)
        self.cache = np.sign(z)
        return np.abs(z)

    def backward(self, dy):
        return dy * self.cache


@right((6,))
class Fraction(Layer):
    """x - floor(x), which jumps at integers and has the slope 1."""

    def forward(self, x):
        self.cache = None
        return x - np.floor(x)

    def backward(self, dy):
        return dy.copy()
