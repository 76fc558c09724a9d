"""Bugs in rare situations: one example, black images, eval mode, large values, other memory orders."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.ops.activations import sigmoid
from minicnn.parameter import Parameter
from minicnn.testing.zoo.normalizations import WithStream
from minicnn.testing.zoo.specimen import WithMatrix, broken


@broken("gradients", (5,), cause="an operation that treats a batch of one differently")
class SqueezesBatchOfOne(WithMatrix):
    """`squeeze` turns a batch of one example into a vector, which is then summed over features."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(np.broadcast_to(dy.squeeze().sum(axis=0), self.bias.shape))
        return dy @ self.kernel.value.T


@broken("gradients", (7,), cause="the gradient is zero")
class ZeroGradientBeyond20(Layer):
    """Softplus returns x for x > 20, but its gradient is 0 there."""

    def forward(self, x):
        self.cache = x
        return np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20))))

    def backward(self, dy):
        x = self.cache
        return dy * np.where(x > 20, 0, sigmoid(x))


@broken("linearity", (5,), cause="a term without dy is added")
class ClipsLargeGradients(Layer):
    """Gradients are clipped at 10, which random gradients in a test never reach."""

    def forward(self, x):
        self.cache = np.cos(x)
        return np.sin(x)

    def backward(self, dy):
        return np.clip(dy, -10, 10) * self.cache


@broken("kinks", (5,), cause="0 / 0")
class DividesByZeroNorm(Layer):
    """Divides by the norm of the features, which is 0 in a black image."""

    def forward(self, x):
        length = np.sqrt((x * x).sum(axis=-1, keepdims=True))
        y = x / length
        self.cache = y.copy(), length
        return y

    def backward(self, dy):
        y, length = self.cache
        return (dy - y * (dy * y).sum(axis=-1, keepdims=True)) / length


@broken("examples", (5,), cause="exp overflows")
class OverflowsInBackward(Layer):
    """Softplus with the derivative exp(x) / (1 + exp(x)), which is inf / inf for large x."""

    def forward(self, x):
        self.cache = np.exp(x)
        return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))

    def backward(self, dy):
        return dy * self.cache / (1 + self.cache)


@broken("borrowed", (5,), cause="the order of the elements in memory is used")
class ReadsDyInMemoryOrder(WithMatrix):
    """The kernel gradient reads dy in memory order, which need not be C order."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy.ravel(order="K").reshape(dy.shape))
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("cache", (5,), cause="values of an earlier forward are kept in another attribute or in part")
class KeepsFirstInput(WithMatrix):
    """The kernel gradient uses the inputs of the first batch; dx is correct."""

    def forward(self, x):
        if not hasattr(self, "x") or len(self.x) != len(x):
            self.x = x.copy()
        self.cache = None
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.x.T @ dy)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("aliasing", (5,), cause="the cache holds the returned array or a view of it")
class CachesItsResult(Layer):
    """The gain gradient is computed from y, which the caller may have changed; dx is correct."""

    def init_params(self, input_shape, rng):
        self.gain = Parameter(np.ones(input_shape[-1]))

    def forward(self, x):
        self.cache = x * self.gain.value
        return self.cache if self.training else x * self.gain.value

    def backward(self, dy):
        self.gain.add_grad((dy * self.cache).sum(axis=0) / self.gain.value)
        return dy * self.gain.value


@broken("accumulation", (5,), cause=r"`self\.kernel = Parameter")
class RecreatesItsParameter(WithMatrix):
    """Every forward in training mode replaces the Parameter by a new one; replicas keep the old one."""

    def forward(self, x):
        self.cache = x
        if self.training:
            self.kernel = Parameter(self.kernel.value)
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("replicas", (5,), cause="a default is shared by all instances")
class SharedDefaultList(Layer):
    """The list of weights is a default argument, shared by all layers of the class."""

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


@broken("modes", (5,), cause="an in-place operation on x")
class InPlaceInEval(Layer):
    """In eval mode forward works in place, on an input that belongs to the caller."""

    def forward(self, x):
        self.cache = x > 0
        return np.maximum(x, 0) if self.training else np.maximum(x, 0, out=x).copy()

    def backward(self, dy):
        return dy * self.cache


@broken("modes", (20,), cause="in training mode")
class DropsUnscaled(WithStream):
    """Dropout without scaling: outputs in training mode are half as large as in eval mode."""

    def forward(self, x):
        if not self.training:
            return x.copy()
        self.cache = self.rng.random(x.shape) < 0.5
        return x * self.cache

    def backward(self, dy):
        return dy * self.cache


@broken("dtypes", (5,), cause="a fixed dtype")
class DoublesInEval(Layer):
    """In eval mode the result is float64 for every input."""

    def forward(self, x):
        self.cache = np.cos(x)
        return np.sin(x) if self.training else np.sin(x, dtype=np.float64)

    def backward(self, dy):
        return dy * self.cache


@broken("dtypes", (5,), cause="astype")
class RoundsItsInput(WithMatrix):
    """The input is rounded to float32 even if it is float64, which the float64 result hides."""

    def forward(self, x):
        x = self.cache = x.astype(np.float32).astype(x.dtype)
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("float32", (5,), cause="a separate code path or a lower precision")
class HalfPrecisionInFloat32(Layer):
    """For float32 inputs, the cache is stored in half precision."""

    def forward(self, x):
        self.cache = np.cos(x).astype(np.float16 if x.dtype == np.float32 else x.dtype)
        return np.sin(x)

    def backward(self, dy):
        return dy * self.cache.astype(dy.dtype)


INPUTS: list[np.ndarray] = []


@broken("memory", (4, 3), cause="append")
class KeepsInputsInTheModule(Layer):
    """Appends every input to a list of the module, as for a plot."""

    def forward(self, x):
        INPUTS.append(x.copy())
        self.cache = None
        return 2 * x

    def backward(self, dy):
        return 2 * dy


@broken("modes", (4, 3), cause="noise that is drawn once")
class SameNoiseInEachCall(Layer):
    """Noise of training from a generator that every forward seeds again."""

    def forward(self, x):
        self.cache = None
        if not self.training:
            return x.copy()
        return x + 0.2 * np.random.default_rng(0).standard_normal(x.shape).astype(x.dtype)

    def backward(self, dy):
        return dy.copy()
