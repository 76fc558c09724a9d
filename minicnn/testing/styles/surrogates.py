"""Surrogate gradients, which differ from the derivative on purpose: each gets a remark."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parameter import Parameter
from minicnn.testing.styles.style import right


@right((6,), -0.5, remark="only reverses")
@right((4, 3, 2), 0.1, remark="only scales")
@right((6,), 0.0, remark="only stops")
class GradientScale(Layer):
    """The identity with a scaled gradient: a reversal (Ganin and Lempitsky 2015), or a stop."""

    def __init__(self, scale):
        self.scale = scale

    def forward(self, x):
        self.cache = None
        return x.copy()

    def backward(self, dy):
        return self.scale * dy


@right((6,), remark="straight-through")
class BernoulliUnits(Layer):
    """Random signs, their mean in eval mode, and a straight gradient (Bengio et al. 2013)."""

    def init_params(self, input_shape, rng):
        self.rng = rng.spawn(1)[0]

    def forward(self, x):
        self.cache = np.abs(x) <= 1
        mean = np.clip(x, -1, 1)
        if not self.training:
            return mean
        return np.where(2 * self.rng.random(x.shape) - 1 < mean, 1, -1).astype(x.dtype)

    def backward(self, dy):
        return dy * self.cache


class QuantizedDense(Layer):
    """Base class: a dense layer of weights that `quantized` rounds, and a straight gradient."""

    units, scale = 4, 0.5

    def init_params(self, input_shape, rng):
        self.kernel = Parameter(rng.normal(0, self.scale, (input_shape[-1], self.units)))

    def quantized(self, kernel):
        raise NotImplementedError

    def forward(self, x):
        kernel = self.quantized(self.kernel.value).astype(x.dtype)
        self.cache = x, kernel
        return x @ kernel

    def backward(self, dy):
        x, kernel = self.cache
        self.kernel.add_grad(x.T @ dy)
        return dy @ kernel.T


@right((6,), remark="straight-through")
class BinaryDense(QuantizedDense):
    """The signs of small weights (BinaryConnect, Courbariaux et al. 2015)."""

    scale = 0.05

    def quantized(self, kernel):
        return np.where(kernel >= 0, 1.0, -1.0)


@right((5,), remark="straight-through")
class TernaryDense(QuantizedDense):
    """Weights of -1, 0 and 1 (Li et al. 2016)."""

    def quantized(self, kernel):
        return np.sign(kernel) * (np.abs(kernel) > 0.3)


@right((6,), remark="straight-through")
class EightLevels(QuantizedDense):
    """Weights that are rounded to eighths."""

    def quantized(self, kernel):
        return np.round(kernel * 8) / 8


@right((6,), remark="once they have converged")
class PowerIteration(Layer):
    """Spectral normalization with a step of the power iteration in each forward (Miyato et al. 2018)."""

    batch_dependent = True

    def init_params(self, input_shape, rng):
        self.kernel = Parameter(rng.normal(size=(input_shape[-1], 4)))
        self.u = Parameter(rng.normal(size=4), trainable=False)

    def forward(self, x):
        kernel = self.kernel.value
        v = kernel @ self.u.value
        v = v / np.sqrt(v @ v)
        u = kernel.T @ v
        u = u / np.sqrt(u @ u)
        if self.training:
            self.u.value = u
        sigma = v @ kernel @ u
        self.cache = x, u, v, sigma
        return x @ kernel / sigma

    def backward(self, dy):
        x, u, v, sigma = self.cache
        d = x.T @ dy
        self.kernel.add_grad(d / sigma - (d * self.kernel.value).sum() / sigma**2 * np.outer(v, u))
        return dy @ self.kernel.value.T / sigma
