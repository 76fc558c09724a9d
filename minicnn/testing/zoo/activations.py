"""Broken activations: wrong derivatives, in-place operations on arguments, unstable softmax."""

import math

import numpy as np

from minicnn.layers.activations import Sigmoid
from minicnn.layers.base import Layer
from minicnn.ops.activations import sigmoid, softmax
from minicnn.parameter import Parameter
from minicnn.testing.zoo.specimen import broken


@broken("gradients", (7,), cause="a constant factor")
class FactorMissing(Layer):
    """1.7159 tanh(2x/3); the derivative lacks the inner factor 2/3."""

    def forward(self, x):
        tanh = np.tanh(x * (2 / 3))
        self.cache = tanh
        return 1.7159 * tanh

    def backward(self, dy):
        return dy * 1.7159 * (1 - self.cache**2)


@broken("linearity", (7,), cause="a term without dy is added")
class MaskOfDy(Layer):
    """ReLU whose backward masks by dy > 0 instead of x > 0."""

    def forward(self, x):
        self.cache = x
        return np.maximum(x, 0)

    def backward(self, dy):
        return dy * ((dy > 0) & (self.cache > -np.inf))


@broken("borrowed", (7,), cause=r"an in-place operation such as `\*=` or `dy\[mask\] = 0` on the argument")
class WritesIntoDy(Layer):
    """ReLU whose backward sets elements of dy to zero in place; dy belongs to the caller."""

    def forward(self, x):
        self.cache = x <= 0
        return np.maximum(x, 0)

    def backward(self, dy):
        dy[self.cache] = 0
        return dy


@broken("borrowed", (7,), cause=r"an in-place operation such as `\*=` or `dy\[mask\] = 0` on the argument")
class WritesIntoX(Layer):
    """ReLU whose forward works in place; x belongs to the caller."""

    def forward(self, x):
        np.maximum(x, 0, out=x)
        self.cache = x > 0
        return x.copy()

    def backward(self, dy):
        return dy * self.cache


@broken("gradients", (7,), cause="the derivative of this elementwise function is wrong")
class DerivativeOfTheInput(Layer):
    """The derivative of the sigmoid, y (1 - y), is computed with x in place of y."""

    def forward(self, x):
        self.cache = x
        return sigmoid(x)

    def backward(self, dy):
        return dy * self.cache * (1 - self.cache)


@broken("gradients", (5,), cause="only the diagonal of the Jacobian counts")
class DiagonalOnly(Layer):
    """Softmax whose gradient uses only the diagonal of the Jacobian."""

    def forward(self, x):
        y = softmax(x)
        self.cache = y.copy()
        return y

    def backward(self, dy):
        return dy * self.cache * (1 - self.cache)


@broken("examples", (5,), cause="a mean")
class ShiftedByTheBatch(Layer):
    """Softmax subtracts the maximum of the whole array; rows far below it become 0 / 0."""

    def forward(self, x):
        y = np.exp(x - x.max())
        y /= y.sum(axis=-1, keepdims=True)
        self.cache = y.copy()
        return y

    def backward(self, dy):
        y = self.cache
        return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


@broken("examples", (5,), cause="exp overflows")
class NotShifted(Layer):
    """Softmax does not subtract the maximum; exp overflows, and inf / inf is NaN."""

    def forward(self, x):
        y = np.exp(x)
        y = y / y.sum(axis=-1, keepdims=True)
        self.cache = y.copy()
        return y

    def backward(self, dy):
        y = self.cache
        return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


@broken("examples", (5,), cause="a mean")
class SoftmaxOverExamples(Layer):
    """Softmax along axis 0, the batch axis."""

    def forward(self, x):
        y = softmax(x.T).T.copy()
        self.cache = y.copy()
        return y

    def backward(self, dy):
        y = self.cache
        return y * (dy - (dy * y).sum(axis=0))


@broken("kinks", (7,), cause="two branches that both include x = 0")
class BothSidesAtZero(Layer):
    """A leaky ReLU whose two branches both include x = 0."""

    def forward(self, x):
        self.cache = x
        return np.where(x > 0, x, 0.3 * x)

    def backward(self, dy):
        x = self.cache
        return dy * (x >= 0) + dy * 0.3 * (x <= 0)


@broken("kinks", (7,), cause="0 / 0")
class DividesByItself(Layer):
    """|x| with the derivative x / |x|, which is 0 / 0 at zero: a black pixel makes the whole net NaN."""

    def forward(self, x):
        self.cache = x
        return np.abs(x)

    def backward(self, dy):
        return dy * self.cache / np.abs(self.cache)


@broken("gradients", (7,), cause="the derivative of this elementwise function is wrong")
class HalfTheProductRule(Layer):
    """x sigmoid(x), with only one of the two terms of the product rule."""

    def forward(self, x):
        gate = sigmoid(x)
        self.cache = gate
        return x * gate

    def backward(self, dy):
        return dy * self.cache


@broken("gradients", (4, 3), cause="does not depend|mask")
class SlopeCountsAll(Layer):
    """PReLU whose slope also gets a gradient from positive inputs."""

    def init_params(self, input_shape, rng):
        self.slope = Parameter(np.full(input_shape[-1], 0.25))

    def forward(self, x):
        self.cache = x
        return np.where(x > 0, x, x * self.slope.value)

    def backward(self, dy):
        x = self.cache
        self.slope.add_grad((dy * x).sum(axis=tuple(range(x.ndim - 1))))
        return np.where(x > 0, dy, dy * self.slope.value)


@broken("aliasing", (7,), cause="the array itself or a view of it is returned")
class ReturnsItsArgument(Layer):
    """Returns x itself when no value needs clipping."""

    def forward(self, x):
        inside = np.abs(x) < 6
        self.cache = inside
        return x if inside.all() else np.clip(x, -6, 6)

    def backward(self, dy):
        return dy * self.cache


@broken("aliasing", (7,), cause="the cache holds the returned array or a view of it")
class CachesWhatItReturns(Layer):
    """The cache is the returned array, which the caller may write into."""

    def forward(self, x):
        self.cache = y = np.tanh(x)
        return y

    def backward(self, dy):
        return dy * (1 - self.cache**2)


@broken("dtypes", (7,), cause="a fixed dtype")
class NumpyScalar(Layer):
    """A float64 NumPy scalar turns float32 arrays into float64."""

    def forward(self, x):
        slope = np.sqrt(2.0) * (x > 0)
        self.cache = slope
        return x * slope

    def backward(self, dy):
        return dy * self.cache


@broken("gradients", (7,), cause="low precision")
class CacheInFloat32(Layer):
    """To save memory, the cache is stored in float32, even for float64 inputs."""

    def forward(self, x):
        self.cache = np.cosh(x).astype(np.float32)
        return np.sinh(x)

    def backward(self, dy):
        return dy * self.cache


@broken(
    "reference",
    (7,),
    reference=lambda: Sigmoid(),
    cause="another function or convention than that of the reference",
)
class WrongFunction(Layer):
    """Not the sigmoid but (1 + tanh(x)) / 2, which is steeper; the gradients fit this wrong function."""

    def forward(self, x):
        tanh = np.tanh(x)
        self.cache = tanh
        return (1 + tanh) / 2

    def backward(self, dy):
        return dy * (1 - self.cache**2) / 2


@broken("gradients", (7,), cause="wrong sign")
class WrongSign(Layer):
    """exp(-x) whose derivative lacks the minus sign."""

    def forward(self, x):
        y = np.exp(-x)
        self.cache = y.copy()
        return y

    def backward(self, dy):
        return dy * self.cache


@broken("gradients", (7,), cause="the derivative of this elementwise function is wrong")
class GeluWithoutTail(Layer):
    """GELU, x Phi(x), whose derivative lacks the term x phi(x)."""

    def forward(self, x):
        phi = np.vectorize(math.erf, otypes=[x.dtype])(x / math.sqrt(2)) / 2 + 0.5
        self.cache = phi
        return x * phi

    def backward(self, dy):
        return dy * self.cache


@broken("gradients", (7,), cause="backward passes a gradient to elements on which the output does not depend")
class IgnoresTheUpperBound(Layer):
    """ReLU6 whose gradient ignores the upper bound of 6."""

    def forward(self, x):
        self.cache = x > 0
        return np.clip(x, 0, 6)

    def backward(self, dy):
        return dy * self.cache


@broken("gradients", (7,), cause="the gradient is zero")
class WrongThreshold(Layer):
    """ReLU whose backward uses the threshold 0.05 instead of 0; few inputs lie in between."""

    def forward(self, x):
        self.cache = x > 0.05
        return np.maximum(x, 0)

    def backward(self, dy):
        return dy * self.cache


@broken("promises", (7,))
class PromisesTooMuch(Sigmoid):
    """Sigmoid may not change places with a maximum: rounding maps different x to the same value."""

    commutes_with_max = True


@broken("promises", (7,))
class PromisesToRise(Layer):
    """The square falls for x < 0, so it may not change places with a maximum."""

    commutes_with_max = True

    def forward(self, x):
        self.cache = x
        return x * x

    def backward(self, dy):
        return 2 * self.cache * dy
