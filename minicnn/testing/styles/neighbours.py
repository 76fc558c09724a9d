"""Right layers that mix the examples of a batch, and windows that lie elsewhere in other columns."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parameter import Parameter
from minicnn.testing.styles.chance import WithStream
from minicnn.testing.styles.style import right


@right((6,), 0.1, remark="mixes the examples")
@right((4, 3, 2), 0.3, remark="mixes the examples")
class NeighbourBlend(Layer):
    """In training, each example gets a share of the next one."""

    batch_dependent = True

    def __init__(self, share):
        self.share = share

    def forward(self, x):
        if not self.training:
            return x.copy()
        return (1 - self.share) * x + self.share * np.roll(x, -1, axis=0)

    def backward(self, dy):
        return (1 - self.share) * dy + self.share * np.roll(dy, 1, axis=0)


@right((4, 3, 2))
class HiddenMixup(WithStream):
    """Mixup of hidden features with the reversed batch (Verma et al. 2019)."""

    batch_dependent = True

    def forward(self, x):
        if not self.training:
            return x.copy()
        share = float(self.rng.beta(0.4, 0.4))
        self.cache = share
        return share * x + (1 - share) * x[::-1]

    def backward(self, dy):
        return self.cache * dy + (1 - self.cache) * dy[::-1]


@right((4, 4, 5), remark="in eval mode, too")
class BatchShift(Layer):
    """A fifth of the channels comes from the example before, as in video (Lin et al. 2019)."""

    batch_dependent = True

    def forward(self, x):
        k = x.shape[-1] // 5
        y = x.copy()
        y[1:, ..., :k], y[0, ..., :k] = x[:-1, ..., :k], 0
        return y

    def backward(self, dy):
        k = dy.shape[-1] // 5
        dx = dy.copy()
        dx[:-1, ..., :k], dx[-1, ..., :k] = dy[1:, ..., :k], 0
        return dx


@right((7, 8, 2))
class HexagonalMean(Layer):
    """2x2 means on a hexagonal lattice: windows of every second column lie one row lower."""

    def __init__(self, pool_size=2, strides=2):
        self.pool_size, self.strides = pool_size, strides

    def _windows(self, array):
        rows = (array.shape[1] - 1) // 2 * 2
        for j in range(array.shape[2] // 2):
            yield j, array[:, j % 2 : j % 2 + rows, 2 * j : 2 * j + 2]

    def forward(self, x):
        self.cache = x.shape
        means = [w.reshape(len(x), -1, 2, 2, x.shape[-1]).mean(axis=(2, 3)) for _, w in self._windows(x)]
        return np.stack(means, axis=2)

    def backward(self, dy):
        dx = np.zeros(self.cache, dy.dtype)
        for j, window in self._windows(dx):
            window += dy[:, :, j].repeat(2, axis=1)[:, :, None] / 4
        return dx


@right((6, 7, 2))
class DiagonalMax(Layer):
    """Maxima of three pixels on a diagonal."""

    def __init__(self, size=3, stride=1):
        self.size, self.stride = size, stride

    def forward(self, x):
        (h, w), last = x.shape[1:3], self.size - 1
        taps = np.stack([x[:, i : h - last + i, i : w - last + i] for i in range(self.size)])
        self.cache = taps.argmax(axis=0), x.shape
        return taps.max(axis=0)

    def backward(self, dy):
        chosen, shape = self.cache
        dx = np.zeros(shape, dy.dtype)
        for i in range(self.size):
            dx[:, i : i + dy.shape[1], i : i + dy.shape[2]] += dy * (chosen == i)
        return dx


@right((4, 3, 2), 4)
@right((5,), 4)
class GhostBatches(Layer):
    """Batch normalization in ghost batches of a few examples, with averages of all (Hoffer et al. 2017)."""

    batch_dependent = True

    def __init__(self, size):
        self.size = size

    def init_params(self, input_shape, rng):
        c = input_shape[-1]
        self.gamma, self.beta = Parameter(np.ones(c)), Parameter(np.zeros(c))
        self.mean, self.var = (Parameter(start(c), trainable=False) for start in (np.zeros, np.ones))

    def _parts(self, array):
        return [array[i : i + self.size] for i in range(0, len(array), self.size)]

    def forward(self, x):
        axes, gamma, beta = tuple(range(x.ndim - 1)), self.gamma.value, self.beta.value
        if not self.training:
            return gamma * (x - self.mean.value) / np.sqrt(self.var.value + 1e-3) + beta
        means, variances = (
            np.array([f(part, axis=axes) for part in self._parts(x)]) for f in (np.mean, np.var)
        )
        scales = np.sqrt(variances + 1e-3)
        shares = np.array([[len(part) / len(x)] for part in self._parts(x)], x.dtype)
        for running, new in ((self.mean, means), (self.var, variances)):
            running.value += 0.1 * ((shares * new).sum(axis=0) - running.value)
        z = [(part - m) / s for part, m, s in zip(self._parts(x), means, scales, strict=True)]
        self.cache = z, scales
        return gamma * np.concatenate(z) + beta

    def backward(self, dy):
        axes, dx = tuple(range(dy.ndim - 1)), []
        for part, z, scale in zip(self._parts(dy), *self.cache, strict=True):
            self.gamma.add_grad((part * z).sum(axis=axes))
            self.beta.add_grad(part.sum(axis=axes))
            d = part * self.gamma.value
            dx.append((d - d.mean(axis=axes) - z * (d * z).mean(axis=axes)) / scale)
        return np.concatenate(dx)
