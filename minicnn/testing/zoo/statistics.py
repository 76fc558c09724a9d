"""Broken normalizations by groups, norms and learned scales."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parameter import Parameter
from minicnn.testing.zoo.normalizations import EPS, WithStatistics
from minicnn.testing.zoo.specimen import broken


@broken("gradients", (3, 4, 4), cause="constant|missing term|mean")
class GroupsForgottenInBackward(Layer):
    """Group normalization whose backward takes the means over all channels."""

    def forward(self, x):
        n, h, w, c = x.shape
        g = x.reshape(n, h, w, 2, c // 2)
        std = np.sqrt(g.var(axis=(1, 2, 4), keepdims=True) + EPS)
        z = ((g - g.mean(axis=(1, 2, 4), keepdims=True)) / std).reshape(x.shape)
        self.cache = z, std
        return z.copy()

    def backward(self, dy):
        z, std = self.cache
        inner = dy - dy.mean(axis=(1, 2, 3), keepdims=True) - z * (dy * z).mean(axis=(1, 2, 3), keepdims=True)
        n, h, w, c = dy.shape
        return (inner.reshape(n, h, w, 2, c // 2) / std).reshape(dy.shape)


@broken("gradients", (6,), cause="constant|missing term|mean")
class RmsAsConstant(Layer):
    """Division by the root mean square, which backward takes for a constant."""

    def init_params(self, input_shape, rng):
        self.g = Parameter(np.ones(input_shape[-1]))

    def forward(self, x):
        r = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPS)
        self.cache = x, r
        return x * r * self.g.value

    def backward(self, dy):
        x, r = self.cache
        self.g.add_grad((dy * x * r).reshape(-1, x.shape[-1]).sum(axis=0))
        return dy * self.g.value * r


@broken("gradients", (5,), cause="missing term|constant")
class WeightNormWithoutProjection(Layer):
    """Weight normalization g v / |v|; the gradient of v lacks the part along v that is taken away."""

    def init_params(self, input_shape, rng):
        self.v = Parameter(rng.normal(size=(input_shape[0], 3)))
        self.g = Parameter(np.ones(3))

    def forward(self, x):
        self.cache = x
        return x @ (self.g.value * self.v.value / np.linalg.norm(self.v.value, axis=0))

    def backward(self, dy):
        x, v, g = self.cache, self.v.value, self.g.value
        norm = np.linalg.norm(v, axis=0)
        dw = x.T @ dy
        self.g.add_grad((dw * v / norm).sum(axis=0))
        self.v.add_grad(dw * g / norm)
        return dy @ (g * v / norm).T


@broken("gradients", (4, 4, 2), cause="missing term|factor|mean")
class UnbiasedInBackward(Layer):
    """Instance normalization by the biased variance, differentiated as if it were the unbiased one."""

    def forward(self, x):
        std = np.sqrt(x.var(axis=(1, 2), keepdims=True) + EPS)
        z = (x - x.mean(axis=(1, 2), keepdims=True)) / std
        self.cache = z, std
        return z.copy()

    def backward(self, dy):
        z, std = self.cache
        n = z.shape[1] * z.shape[2]
        mean = dy.mean(axis=(1, 2), keepdims=True)
        return (dy - mean - z * (dy * z).sum(axis=(1, 2), keepdims=True) / (n - 1)) / std


@broken("gradients", (6,), cause="factor|missing term|mean")
class EpsilonOutsideTheRoot(Layer):
    """Layer normalization with eps inside the root in forward, and outside it in backward."""

    def forward(self, x):
        var = x.var(axis=-1, keepdims=True)
        z = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(var + 0.01)
        self.cache = z, var
        return z.copy()

    def backward(self, dy):
        z, var = self.cache
        inner = dy - dy.mean(axis=-1, keepdims=True) - z * (dy * z).mean(axis=-1, keepdims=True)
        return inner / (np.sqrt(var) + 0.01)


@broken("modes", (4, 5, 2), cause="running statistics")
class SavesTheDeviation(WithStatistics):
    """The running variance is an average of standard deviations, and eval mode takes the root again."""

    def update(self, mean, var):
        super().update(mean, np.sqrt(var))


@broken("gradients", (6,), cause="missing term|constant|mean")
class WithoutTheSecondMean(WithStatistics):
    """Batch normalization whose dx lacks the term with the mean of dy times the output."""

    def backward(self, dy):
        *_, var = self.cache
        super().backward(dy)
        scale = self.gamma.value / np.sqrt(var.astype(dy.dtype) + EPS)
        return (dy - dy.mean(axis=0)) * scale


@broken("gradients", (3, 3, 5), cause="only the diagonal")
class OwnChannelOnly(Layer):
    """Local response normalization whose gradient ignores that neighbours are divided by a channel, too."""

    def _sums(self, squares):
        padded = np.pad(squares, ((0, 0), (0, 0), (0, 0), (1, 1)))
        return padded[..., :-2] + padded[..., 1:-1] + padded[..., 2:]

    def forward(self, x):
        scale = 2 + self._sums(x * x)
        self.cache = x, scale
        return x / scale

    def backward(self, dy):
        x, scale = self.cache
        return dy / scale - 2 * x * x * dy / scale**2


@broken("gradients", (5,), cause="missing term|constant|mean")
class CentredForwardOnly(Layer):
    """Subtracts the mean of the features; backward returns dy as it is."""

    def forward(self, x):
        self.cache = None
        return x - x.mean(axis=-1, keepdims=True)

    def backward(self, dy):
        return dy.copy()


@broken("modes", (5,), cause="running statistics|one of the modes")
class CentredInTrainingOnly(Layer):
    """Subtracts the mean of the features in training mode only."""

    def forward(self, x):
        self.cache = None
        return x - x.mean(axis=-1, keepdims=True) if self.training else x.copy()

    def backward(self, dy):
        return dy - dy.mean(axis=-1, keepdims=True)


@broken("gradients", (4, 3), cause="last step")
class ScaleOfTheLastStep(Layer):
    """A learned scale for each feature of a sequence; its gradient counts the last step only."""

    def init_params(self, input_shape, rng):
        self.scale = Parameter(np.ones(input_shape[-1]))

    def forward(self, x):
        self.cache = x
        return x * self.scale.value

    def backward(self, dy):
        self.scale.add_grad((dy * self.cache)[:, -1].sum(axis=0))
        return dy * self.scale.value


@broken("statistics", (4, 4, 3), cause="statistics of each image")
class ImageStatistics(Layer):
    """A batch normalization whose mean and variance in training mode only are those of each image."""

    batch_dependent = True

    def init_params(self, input_shape, rng):
        c = input_shape[-1]
        self.gamma, self.beta = Parameter(np.ones(c)), Parameter(np.zeros(c))
        self.mean, self.var = (Parameter(start(c), trainable=False) for start in (np.zeros, np.ones))

    def forward(self, x):
        mean, var = self.mean.value, self.var.value
        if self.training:
            mean, var = x.mean(axis=(1, 2), keepdims=True), x.var(axis=(1, 2), keepdims=True)
            self.mean.value += 0.1 * (x.mean(axis=(0, 1, 2)) - self.mean.value)
            self.var.value += 0.1 * (x.var(axis=(0, 1, 2)) - self.var.value)
        std = np.sqrt(var + 1e-3)
        z = (x - mean) / std
        self.cache = z, std
        return self.gamma.value * z + self.beta.value

    def backward(self, dy):
        z, std = self.cache
        self.gamma.add_grad((dy * z).sum(axis=(0, 1, 2)))
        self.beta.add_grad(dy.sum(axis=(0, 1, 2)))
        d = dy * self.gamma.value
        if self.training:
            d = d - d.mean(axis=(1, 2), keepdims=True) - z * (d * z).mean(axis=(1, 2), keepdims=True)
        return d / std


class OwnStatistics(Layer):
    """Base class: each example is normalized by its own mean and variance, in eval mode by running ones."""

    batch_dependent = True
    axes: tuple[int, ...] = (1, 2)

    def init_params(self, input_shape, rng):
        """Start with mean 0 and variance 1, of each channel or of all together."""
        count = 1 if -1 in self.axes else input_shape[-1]
        self.mean, self.var = (Parameter(start(count), trainable=False) for start in (np.zeros, np.ones))

    def averages(self, x, mean, var):
        """Return what the running mean and variance move to."""
        raise NotImplementedError

    def forward(self, x):
        """Return normalized examples."""
        mean, var = self.mean.value, self.var.value
        if self.training:
            mean, var = x.mean(axis=self.axes, keepdims=True), x.var(axis=self.axes, keepdims=True)
            for running, new in zip((self.mean, self.var), self.averages(x, mean, var), strict=True):
                running.value += 0.1 * (new - running.value)
        std = np.sqrt(var + 1e-3)
        z = (x - mean) / std
        self.cache = z, std
        return z.copy()

    def backward(self, dy):
        """Return dx of training mode, which is right."""
        z, std = self.cache
        mean, along = (a.mean(axis=self.axes, keepdims=True) for a in (dy, dy * z))
        return (dy - mean - z * along) / std


@broken("modes", (6,), cause="statistics of each example")
class FeatureStatistics(OwnStatistics):
    """A layer normalization whose running variance is that of all values of the batch."""

    axes = (-1,)

    def averages(self, x, mean, var):
        return x.mean(), x.var()


@broken("modes", (4, 3, 2), cause="running statistics")
class InstanceDeviation(OwnStatistics):
    """An instance normalization whose running variance is an average of standard deviations."""

    def averages(self, x, mean, var):
        return mean.mean(axis=(0, 1, 2)), np.sqrt(var).mean(axis=(0, 1, 2))


class RunningScale(Layer):
    """Base class: division by the root of a running mean square, which forward updates afterwards."""

    batch_dependent = True

    def init_params(self, input_shape, rng):
        """Start at 1."""
        self.square = Parameter(np.ones(input_shape[-1]), trainable=False)

    def forward(self, x):
        """Return x divided by the root of the average so far."""
        self.cache = scale = 1 / np.sqrt(self.square.value + EPS)
        if self.training:
            self.square.value = 0.9 * self.square.value + 0.1 * (x * x).mean(axis=0)
        return x * scale


@broken("replicas", (5,), cause="backward reads a running average")
class ScaleAfterTheUpdate(RunningScale):
    """Backward divides by the running mean square after its update, forward by the one before."""

    def backward(self, dy):
        return dy / np.sqrt(self.square.value + EPS)


@broken("cache", (5,), cause="values of an earlier forward")
class ScaledByTheFirstBatch(RunningScale):
    """Squares its input, divided by a running scale; backward keeps the values of the first batch."""

    kept = None

    def forward(self, x):
        if self.kept is None or self.kept.shape != x.shape:
            self.kept = x.copy()
        return super().forward(x) * x

    def backward(self, dy):
        return 2 * dy * self.cache * self.kept
