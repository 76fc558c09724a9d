"""Bugs that most inputs hide: unwritten memory, square images, features that never vary."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parameter import Parameter
from minicnn.testing.zoo.normalizations import EPS, WithStatistics
from minicnn.testing.zoo.specimen import broken


@broken("determinism", (6,), cause="np.empty")
class ZerosNotWritten(Layer):
    """A leaky ReLU that fills np.empty_like where x > 0 and where x < 0."""

    def forward(self, x):
        self.cache = x
        y = np.empty_like(x)
        y[x > 0] = x[x > 0]
        y[x < 0] = 0.1 * x[x < 0]
        return y

    def backward(self, dy):
        return np.where(self.cache > 0, dy, 0.1 * dy)


@broken("determinism", (7, 7, 2), cause="np.empty")
class RestNotWritten(Layer):
    """Average pooling that leaves out the last row and column, whose dx is not written."""

    def forward(self, x):
        self.cache = x.shape
        n, h, w, c = x.shape
        return x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))

    def backward(self, dy):
        dx = np.empty(self.cache, dy.dtype)
        dx[:, : 2 * dy.shape[1], : 2 * dy.shape[2]] = dy.repeat(2, axis=1).repeat(2, axis=2) / 4
        return dx


@broken("determinism", (6,), cause="without `out`")
class WhereWithoutOut(Layer):
    """A vector is divided by its norm where that is not 0, elsewhere memory is not initialized."""

    def forward(self, x):
        norm = np.sqrt((x * x).sum(axis=-1, keepdims=True))
        self.cache = x, np.where(norm > 0, norm, 1)
        return np.divide(x, norm, out=None, where=norm > 0)  # None silences NumPy

    def backward(self, dy):
        x, norm = self.cache
        return (dy - x * (dy * x).sum(axis=-1, keepdims=True) / norm**2) / norm


@broken("modes", (4, 5, 2), cause="epsilon")
class EpsilonOutsideInEval(WithStatistics):
    """The variance plus epsilon has a root in training, and epsilon is added to the root in eval mode."""

    def forward(self, x):
        if self.training:
            return super().forward(x)
        return self.gamma.value * (x - self.mean.value) / (np.sqrt(self.var.value) + EPS) + self.beta.value


@broken("modes", (6,), cause="epsilon")
class NoEpsilonInEval(Layer):
    """A batch normalization that divides by the running deviation alone in eval mode."""

    batch_dependent = True

    def init_params(self, input_shape, rng):
        self.mean = Parameter(np.zeros(input_shape), trainable=False)
        self.var = Parameter(np.ones(input_shape), trainable=False)

    def forward(self, x):
        if not self.training:
            return (x - self.mean.value) / np.sqrt(self.var.value)
        self.mean.value += 0.1 * (x.mean(axis=0) - self.mean.value)
        self.var.value += 0.1 * (x.var(axis=0) - self.var.value)
        scale = 1 / np.sqrt(x.var(axis=0) + EPS)
        h = (x - x.mean(axis=0)) * scale
        self.cache = h, scale
        return h.copy()

    def backward(self, dy):
        h, scale = self.cache
        return scale * (dy - dy.mean(axis=0) - h * (dy * h).mean(axis=0))


@broken("gradients", (5, 5, 3), cause="rows and columns")
class WidthForHeight(Layer):
    """Global average pooling whose dx is divided by the squared width."""

    def forward(self, x):
        self.cache = x.shape
        return x.mean(axis=(1, 2))

    def backward(self, dy):
        return np.broadcast_to(dy[:, None, None] / self.cache[2] ** 2, self.cache).copy()


@broken("gradients", (6, 6, 2), cause="rows and columns")
class CropOfTheOtherAxis(Layer):
    """Zero padding whose dx is cropped to as many rows as there are columns, and the reverse."""

    def forward(self, x):
        self.cache = x.shape
        return np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))

    def backward(self, dy):
        _, rows, columns, _ = self.cache
        return dy[:, 1 : 1 + columns, 1 : 1 + rows].copy()
