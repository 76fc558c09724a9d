"""Layers that remember too much or share too much: caches, weights, copies, updates."""

from __future__ import annotations

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parameter import Parameter
from minicnn.testing.zoo.specimen import WithMatrix, broken


@broken("accumulation", (5,))
class UpdatesItself(WithMatrix):
    """Backward takes a step of gradient descent, which is the optimizer's work."""

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


@broken("accumulation", (5,))
class AssignsTheGradient(WithMatrix):
    """The gradient replaces what was there, instead of being added."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.grad[...] = self.cache.T @ dy
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("accumulation", (5,))
class SpoilsItsCache(Layer):
    """Backward multiplies dy into the cached derivative, so that a second backward has it twice."""

    def forward(self, x):
        tanh = np.tanh(x)
        self.cache = 1 - tanh**2
        return tanh

    def backward(self, dy):
        derivative = self.cache
        derivative *= dy
        return derivative.copy()


@broken("accumulation", (5,))
class KeepsTheFirstGradient(Layer):
    """The first dy is kept, and answers to all others."""

    kept = None

    def forward(self, x):
        self.cache = x
        return x**2

    def backward(self, dy):
        if self.kept is None:
            self.kept = 2 * dy * self.cache
        return self.kept.copy()


@broken("build", (5,))
class WeightsInASet(Layer):
    """The weights are kept in a set, where nobody finds them, and which has no order."""

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


@broken("gradients", (4,))
class TransposedGradient(WithMatrix):
    """The matrix is square, so that nobody notices its gradient's transposition."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(dy.T @ self.cache)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("gradients", (5,))
class BiasForgotten(WithMatrix):
    """The bias is added in forward, and never gets a gradient."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy)
        return dy @ self.kernel.value.T


@broken("gradients", (5,))
class MeanOverTheBatch(WithMatrix):
    """All gradients of weights are divided by the batch size, which the loss has done already."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy / len(dy))
        self.bias.add_grad(dy.mean(axis=0))
        return dy @ self.kernel.value.T


@broken("gradients", (5,))
class ThreeExamples(WithMatrix):
    """Somebody debugged it with a batch of three, and the three stayed in the code."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(3 * dy.mean(axis=0))
        return dy @ self.kernel.value.T


@broken("modes", (5,))
class HalvedInEval(WithMatrix):
    """Eval mode halves the output, for a dropout that is not there."""

    def forward(self, x):
        self.cache = x
        y = x @ self.kernel.value + self.bias.value
        return y if self.training else y / 2

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("needs_dx", (5,))
class LeavesOutTooMuch(WithMatrix):
    """As the first layer of a net, which needs no dx, it leaves out its weights' gradients too."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        if not self.needs_dx:
            return None
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("determinism", (5,))
class SeedOfItsOwn(WithMatrix):
    """The weights come from a generator that nobody seeded."""

    def init_params(self, input_shape, rng):
        super().init_params(input_shape, np.random.default_rng())

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("shapes", (5,))
class LeftToBroadcasting(Layer):
    """A sum over features whose dx has one column, which only broadcasting would fit to x."""

    def forward(self, x):
        self.cache = x.shape
        return x.sum(axis=1, keepdims=True)

    def backward(self, dy):
        return dy.copy()


@broken("shapes", (1, 1, 4))
class Squeezes(Layer):
    """`squeeze` removes the axes of size 1, and with one example that of the examples too."""

    def forward(self, x):
        self.cache = x.shape
        return x.squeeze().copy()

    def backward(self, dy):
        return dy.reshape(self.cache).copy()


@broken("gradients", (3, 4, 2))
class AnotherOrder(Layer):
    """Flatten that goes out in C order and comes back in Fortran's."""

    def forward(self, x):
        self.cache = x.shape
        return x.reshape(len(x), -1).copy()

    def backward(self, dy):
        n, h, w, c = self.cache
        return dy.reshape(n, c, w, h).transpose(0, 3, 2, 1).copy()


@broken("gradients", (4, 4, 2))
class RowsForColumns(Layer):
    """Turns images around their diagonal, but not their gradients; on square images the shapes fit."""

    def forward(self, x):
        self.cache = None
        return x.transpose(0, 2, 1, 3).copy()

    def backward(self, dy):
        return dy.copy()


@broken("replicas", (5,))
class OneCacheForAll(Layer):
    """The cache is a list in the class's body: one for all layers of this class, and all replicas."""

    saved: list = [None]  # noqa: RUF012 - the bug

    def forward(self, x):
        self.saved[0] = np.tanh(x)
        return self.saved[0].copy()

    def backward(self, dy):
        return dy * (1 - self.saved[0] ** 2)


@broken("cache", (5,))
class KeepsTheFirst(Layer):
    """The derivative is computed at the first forward and kept for all others."""

    kept = None

    def forward(self, x):
        tanh = np.tanh(x)
        if self.kept is None and self.training:
            self.kept = 1 - tanh**2
        return tanh

    def backward(self, dy):
        return dy * self.kept[: len(dy)]


@broken("cache", (5,))
class StaleAfterEval(Layer):
    """An attribute of its own survives a forward in eval mode, and backward takes it for the latest."""

    def forward(self, x):
        tanh = np.tanh(x)
        if self.training:
            self.derivative = 1 - tanh**2
        return tanh

    def backward(self, dy):
        return dy * self.derivative


@broken("cache", (5,))
class FirstBatchSize(Layer):
    """Its memory is laid out for the first batch, and a batch of another size does not fit."""

    room = None

    def forward(self, x):
        if self.training:
            if self.room is None:
                self.room = np.empty_like(x)
            self.room[...] = x
        return x**2

    def backward(self, dy):
        return 2 * dy * self.room


@broken("linearity", (5,))
class ClipsTheGradient(Layer):
    """Gradients are clipped to [-1, 1] inside the layer, which is the optimizer's work."""

    def forward(self, x):
        self.cache = None
        return 3 * x

    def backward(self, dy):
        return np.clip(3 * dy, -1, 1)


@broken("pickling", (5,))
class HoldsALambda(Layer):
    """A function without a name in an attribute: the layer cannot be sent to another process."""

    def __init__(self):
        self.function = lambda x: x**3

    def forward(self, x):
        self.cache = x
        return self.function(x)

    def backward(self, dy):
        return 3 * dy * self.cache**2


@broken("repr", (5,))
class ReprOfTheUnbuilt(WithMatrix):
    """Its repr speaks of weights that it does not have before build."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T

    def __repr__(self):
        return f"ReprOfTheUnbuilt(kernel={self.kernel.shape})"


@broken("float32", (5,))
class AnotherPathInFloat32(Layer):
    """A shortcut for float32 that no check in float64 ever takes."""

    def forward(self, x):
        self.cache = x
        return x**2

    def backward(self, dy):
        return dy * self.cache if dy.dtype == np.float32 else 2 * dy * self.cache


@broken("gradients", (6,))
class ForgetsTheSkip(WithMatrix):
    """A residual block whose gradient goes through the branch, and not past it."""

    units = 6

    def forward(self, x):
        self.cache = x
        return x + x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("gradients", (5,))
class OnePathOfTwo(WithMatrix):
    """A gate, x times a function of x, whose gradient follows only one of the two factors."""

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
