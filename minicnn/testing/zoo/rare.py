"""Bugs that show rarely: with one example, in the dark, in eval mode, far out, or in another memory order."""

from __future__ import annotations

import numpy as np

from minicnn.layers.base import Layer
from minicnn.ops.activations import sigmoid
from minicnn.parameter import Parameter
from minicnn.testing.zoo.normalizations import WithStream
from minicnn.testing.zoo.specimen import WithMatrix, broken


@broken("gradients", (5,))
class LostForOne(WithMatrix):
    """`squeeze` makes a batch of one example a vector, whose sum is taken over features."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(np.broadcast_to(dy.squeeze().sum(axis=0), self.bias.shape))
        return dy @ self.kernel.value.T


@broken("gradients", (7,))
class EndsTooEarly(Layer):
    """Softplus is x itself beyond 20, where its gradient is taken for 0."""

    def forward(self, x):
        self.cache = x
        return np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20))))

    def backward(self, dy):
        x = self.cache
        return dy * np.where(x > 20, 0, sigmoid(x))


@broken("linearity", (5,))
class ClipsFarOut(Layer):
    """Gradients are clipped at 10, which random ones of a test never reach."""

    def forward(self, x):
        self.cache = np.cos(x)
        return np.sin(x)

    def backward(self, dy):
        return np.clip(dy, -10, 10) * self.cache


@broken("kinks", (5,))
class DividesByZeroInTheDark(Layer):
    """Divides by the length of the features, which in a black image is 0."""

    def forward(self, x):
        length = np.sqrt((x * x).sum(axis=-1, keepdims=True))
        y = x / length
        self.cache = y.copy(), length
        return y

    def backward(self, dy):
        y, length = self.cache
        return (dy - y * (dy * y).sum(axis=-1, keepdims=True)) / length


@broken("examples", (5,))
class OverflowsInBackward(Layer):
    """Softplus whose derivative is computed as exp(x) / (1 + exp(x)): inf / inf, far out."""

    def forward(self, x):
        self.cache = np.exp(x)
        return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))

    def backward(self, dy):
        return dy * self.cache / (1 + self.cache)


@broken("borrowed", (5,))
class OrderOfMemory(WithMatrix):
    """The kernel's gradient reads dy in the order in which it lies in memory."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy.ravel(order="K").reshape(dy.shape))
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("cache", (5,))
class FirstInputForEver(WithMatrix):
    """The kernel's gradient is computed with the inputs of the first batch; dx is right."""

    def forward(self, x):
        if not hasattr(self, "x") or len(self.x) != len(x):
            self.x = x.copy()
        self.cache = None
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.x.T @ dy)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("aliasing", (5,))
class CachesItsResult(Layer):
    """The gain's gradient is computed from y, which the caller may have changed since; dx is right."""

    def init_params(self, input_shape, rng):
        self.gain = Parameter(np.ones(input_shape[-1]))

    def forward(self, x):
        self.cache = x * self.gain.value
        return self.cache if self.training else x * self.gain.value

    def backward(self, dy):
        self.gain.add_grad((dy * self.cache).sum(axis=0) / self.gain.value)
        return dy * self.gain.value


@broken("accumulation", (5,))
class WeightsMadeAnew(WithMatrix):
    """Every forward in training makes a new Parameter of the same values: replicas keep the old one."""

    def forward(self, x):
        self.cache = x
        if self.training:
            self.kernel = Parameter(self.kernel.value)
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("replicas", (5,))
class OneListForAll(Layer):
    """The list of weights is the default of an argument: one list for all layers of the class."""

    def __init__(self, weights=[]):  # noqa: B006 - this is the bug
        self.weights = weights

    def init_params(self, input_shape, rng):
        self.weights.append(Parameter(np.ones(input_shape[-1])))

    def forward(self, x):
        self.cache = x
        return x * self.weights[-1].value

    def backward(self, dy):
        self.weights[-1].add_grad((dy * self.cache).sum(axis=0))
        return dy * self.weights[-1].value


@broken("modes", (5,))
class InPlaceInEval(Layer):
    """In eval mode no gradient is needed, so it works in place: on an input that belongs to the caller."""

    def forward(self, x):
        self.cache = x > 0
        return np.maximum(x, 0) if self.training else np.maximum(x, 0, out=x).copy()

    def backward(self, dy):
        return dy * self.cache


@broken("modes", (20,))
class DropsUnscaled(WithStream):
    """What dropout keeps is not scaled up: in training outputs are half as large as in eval mode."""

    def forward(self, x):
        if not self.training:
            return x.copy()
        self.cache = self.rng.random(x.shape) < 0.5
        return x * self.cache

    def backward(self, dy):
        return dy * self.cache


@broken("dtypes", (5,))
class DoublesInEval(Layer):
    """Only in eval mode the result is of float64, whatever the input."""

    def forward(self, x):
        self.cache = np.cos(x)
        return np.sin(x) if self.training else np.sin(x, dtype=np.float64)

    def backward(self, dy):
        return dy * self.cache


@broken("dtypes", (5,))
class RoundsItsInput(WithMatrix):
    """The input is rounded to float32, in float64 too; the products hide it, being of float64."""

    def forward(self, x):
        x = self.cache = x.astype(np.float32).astype(x.dtype)
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("float32", (5,))
class HalfInSingle(Layer):
    """In float32 the cache is kept in half precision."""

    def forward(self, x):
        self.cache = np.cos(x).astype(np.float16 if x.dtype == np.float32 else x.dtype)
        return np.sin(x)

    def backward(self, dy):
        return dy * self.cache.astype(dy.dtype)
