"""Right random layers: dropouts, noise and augmentations."""

import math

import numpy as np

from minicnn.layers.base import Layer
from minicnn.layers.dense import Dense
from minicnn.parameter import Parameter
from minicnn.testing.styles.style import right


class WithStream(Layer):
    """Base class: a random stream of the layer's own, and a factor for dx."""

    def init_params(self, input_shape, rng):
        """Spawn a stream, which leaves the weights of other layers as they are."""
        self.rng = rng.spawn(1)[0]

    def backward(self, dy):
        """Return dy times the factor."""
        return dy * self.cache


@right((12,), 0.3)
@right((12,), 0.05)
@right((4, 3, 2), 0.7)
class InvertedDropout(WithStream):
    """Dropout with a mask of integers from choice."""

    def __init__(self, rate):
        self.rate = rate

    def forward(self, x):
        if not self.training:
            return x.copy()
        keep = self.rng.choice(2, x.shape, p=[self.rate, 1 - self.rate])
        self.cache = (keep / (1 - self.rate)).astype(x.dtype)
        return x * self.cache


@right((12,), 0.3)
@right((5, 4), 0.5)
class AlphaDropout(WithStream):
    """Keeps mean and variance of standard normal inputs (Klambauer et al. 2017)."""

    def __init__(self, rate):
        self.rate = rate

    def forward(self, x):
        if not self.training:
            return x.copy()
        p, low = self.rate, -1.7580993408473766
        a = ((1 - p) * (1 + p * low * low)) ** -0.5
        keep = self.rng.random(x.shape) >= p
        self.cache = (keep * a).astype(x.dtype)
        return (a * np.where(keep, x, low) - a * low * p).astype(x.dtype)


@right((8, 8, 1), remark="regions")
@right((6, 9, 2), remark="regions")
class Cutout(WithStream):
    """A random square is set to 0 in training (DeVries and Taylor 2017)."""

    def forward(self, x):
        if not self.training:
            return x.copy()
        self.cache = np.ones_like(x)
        for image in self.cache:
            i, j = self.rng.integers(0, np.array(image.shape[:2]) - 2)
            image[i : i + 3, j : j + 3] = 0
        return x * self.cache


@right((8,), 0.1)
@right((4, 4, 2), 1.0)
class AdditiveNoise(WithStream):
    """Adds normal noise in training."""

    def __init__(self, deviation):
        self.deviation = deviation

    def forward(self, x):
        noise = self.deviation * self.rng.standard_normal(x.shape) if self.training else np.zeros(x.shape)
        self.cache = np.ones((), x.dtype)
        return x + noise.astype(x.dtype)


@right((8,))
class Dequantize(WithStream):
    """Adds uniform noise in [0, 1), whose mean is not 0."""

    def forward(self, x):
        self.cache = np.ones((), x.dtype)
        return x + self.rng.random(x.shape).astype(x.dtype) if self.training else x.copy()


@right((10,))
class GaussianDropout(WithStream):
    """Multiplies by normal noise of mean 1."""

    def forward(self, x):
        if not self.training:
            return x.copy()
        self.cache = self.rng.normal(1, 0.7, x.shape).astype(x.dtype)
        return x * self.cache


@right((4, 5, 6))
class SpatialDropout(WithStream):
    """Drops whole channels."""

    def forward(self, x):
        if not self.training:
            return x.copy()
        keep = self.rng.random((len(x), 1, 1, x.shape[-1])) > 0.4
        self.cache = keep.astype(x.dtype) / np.asarray(0.6, x.dtype)
        return x * self.cache


@right((5,), remark="share one random mask")
class OneMask(WithStream):
    """Dropout with one mask for all examples of a batch."""

    def forward(self, x):
        if not self.training:
            return x.copy()
        self.cache = 2 * (self.rng.random(x.shape[1:]) < 0.5).astype(x.dtype)
        return x * self.cache


@right((3,), remark="share one random mask")
class SkipsTheBatch(WithStream):
    """Stochastic depth that drops the whole batch."""

    def forward(self, x):
        if not self.training:
            return x.copy()
        self.cache = np.asarray(2.0 * (self.rng.random() < 0.5), x.dtype)
        return x * self.cache


@right((5, 6, 2))
class RandomFlip(WithStream):
    """Flips each image, left to right, with probability 1/2."""

    def forward(self, x):
        flip = self.rng.random(len(x)) < 0.5 if self.training else np.zeros(len(x), bool)
        self.cache = flip = flip[:, None, None, None]
        return np.where(flip, x[:, :, ::-1], x)

    def backward(self, dy):
        return np.where(self.cache, dy[:, :, ::-1], dy)


@right((5, 6, 1))
class RandomShift(WithStream):
    """Shifts the batch by a random number of columns, around the border."""

    def forward(self, x):
        self.cache = k = int(self.rng.integers(-1, 2)) if self.training else 0
        return np.roll(x, k, axis=2)

    def backward(self, dy):
        return np.roll(dy, -self.cache, axis=2)


@right((4, 4, 3))
class Brightness(WithStream):
    """Multiplies each image by one random factor between 0.5 and 1."""

    def forward(self, x):
        if not self.training:
            return x.copy()
        self.cache = self.rng.uniform(0.5, 1, (len(x), 1, 1, 1)).astype(x.dtype)
        return x * self.cache


@right((6,))
class RandomSlopes(WithStream):
    """Leaky ReLU with slopes in [1/8, 1/3] in training, and their mean in eval mode (Xu et al. 2015)."""

    def forward(self, x):
        low, high = 1 / 8, 1 / 3
        slopes = self.rng.uniform(low, high, x.shape) if self.training else (low + high) / 2
        self.cache = factor = np.where(x > 0, 1, slopes).astype(x.dtype)
        return x * factor


@right((6,), 0.5)
@right((4, 3), 0.8)
class DropConnect(Layer):
    """Drops weights, and scales the others."""

    def __init__(self, keep):
        self.keep = keep

    def init_params(self, input_shape, rng):
        self.rng = rng.spawn(1)[0]
        self.w = Parameter(rng.normal(0, 0.5, (input_shape[-1], 4)))

    def forward(self, x):
        mask = np.ones(self.w.shape, x.dtype)
        if self.training:
            mask = (self.rng.random(self.w.shape) < self.keep).astype(x.dtype) / np.asarray(
                self.keep, x.dtype
            )
        self.cache = x, mask
        return x @ (self.w.value * mask)

    def backward(self, dy):
        x, mask = self.cache
        self.w.add_grad(x.reshape(-1, x.shape[-1]).T @ dy.reshape(-1, 4) * mask)
        return dy @ (self.w.value * mask).T


@right((6,))
@right((3, 6))
class StochasticDepth(Layer):
    """x + mask * tanh(dense(x)), the branch scaled by the probability to keep it in eval mode."""

    def init_params(self, input_shape, rng):
        self.rng = rng.spawn(1)[0]
        self.dense = Dense(input_shape[-1]).build(input_shape, rng)

    def forward(self, x):
        branch = np.tanh(self.dense(x))
        keep = 0.8
        if self.training:
            keep = (self.rng.random((len(x),) + (1,) * (x.ndim - 1)) < 0.8).astype(x.dtype)
        self.cache = branch.copy(), keep
        return x + keep * branch

    def backward(self, dy):
        branch, keep = self.cache
        return dy + self.dense.backward(dy * keep * (1 - branch**2))


@right((8,))
class DropoutThenDense(Layer):
    """A dropout with its scale before a dense layer with a bias, and a ReLU after it."""

    def init_params(self, input_shape, rng):
        self.stream = rng.spawn(1)[0]
        self.dense = Dense(5).build(input_shape, rng)

    def forward(self, x):
        mask = np.ones(x.shape, x.dtype)
        if self.training:
            mask = (self.stream.random(x.shape) < 0.75).astype(x.dtype) / np.asarray(0.75, x.dtype)
        z = self.dense(x * mask)
        self.cache = mask, z > 0
        return np.maximum(z, 0)

    def backward(self, dy):
        mask, positive = self.cache
        return self.dense.backward(dy * positive) * mask


@right((6,))
class HoldsAStream(Layer):
    """Holds a generator that it never uses."""

    def init_params(self, input_shape, rng):
        self.rng = rng

    def forward(self, x):
        self.cache = x
        return x * x

    def backward(self, dy):
        return 2 * dy * self.cache


@right((7,))
class RandomFeatures(Layer):
    """Cosines of random projections that are not trained (Rahimi and Recht 2007)."""

    def init_params(self, input_shape, rng):
        self.w = Parameter(rng.normal(size=(input_shape[0], 5)), trainable=False)
        self.phase = Parameter(rng.uniform(0, 2 * math.pi, 5), trainable=False)

    def forward(self, x):
        self.cache = z = x @ self.w.value + self.phase.value
        return np.cos(z)

    def backward(self, dy):
        return -(dy * np.sin(self.cache)) @ self.w.value.T


@right((6,), 3, remark="own seed")
class SeededProjection(Layer):
    """A dense layer that takes the seed of its weights as an argument."""

    def __init__(self, seed):
        self.seed = seed

    def init_params(self, input_shape, rng):
        self.w = Parameter(np.random.default_rng(self.seed).normal(size=(input_shape[0], 4)))

    def forward(self, x):
        self.cache = x
        return x @ self.w.value

    def backward(self, dy):
        self.w.add_grad(self.cache.T @ dy)
        return dy @ self.w.value.T
