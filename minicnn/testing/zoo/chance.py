"""Broken random layers: masks without their scale, noise that backward forgets, generators of their own."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.layers.dense import Dense
from minicnn.layers.dropout import Dropout
from minicnn.parameter import Parameter
from minicnn.testing.zoo.normalizations import WithStream
from minicnn.testing.zoo.specimen import WithMatrix, broken


@broken("modes", (12,), cause="scale what is kept")
class DenseDropoutUnscaled(Layer):
    """A dense layer and a dropout in one, without the factor 1 / (1 - rate)."""

    def init_params(self, input_shape, rng):
        self.rng = rng.spawn(1)[0]
        self.dense = Dense(8).build(input_shape, rng)

    def forward(self, x):
        y = self.dense(x)
        if self.training:
            self.cache = self.rng.random(y.shape) < 0.6
            y = y * self.cache
        return y

    def backward(self, dy):
        return self.dense.backward(dy * self.cache)


@broken("modes", (6, 4), cause="scale what is kept")
class DepthUnscaled(WithMatrix):
    """Stochastic depth: a branch with weights is dropped in training, and never scaled in eval mode."""

    def init_params(self, input_shape, rng):
        super().init_params(input_shape, rng)
        self.rng = rng.spawn(1)[0]

    def forward(self, x):
        branch = np.tanh(x @ self.kernel.value + self.bias.value)
        keep = (self.rng.random((len(x), 1, 1)) < 0.7).astype(x.dtype) if self.training else 1
        self.cache = x, branch, keep
        return x + keep * branch

    def backward(self, dy):
        x, branch, keep = self.cache
        d = dy * keep * (1 - branch**2)
        self.kernel.add_grad(np.einsum("nti,ntj->ij", x, d))
        self.bias.add_grad(d.sum(axis=(0, 1)))
        return dy + d @ self.kernel.value.T


@broken("modes", (10,), cause="scale what is kept")
class DropoutBeforeTheMatrix(WithMatrix):
    """The inputs of a dense layer are dropped in training, without a scale in either mode."""

    def init_params(self, input_shape, rng):
        super().init_params(input_shape, rng)
        self.rng = rng.spawn(1)[0]

    def forward(self, x):
        mask = self.rng.random(x.shape) >= 0.3 if self.training else np.ones(x.shape, bool)
        x = x * mask
        self.cache = x, mask
        return x @ self.kernel.value

    def backward(self, dy):
        x, mask = self.cache
        self.kernel.add_grad(x.T @ dy)
        return dy @ self.kernel.value.T * mask


@broken("gradients", (6,), cause="mask")
class MaskMissingInDkernel(WithMatrix):
    """DropConnect whose kernel gradient ignores which connections were dropped."""

    def init_params(self, input_shape, rng):
        super().init_params(input_shape, rng)
        self.rng = rng.spawn(1)[0]

    def forward(self, x):
        shape = self.kernel.shape
        mask = (
            (self.rng.random(shape) < 0.5).astype(x.dtype) * 2 if self.training else np.ones(shape, x.dtype)
        )
        self.cache = x, mask
        return x @ (self.kernel.value * mask) + self.bias.value

    def backward(self, dy):
        x, mask = self.cache
        self.kernel.add_grad(x.T @ dy)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ (self.kernel.value * mask).T


@broken("gradients", (9,), cause="derivative|factor|missing term")
class NoiseForgotten(WithStream):
    """Multiplies by noise of mean 1 in training; backward returns dy as it is."""

    def forward(self, x):
        self.cache = None
        return (
            x * (1 + 0.5 * self.rng.standard_normal(x.shape)).astype(x.dtype) if self.training else x.copy()
        )

    def backward(self, dy):
        return dy.copy()


@broken("modes", (20,), cause="scale what is kept")
class RateAndKeepSwapped(WithStream):
    """Dropout that keeps with probability `rate`, and scales by 1 / (1 - rate)."""

    def forward(self, x):
        if not self.training:
            return x.copy()
        self.cache = (self.rng.random(x.shape) < 0.2) / np.asarray(0.8, x.dtype)
        return x * self.cache

    def backward(self, dy):
        return dy * self.cache


@broken("modes", (20,), cause="scale what is kept")
class ScaledTwice(WithStream):
    """Dropout that divides by 1 - rate in training, and multiplies by it in eval mode as well."""

    def forward(self, x):
        if not self.training:
            return 0.7 * x
        self.cache = (self.rng.random(x.shape) < 0.7) / np.asarray(0.7, x.dtype)
        return x * self.cache

    def backward(self, dy):
        return dy * self.cache


@broken("modes", (4, 4, 3), cause="scale what is kept")
class SpatialUnscaled(WithStream):
    """Dropout of whole channels without the factor 1 / (1 - rate)."""

    def forward(self, x):
        if not self.training:
            return x.copy()
        self.cache = self.rng.random((len(x), 1, 1, x.shape[-1])) < 0.6
        return x * self.cache

    def backward(self, dy):
        return dy * self.cache


@broken("modes", (20,), cause="same seed")
class SameMaskEachTime(Layer):
    """Dropout with a new generator, of the same seed, in each forward: it always drops the same features."""

    def forward(self, x):
        if not self.training:
            return x.copy()
        self.cache = 2 * (np.random.default_rng(0).random(x.shape) < 0.5).astype(x.dtype)
        return x * self.cache

    def backward(self, dy):
        return dy * self.cache


@broken("initialization", (6,), cause="rng")
class SeedOfItsOwn(WithMatrix):
    """The kernel comes from default_rng(42), so all layers of a net start alike."""

    def init_params(self, input_shape, rng):
        super().init_params(input_shape, np.random.default_rng(42))

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


def _xavier(rows, columns):
    return np.random.RandomState(1).uniform(-1, 1, (rows, columns)) * (6 / (rows + columns)) ** 0.5


@broken("initialization", (6,), cause="rng")
class HelperWithASeed(Layer):
    """The weights come from a helper function that makes a RandomState(1) each time."""

    def init_params(self, input_shape, rng):
        self.w = Parameter(_xavier(input_shape[0], 4))

    def forward(self, x):
        self.cache = x
        return x @ self.w.value

    def backward(self, dy):
        self.w.add_grad(self.cache.T @ dy)
        return dy @ self.w.value.T


class _Plain:
    """An object that is not a Layer."""

    def __init__(self, held):
        self.held = held


@broken("build", (8,), cause="not a Layer")
class DropoutInAPlainObject(Layer):
    """A dropout in a plain object: train() never reaches it, so it never drops."""

    def __init__(self):
        self.box = _Plain(Dropout(0.5))

    def init_params(self, input_shape, rng):
        self.box.held.build(input_shape, rng)

    def forward(self, x):
        self.cache = None
        return self.box.held(x)

    def backward(self, dy):
        return dy.copy()


@broken("build", (8,), cause="not a Layer")
class StreamInAPlainObject(Layer):
    """The random stream is in a plain object, so all replicas draw the same masks."""

    def init_params(self, input_shape, rng):
        self.box = _Plain(rng.spawn(1)[0])

    def forward(self, x):
        if not self.training:
            return x.copy()
        self.cache = 2 * (self.box.held.random(x.shape) < 0.5).astype(x.dtype)
        return x * self.cache

    def backward(self, dy):
        return dy * self.cache


@broken("modes", (6,), cause="scale|mean|rate")
class EvalTakesTheLowerBound(WithStream):
    """Multiplies by a random factor in [0.5, 1.5] in training, and by 0.5 in eval mode."""

    def forward(self, x):
        if not self.training:
            return 0.5 * x
        self.cache = self.rng.uniform(0.5, 1.5, x.shape).astype(x.dtype)
        return x * self.cache

    def backward(self, dy):
        return dy * self.cache
