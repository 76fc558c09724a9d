"""Right normalizations, with the statistics of batches, groups and weights."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parameter import Parameter
from minicnn.testing.styles.style import right


@right((6,))
@right((3, 3, 4))
class RMSNorm(Layer):
    """Division by the root mean square of the features (Zhang and Sennrich 2019)."""

    def init_params(self, input_shape, rng):
        self.g = Parameter(np.ones(input_shape[-1]))

    def forward(self, x):
        r = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-5)
        z = x * r
        self.cache = z, r
        return z * self.g.value

    def backward(self, dy):
        z, r = self.cache
        self.g.add_grad((dy * z).reshape(-1, z.shape[-1]).sum(axis=0))
        dz = dy * self.g.value
        return r * (dz - z * (dz * z).mean(axis=-1, keepdims=True))


@right((5,))
class WeightNorm(Layer):
    """A dense layer with the weights g v / |v| (Salimans and Kingma 2016)."""

    def init_params(self, input_shape, rng):
        self.v = Parameter(rng.normal(size=(input_shape[0], 3)))
        self.g = Parameter(np.ones(3))

    def forward(self, x):
        norm = np.linalg.norm(self.v.value, axis=0)
        unit = self.v.value / norm
        self.cache = x, unit, norm
        return x @ unit * self.g.value

    def backward(self, dy):
        x, unit, norm = self.cache
        dw = x.T @ dy
        along = (dw * unit).sum(axis=0)
        self.g.add_grad(along)
        self.v.add_grad(self.g.value * (dw - unit * along) / norm)
        return dy * self.g.value @ unit.T


@right((5,))
class UnitVectors(Layer):
    """Division by the length of the features, at least 1e-3."""

    def forward(self, x):
        n = np.maximum(np.sqrt((x * x).sum(axis=-1, keepdims=True)), 1e-3)
        self.cache = x, n
        return x / n

    def backward(self, dy):
        x, n = self.cache
        along = (dy * x).sum(axis=-1, keepdims=True) * (n > 1e-3)
        return dy / n - x * along / n**3


@right((5,))
@right((3, 4, 2))
class Centre(Layer):
    """Subtracts the mean of the features."""

    def forward(self, x):
        self.cache = None
        return x - x.mean(axis=-1, keepdims=True)

    def backward(self, dy):
        return dy - dy.mean(axis=-1, keepdims=True)


@right((4, 4, 2), remark="other examples")
class MinibatchStd(Layer):
    """A channel with the mean standard deviation of the batch, in eval mode too (Karras et al. 2018)."""

    batch_dependent = True

    def forward(self, x):
        d = x - x.mean(axis=0)
        s = np.sqrt((d * d).mean(axis=0) + 1e-8)
        self.cache = d, s
        return np.concatenate([x, np.broadcast_to(s.mean(), (*x.shape[:3], 1))], axis=-1)

    def backward(self, dy):
        d, s = self.cache
        return dy[..., :-1] + dy[..., -1].sum() / s.size * d / s / len(d)


@right((5,), remark="other examples")
class BatchCentre(Layer):
    """Subtracts the mean of the batch, in both modes."""

    batch_dependent = True

    def forward(self, x):
        self.cache = None
        return x - x.mean(axis=0)

    def backward(self, dy):
        return dy - dy.mean(axis=0)


class RunningMean(Layer):
    """Base class: subtracts the mean of the batch in training, a running one in eval mode."""

    batch_dependent = True

    def init_params(self, input_shape, rng):
        """Start at 0."""
        self.mean = Parameter(np.zeros(input_shape), trainable=False)
        self.steps = Parameter(np.zeros(()), trainable=False)

    def backward(self, dy):
        """Return dy, centred."""
        return dy - dy.mean(axis=0)


@right((5,), remark="one example")
class RefusesOne(RunningMean):
    """Refuses a batch of one in training mode, as PyTorch's BatchNorm1d does."""

    def forward(self, x):
        if self.training and len(x) == 1:
            raise ValueError("expected more than one example in training mode")
        self.cache = None
        mean = self.mean.value
        if self.training:
            mean = x.mean(axis=0)
            self.mean.value = 0.9 * self.mean.value + 0.1 * mean
        return x - mean


@right((5,))
class Debiased(RunningMean):
    """A running mean with the bias correction of Adam, exact after one batch."""

    def forward(self, x):
        self.cache = None
        if self.training:
            mean = x.mean(axis=0)
            self.mean.value = 0.9 * self.mean.value + 0.1 * mean
            self.steps.value = self.steps.value + 1
            return x - mean
        steps = float(self.steps.value)
        return x - (self.mean.value / (1 - 0.9**steps) if steps else self.mean.value)


@right((5,))
@right((2, 3))
class CumulativeMean(RunningMean):
    """The mean of all batches so far, as momentum=None in PyTorch."""

    def forward(self, x):
        self.cache = None
        if not self.training:
            return x - self.mean.value
        mean = x.mean(axis=0)
        self.steps.value = self.steps.value + 1
        self.mean.value = self.mean.value + (mean - self.mean.value) / self.steps.value
        return x - mean


@right((4, 4, 3))
@right((6,))
class BatchNormEinsum(Layer):
    """Batch normalization with scale and shift, and an unbiased running variance."""

    batch_dependent = True

    def init_params(self, input_shape, rng):
        c = input_shape[-1]
        self.gamma, self.beta = Parameter(np.ones(c)), Parameter(np.zeros(c))
        self.mean, self.var = (Parameter(v, trainable=False) for v in (np.zeros(c), np.ones(c)))

    def forward(self, x):
        rows = x.reshape(-1, x.shape[-1])
        mean, var = self.mean.value, self.var.value
        if self.training:
            mean, var, n = rows.mean(axis=0), rows.var(axis=0), len(rows)
            self.mean.value = 0.95 * self.mean.value + 0.05 * mean
            self.var.value = 0.95 * self.var.value + 0.05 * var * n / max(n - 1, 1)
        std = np.sqrt(var + 1e-3)
        z = (rows - mean) / std
        self.cache = z, std
        return (z * self.gamma.value + self.beta.value).reshape(x.shape)

    def backward(self, dy):
        z, std = self.cache
        d = dy.reshape(z.shape)
        self.beta.add_grad(d.sum(axis=0))
        self.gamma.add_grad(np.einsum("nc,nc->c", d, z))
        d = d * self.gamma.value
        return ((d - d.mean(axis=0) - z * np.einsum("nc,nc->c", d, z) / len(z)) / std).reshape(dy.shape)


@right((4, 3, 2), (1, 2), remark="instance normalization")
@right((2, 3, 3), (2, 3), remark="instance normalization")
@right((4, 4, 6), (1, 2, 3), remark="instance normalization")
@right((5, 2), (1,), remark="instance normalization")
@right((6,), (1,), remark="instance normalization")
class RunningInstanceNorm(Layer):
    """Statistics of each example in training mode, and their averages in eval mode (as in PyTorch)."""

    batch_dependent = True

    def __init__(self, axes):
        self.axes = axes

    def init_params(self, input_shape, rng):
        shape = [1 if axis in self.axes else size for axis, size in enumerate(input_shape, 1)]
        self.gamma, self.beta = Parameter(np.ones(shape)), Parameter(np.zeros(shape))
        self.mean, self.var = (Parameter(start(shape), trainable=False) for start in (np.zeros, np.ones))

    def forward(self, x):
        mean, var = self.mean.value, self.var.value
        if self.training:
            mean, var = x.mean(axis=self.axes, keepdims=True), x.var(axis=self.axes, keepdims=True)
            values = x[0].size / mean[0].size
            self.mean.value = 0.9 * self.mean.value + 0.1 * mean.mean(axis=0)
            self.var.value = 0.9 * self.var.value + 0.1 * var.mean(axis=0) * values / (values - 1)
        std = np.sqrt(var + 1e-5)
        z = (x - mean) / std
        self.cache = z, std
        return z * self.gamma.value + self.beta.value

    def backward(self, dy):
        z, std = self.cache
        for weight, d in ((self.gamma, dy * z), (self.beta, dy)):
            weight.add_grad(d.sum(axis=0).sum(axis=tuple(a - 1 for a in self.axes), keepdims=True))
        d = dy * self.gamma.value
        along = z * (d * z).mean(axis=self.axes, keepdims=True)
        return (d - d.mean(axis=self.axes, keepdims=True) - along) / std


@right((5,))
@right((4, 4, 3))
class RunningScale(Layer):
    """Division by the root of a running mean square in both modes, before it is updated."""

    batch_dependent = True

    def init_params(self, input_shape, rng):
        self.square = Parameter(np.ones(input_shape[-1]), trainable=False)

    def forward(self, x):
        scale = 1 / np.sqrt(self.square.value + 1e-5)
        if self.training:
            square = (x * x).reshape(-1, x.shape[-1]).mean(axis=0)
            self.square.value = 0.9 * self.square.value + 0.1 * square
        self.cache = scale
        return x * scale

    def backward(self, dy):
        return dy * self.cache


@right((5,))
class SpectralDense(Layer):
    """A dense layer divided by its spectral norm, by one power iteration a step (Miyato et al. 2018)."""

    batch_dependent = True  # forward changes `u`

    def init_params(self, input_shape, rng):
        self.kernel = Parameter(rng.normal(size=(input_shape[0], 3)))
        u = rng.normal(size=input_shape[0])
        self.u = Parameter(u / np.linalg.norm(u), trainable=False)

    def forward(self, x):
        kernel, u = self.kernel.value, self.u.value.copy()
        v = u @ kernel
        sigma = np.linalg.norm(v)
        v = v / sigma
        if self.training:
            new = kernel @ v
            self.u.value = new / np.linalg.norm(new)
        self.cache = x, u, v, sigma
        return x @ kernel / sigma

    def backward(self, dy):
        x, u, v, sigma = self.cache
        kernel = self.kernel.value
        dkernel = x.T @ dy / sigma
        self.kernel.add_grad(dkernel - np.outer(u, v) * (dkernel * kernel).sum() / sigma)
        return dy @ kernel.T / sigma


@right((3, 3, 5))
class ChannelRatio(Layer):
    """Local response normalization over three channels, in a simple form."""

    def _sums(self, values):
        padded = np.pad(values, ((0, 0), (0, 0), (0, 0), (1, 1)))
        return padded[..., :-2] + padded[..., 1:-1] + padded[..., 2:]

    def forward(self, x):
        scale = 2 + self._sums(x * x)
        self.cache = x, scale
        return x / scale

    def backward(self, dy):
        x, scale = self.cache
        return dy / scale - 2 * x * self._sums(dy * x / scale**2)


@right((3, 4))
class Squash(Layer):
    """The squash of a capsule, with a small number under the root (Sabour et al. 2017)."""

    def forward(self, x):
        n2 = (x * x).sum(axis=-1, keepdims=True) + 1e-7
        n = np.sqrt(n2)
        self.cache = x, n
        return x * n / (1 + n2)

    def backward(self, dy):
        x, n = self.cache
        along = (dy * x).sum(axis=-1, keepdims=True)
        return dy * n / (1 + n * n) + x * along * (1 - n * n) / (n * (1 + n * n) ** 2)


@right((4,))
class ScaleAndShift(Layer):
    """A learned scale and shift, whose weights are in a tuple."""

    def init_params(self, input_shape, rng):
        self.weights = Parameter(np.ones(input_shape)), Parameter(np.zeros(input_shape))

    def forward(self, x):
        self.cache = x
        scale, shift = self.weights
        return x * scale.value + shift.value

    def backward(self, dy):
        scale, shift = self.weights
        scale.add_grad((dy * self.cache).sum(axis=0))
        shift.add_grad(dy.sum(axis=0))
        return dy * scale.value
