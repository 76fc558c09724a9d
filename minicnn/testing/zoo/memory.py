"""Broken state: stale caches, shared arrays, hidden weights, updates outside the optimizer."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parameter import Parameter
from minicnn.testing.zoo.specimen import WithMatrix, broken


@broken("accumulation", (5,), cause="updating weights is up to the optimizer")
class UpdatesItself(WithMatrix):
    """Backward takes a step of gradient descent, which is up to the optimizer."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        dx = dy @ self.kernel.value.T
        dkernel = self.cache.T @ dy
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dy.sum(axis=0))
        self.kernel.value -= 0.01 * dkernel
        return dx


@broken("accumulation", (5,), cause="the gradient is assigned")
class AssignsTheGradient(WithMatrix):
    """The gradient is assigned instead of added."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.grad[...] = self.cache.T @ dy
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("accumulation", (5,), cause="backward writes into its cache")
class OverwritesItsCache(Layer):
    """Backward multiplies the cached derivative by dy in place, so a second backward multiplies twice."""

    def forward(self, x):
        tanh = np.tanh(x)
        self.cache = 1 - tanh**2
        return tanh

    def backward(self, dy):
        derivative = self.cache
        derivative *= dy
        return derivative.copy()


@broken("accumulation", (5,), cause="backward keeps values of the first dy")
class KeepsFirstGradient(Layer):
    """Backward keeps the dx of the first dy and returns it for every other dy."""

    kept = None

    def forward(self, x):
        self.cache = x
        return x**2

    def backward(self, dy):
        if self.kept is None:
            self.kept = 2 * dy * self.cache
        return self.kept.copy()


@broken("build", (5,), cause="it is in a set")
class WeightsInASet(Layer):
    """The weights are in a set, which has no order and is not searched for parameters."""

    def init_params(self, input_shape, rng):
        self.weights = {Parameter(rng.normal(0.0, 0.5, (input_shape[-1], 4)))}

    def forward(self, x):
        self.cache = x
        return sum(x @ weight.value.astype(x.dtype) for weight in self.weights)

    def backward(self, dy):
        x = self.cache
        for weight in self.weights:
            weight.add_grad(x.T @ dy)
        return sum(dy @ weight.value.T.astype(dy.dtype) for weight in self.weights)


@broken("gradients", (4,), cause="the right values with two axes swapped")
class TransposedGradient(WithMatrix):
    """The gradient of the kernel is transposed; the matrix is square, so shapes fit."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(dy.T @ self.cache)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("gradients", (5,), cause="the wrong elements are zero")
class BiasForgotten(WithMatrix):
    """The bias is added in forward but never gets a gradient."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy)
        return dy @ self.kernel.value.T


@broken("gradients", (5,), cause="a mean over the batch")
class MeanOverTheBatch(WithMatrix):
    """The gradients of the weights are divided by the batch size, which the loss already does."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy / len(dy))
        self.bias.add_grad(dy.mean(axis=0))
        return dy @ self.kernel.value.T


@broken("gradients", (5,), cause="a fixed batch size of 3")
class AssumesBatchOfThree(WithMatrix):
    """The bias gradient is 3 times the mean over the batch, right only for a batch of three."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(3 * dy.mean(axis=0))
        return dy @ self.kernel.value.T


@broken("modes", (5,), cause="an operation that only one of the modes does")
class HalvedInEval(WithMatrix):
    """Eval mode halves the output, for a dropout that does not exist."""

    def forward(self, x):
        self.cache = x
        y = x @ self.kernel.value + self.bias.value
        return y if self.training else y / 2

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("needs_dx", (5,), cause=r"`if not self\.needs_dx` skips more than the computation of dx")
class SkipsWeightGradients(WithMatrix):
    """Without needs_dx, as in the first layer of a net, backward skips the gradients of the weights too."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        if not self.needs_dx:
            return None
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("determinism", (5,), cause="default_rng")
class UnseededGenerator(WithMatrix):
    """The weights come from a generator without a seed."""

    def init_params(self, input_shape, rng):
        super().init_params(input_shape, np.random.default_rng())

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("shapes", (5,), cause="one sum too many")
class DxNeedsBroadcasting(Layer):
    """A sum over features whose dx has a single column and would need broadcasting to the shape of x."""

    def forward(self, x):
        self.cache = x.shape
        return x.sum(axis=1, keepdims=True)

    def backward(self, dy):
        return dy.copy()


@broken("shapes", (1, 1, 4), cause="a reshape or squeeze that does not keep the batch axis")
class Squeezes(Layer):
    """`squeeze` removes all axes of size 1, including the batch axis of a single example."""

    def forward(self, x):
        self.cache = x.shape
        return x.squeeze().copy()

    def backward(self, dy):
        return dy.reshape(self.cache).copy()


@broken("gradients", (3, 4, 2), cause="the right values in wrong places")
class FortranOrderInBackward(Layer):
    """Flatten whose forward uses C order and backward Fortran order."""

    def forward(self, x):
        self.cache = x.shape
        return x.reshape(len(x), -1).copy()

    def backward(self, dy):
        n, h, w, c = self.cache
        return dy.reshape(n, c, w, h).transpose(0, 3, 2, 1).copy()


@broken("gradients", (4, 4, 2), cause="the right values with two axes swapped")
class TransposesForwardOnly(Layer):
    """Forward transposes images, backward does not; for square images the shapes fit."""

    def forward(self, x):
        self.cache = None
        return x.transpose(0, 2, 1, 3).copy()

    def backward(self, dy):
        return dy.copy()


@broken("replicas", (5,), cause="a list")
class SharedCache(Layer):
    """The cache is a list in the class body, shared by all layers of the class and all replicas."""

    saved: list = [None]  # noqa: RUF012 - this is the bug

    def forward(self, x):
        self.saved[0] = np.tanh(x)
        return self.saved[0].copy()

    def backward(self, dy):
        return dy * (1 - self.saved[0] ** 2)


@broken("cache", (5,), cause="values of an earlier forward are kept in another attribute or in part")
class KeepsFirstDerivative(Layer):
    """The derivative of the first forward is kept for all later ones."""

    kept = None

    def forward(self, x):
        tanh = np.tanh(x)
        if self.kept is None and self.training:
            self.kept = 1 - tanh**2
        return tanh

    def backward(self, dy):
        return dy * self.kept[: len(dy)]


@broken("cache", (5,), cause="values of an earlier forward are kept in another attribute or in part")
class StaleAfterEval(Layer):
    """The derivative is stored outside the cache, and is stale after a forward in eval mode."""

    def forward(self, x):
        tanh = np.tanh(x)
        if self.training:
            self.derivative = 1 - tanh**2
        return tanh

    def backward(self, dy):
        return dy * self.derivative


@broken("cache", (5,), cause="values of an earlier forward are kept in another attribute or in part")
class FirstBatchSize(Layer):
    """A buffer is allocated for the first batch, and a batch of another size does not fit."""

    room = None

    def forward(self, x):
        if self.training:
            if self.room is None:
                self.room = np.empty_like(x)
            self.room[...] = x
        return x**2

    def backward(self, dy):
        return 2 * dy * self.room


@broken("linearity", (5,), cause="a term without dy is added")
class ClipsTheGradient(Layer):
    """Gradients are clipped to [-1, 1] inside the layer."""

    def forward(self, x):
        self.cache = None
        return 3 * x

    def backward(self, dy):
        return np.clip(3 * dy, -1, 1)


@broken("pickling", (5,), cause="a lambda or an open file in an attribute")
class HoldsALambda(Layer):
    """A lambda in an attribute: the layer cannot be sent to another process."""

    def __init__(self):
        self.function = lambda x: x**3

    def forward(self, x):
        self.cache = x
        return self.function(x)

    def backward(self, dy):
        return 3 * dy * self.cache**2


@broken("repr", (5,), cause="the weights do not exist before build")
class ReprOfTheUnbuilt(WithMatrix):
    """Its repr uses weights, which do not exist before build."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T

    def __repr__(self):
        return f"ReprOfTheUnbuilt(kernel={self.kernel.shape})"


@broken("float32", (5,), cause="a separate code path or a lower precision")
class WrongFloat32Path(Layer):
    """A code path for float32 only, with a wrong derivative."""

    def forward(self, x):
        self.cache = x
        return x**2

    def backward(self, dy):
        return dy * self.cache if dy.dtype == np.float32 else 2 * dy * self.cache


@broken("gradients", (6,), cause="the missing term is 1 dy")
class ForgetsTheShortcut(WithMatrix):
    """A residual block whose gradient lacks the shortcut."""

    units = 6

    def forward(self, x):
        self.cache = x
        return x + x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("gradients", (5,), cause="a missing term")
class MissingGatePath(WithMatrix):
    """A gate, x times a function of x, whose dx follows only one of the two factors."""

    units = 5

    def forward(self, x):
        gate = np.tanh(x @ self.kernel.value + self.bias.value)
        self.cache = x, gate
        return x * gate

    def backward(self, dy):
        x, gate = self.cache
        dgate = dy * x * (1 - gate**2)
        self.kernel.add_grad(x.T @ dgate)
        self.bias.add_grad(dgate.sum(axis=0))
        return dy * gate
