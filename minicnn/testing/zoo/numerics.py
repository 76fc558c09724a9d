"""Broken numerics: overflow, division by zero, lost digits, and errors at large values only."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.testing.zoo.specimen import WithMatrix, broken


@broken("finite", (7,), cause="overflow")
class SoftplusOverflows(Layer):
    """log(1 + exp(x)) is infinite from x = 710 on, in float32 from 89."""

    def forward(self, x):
        self.cache = x
        return np.log(1 + np.exp(x))

    def backward(self, dy):
        small = np.exp(-np.abs(self.cache))
        return dy * np.where(self.cache > 0, 1, small) / (1 + small)


@broken("finite", (5,), cause="logarithm")
class LogOfSoftmax(Layer):
    """The logarithm of a softmax is -inf where the softmax underflows."""

    def forward(self, x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        y = np.log(e / e.sum(axis=-1, keepdims=True))
        self.cache = y.copy()
        return y

    def backward(self, dy):
        return dy - np.exp(self.cache) * dy.sum(axis=-1, keepdims=True)


@broken("finite", (7,), cause="overflow")
class LogCosh(Layer):
    """log(cosh(x)), where cosh overflows although the logarithm is about |x|."""

    def forward(self, x):
        self.cache = x
        return np.log(np.cosh(x))

    def backward(self, dy):
        return dy * np.tanh(self.cache)


@broken("finite", (7,), cause="overflow")
class SigmoidFor64Bits(Layer):
    """Clips at 500, which is right in float64; in float32 the gradient at -100 is inf / inf."""

    def forward(self, x):
        self.cache = e = np.exp(-np.clip(x, -500, 500))
        return 1 / (1 + e)

    def backward(self, dy):
        e = self.cache
        return dy * e / (1 + e) ** 2


@broken("gradients", (7,), cause="bound")
class ClipForgottenInBackward(Layer):
    """Clips at +-60; backward does not know of it."""

    def forward(self, x):
        self.cache = None
        return np.clip(x, -60, 60)

    def backward(self, dy):
        return dy.copy()


@broken("gradients", (7,), cause="bound")
class LinearBeyond100(Layer):
    """Quadratic up to 100 and linear beyond, with the slope of the quadratic part everywhere."""

    def forward(self, x):
        self.cache = x
        return np.where(np.abs(x) < 100, x * x / 2, 100 * np.abs(x) - 5000)

    def backward(self, dy):
        return dy * self.cache


@broken("finite", (5,), cause="0 / 0")
class EpsilonTooSmall(Layer):
    """Divides by sqrt(sum of squares + 1e-50): in float32 that is 0 for a black image."""

    def forward(self, x):
        n = np.sqrt((x * x).sum(axis=-1, keepdims=True) + 1e-50)
        self.cache = x, n
        return x / n

    def backward(self, dy):
        x, n = self.cache
        return dy / n - x * (dy * x).sum(axis=-1, keepdims=True) / n**3


@broken("kinks", (3, 4), cause="0 / 0")
class SquashOfZero(Layer):
    """The squash of a capsule divides by the norm of a vector, which may be 0."""

    def forward(self, x):
        n2 = (x * x).sum(axis=-1, keepdims=True)
        n = np.sqrt(n2)
        self.cache = x, n
        return x * n / (1 + n2)

    def backward(self, dy):
        x, n = self.cache
        along = (dy * x).sum(axis=-1, keepdims=True)
        return dy * n / (1 + n * n) + x * along * (1 - n * n) / (n * (1 + n * n) ** 2)


@broken("float32", (5,), cause="lower precision|code path")
class HalfInBackward(Layer):
    """For float32, backward computes in half precision."""

    def forward(self, x):
        self.cache = x
        return x**3

    def backward(self, dy):
        x = self.cache
        if dy.dtype == np.float32:
            return (3 * dy.astype(np.float16) * x.astype(np.float16) ** 2).astype(dy.dtype)
        return 3 * dy * x * x


@broken("examples", (6,), cause="overflow")
class SwishDerivative(Layer):
    """x sigmoid(x), with a derivative that is inf / inf for large negative x."""

    def forward(self, x):
        self.cache = x
        return x / (1 + np.exp(-x))

    def backward(self, dy):
        x = self.cache
        e = np.exp(-x)
        return dy * (1 + e + x * e) / (1 + e) ** 2


@broken("float32", (4, 4, 3), cause="squares")
class OnePassInstance(Layer):
    """Instance normalization by mean(x**2) - mean(x)**2, kept positive by a maximum."""

    def forward(self, x):
        mean = x.mean(axis=(1, 2), keepdims=True)
        var = np.maximum((x * x).mean(axis=(1, 2), keepdims=True) - mean * mean, 0)
        std = np.sqrt(var + 1e-5)
        z = (x - mean) / std
        self.cache = z, std
        return z.copy()

    def backward(self, dy):
        z, std = self.cache
        mean, along = (a.mean(axis=(1, 2), keepdims=True) for a in (dy, dy * z))
        return (dy - mean - z * along) / std


@broken("gradients", (6,), cause="does not depend")
class RoundingWithTwice(Layer):
    """Rounds to eighths, with the straight-through gradient 2 dy in place of dy."""

    def forward(self, x):
        self.cache = None
        return np.round(8 * x) / 8

    def backward(self, dy):
        return 2 * dy


@broken("float32", (6,), cause="lower precision|code path")
class HalfTheTable(Layer):
    """In float32, the sine comes from a table of 1,000 values."""

    def forward(self, x):
        self.cache = np.cos(x)
        if x.dtype == np.float32:
            return np.sin(np.round(x * 1000 / np.pi) * np.float32(np.pi / 1000))
        return np.sin(x)

    def backward(self, dy):
        return dy * self.cache


@broken("finite", (6,), cause="overflow")
class CubeRootOfCubes(Layer):
    """The fourth root of the mean of x**20, which overflows in float32 for inputs in the hundreds."""

    def forward(self, x):
        m = (x**20).mean(axis=-1, keepdims=True) + 1e-6
        self.cache = x, m
        return x + m**0.05

    def backward(self, dy):
        x, m = self.cache
        return dy + dy.sum(axis=-1, keepdims=True) * m ** (0.05 - 1) * x**19 / x.shape[-1]


@broken("dtypes", (5,), cause="float32")
class KernelInSingle(WithMatrix):
    """The kernel is rounded to float32 before the product, in a work array of that dtype."""

    def _kernel(self):
        work = np.zeros(self.kernel.shape, np.float32)
        work[...] = self.kernel.value
        return work

    def forward(self, x):
        self.cache = x
        return x @ self._kernel().astype(x.dtype) + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self._kernel().astype(dy.dtype).T
