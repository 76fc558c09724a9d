"""Broken activations with learned or piecewise slopes."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.ops.activations import sigmoid
from minicnn.parameter import Parameter
from minicnn.testing.zoo.specimen import broken


@broken("gradients", (7,), cause="derivative|missing term")
class MishWithoutInner(Layer):
    """x tanh(softplus(x)), whose derivative lacks the term with x."""

    def forward(self, x):
        self.cache = t = np.tanh(np.logaddexp(x, 0))
        return x * t

    def backward(self, dy):
        return dy * self.cache


@broken("gradients", (7,), cause="derivative")
class HardSwishHalf(Layer):
    """Hard swish whose derivative between -3 and 3 is (x + 3) / 6 in place of (2 x + 3) / 6."""

    def forward(self, x):
        self.cache = x
        return x * np.clip(x + 3, 0, 6) / 6

    def backward(self, dy):
        x = self.cache
        return dy * np.where(x < -3, 0, np.where(x > 3, 1, (x + 3) / 6))


@broken("gradients", (7,), cause="for x <")
class AlphaForgotten(Layer):
    """ELU with alpha = 0.5, whose derivative has alpha = 1."""

    def forward(self, x):
        self.cache = x
        return np.where(x > 0, x, 0.5 * np.expm1(np.minimum(x, 0)))

    def backward(self, dy):
        return dy * np.where(self.cache > 0, 1, np.exp(np.minimum(self.cache, 0)))


@broken("gradients", (7,), cause="for x >")
class ScaleOfSelu(Layer):
    """SELU whose derivative lacks the scale for positive inputs."""

    def forward(self, x):
        self.cache = x
        return 1.0507 * np.where(x > 0, x, 1.67326 * np.expm1(np.minimum(x, 0)))

    def backward(self, dy):
        x = self.cache
        return dy * np.where(x > 0, 1, 1.0507 * 1.67326 * np.exp(np.minimum(x, 0)))


@broken("gradients", (7,), cause="derivative|missing term")
class SoftsignNotSquared(Layer):
    """x / (1 + |x|) with the derivative 1 / (1 + |x|)."""

    def forward(self, x):
        self.cache = size = 1 + np.abs(x)
        return x / size

    def backward(self, dy):
        return dy / self.cache


@broken("gradients", (7,), cause="threshold|bound")
class ThresholdOfZero(Layer):
    """x where x > 1 and 0 elsewhere; backward compares with 0."""

    def forward(self, x):
        self.cache = x
        return np.where(x > 1, x, 0)

    def backward(self, dy):
        return dy * (self.cache > 0)


@broken("gradients", (5,), cause="missing term")
class SnakeFrequency(Layer):
    """x + sin(a x)**2 / a with a learned a, whose gradient lacks the derivative of 1 / a."""

    def init_params(self, input_shape, rng):
        self.a = Parameter(np.ones(input_shape[-1]))

    def forward(self, x):
        self.cache = x
        return x + np.sin(self.a.value * x) ** 2 / self.a.value

    def backward(self, dy):
        x, a = self.cache, self.a.value
        slope = np.sin(2 * a * x)
        self.a.add_grad((dy * slope * x / a).reshape(-1, x.shape[-1]).sum(axis=0))
        return dy * (1 + slope)


@broken("gradients", (6,), cause="derivative|missing term")
class SigmoidOfTheOutput(Layer):
    """The sigmoid's derivative is taken at y, sigmoid(y) (1 - sigmoid(y)), as if y were the input."""

    def forward(self, x):
        self.cache = y = sigmoid(x)
        return y.copy()

    def backward(self, dy):
        s = sigmoid(self.cache)
        return dy * s * (1 - s)


@broken("gradients", (6,), cause="for x <")
class OnlyPositiveBranch(Layer):
    """|x|**1.5, whose gradient is missing for negative x."""

    def forward(self, x):
        self.cache = x
        return np.abs(x) ** 1.5

    def backward(self, dy):
        return dy * 1.5 * np.sqrt(np.maximum(self.cache, 0))


@broken("gradients", (3, 3, 2), cause="mean over 9")
class SlopePerExample(Layer):
    """A learned slope for each channel whose gradient is averaged over the pixels, not summed."""

    def init_params(self, input_shape, rng):
        self.s = Parameter(np.full(input_shape[-1], 0.3))

    def forward(self, x):
        self.cache = x
        return np.maximum(x, 0) + self.s.value * np.minimum(x, 0)

    def backward(self, dy):
        x = self.cache
        self.s.add_grad((dy * np.minimum(x, 0)).mean(axis=(1, 2)).sum(axis=0))
        return dy * np.where(x > 0, 1, self.s.value)


@broken("gradients", (6,), cause="wrong sign|sign")
class ReflectedOnTheLeft(Layer):
    """The absolute value with the gradient dy everywhere."""

    def forward(self, x):
        self.cache = None
        return np.abs(x)

    def backward(self, dy):
        return dy.copy()


@broken("gradients", (6,), cause="constant factor")
class TemperatureForgotten(Layer):
    """A softmax with a learned temperature, whose dx is not divided by it."""

    def init_params(self, input_shape, rng):
        self.t = Parameter(np.array(2.0))

    def forward(self, x):
        z = x / self.t.value
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        y = e / e.sum(axis=-1, keepdims=True)
        self.cache = x, y.copy()
        return y

    def backward(self, dy):
        x, y = self.cache
        dz = y * (dy - (dy * y).sum(axis=-1, keepdims=True))
        self.t.add_grad(-(dz * x).sum() / self.t.value**2)
        return dz


@broken("gradients", (3, 5), cause="for x|bound|elementwise")
class BoundsOfHardSwish(Layer):
    """x clip(x + 3, 0, 6) / 6, with the derivative between the bounds everywhere."""

    def forward(self, x):
        self.cache = x
        return x * np.clip(x + 3, 0, 6) / 6

    def backward(self, dy):
        return dy * (2 * self.cache + 3) / 6


@broken("gradients", (5,), cause="1.0005 times")
class SlopeOffByLittle(Layer):
    """The derivative of tanh times 1.0005, as after rounding a constant."""

    def forward(self, x):
        self.cache = x
        return np.tanh(x)

    def backward(self, dy):
        return 1.0005 * dy * (1 - np.tanh(self.cache) ** 2)
