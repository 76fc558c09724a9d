"""Broken normalisations and dropouts: wrong statistics, and ignored modes."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.ops.norm_batch import batch_norm, batch_norm_backward
from minicnn.parameter import Parameter
from minicnn.testing.zoo.specimen import broken

EPS = 1e-3


class WithStatistics(Layer):
    """Base class: a correct batch normalisation."""

    batch_dependent = True

    def init_params(self, input_shape, rng):
        """Create scale, shift and running statistics."""
        self.gamma = Parameter(np.ones(input_shape[-1]))
        self.beta = Parameter(np.zeros(input_shape[-1]))
        self.mean = Parameter(np.zeros(input_shape[-1]), trainable=False)
        self.var = Parameter(np.ones(input_shape[-1]), trainable=False)

    def normalize(self, x, mean, var):
        """Return the normalised values, scaled and shifted."""
        return (x - mean) / np.sqrt(var + EPS) * self.gamma.value + self.beta.value

    def update(self, mean, var):
        """Move the running averages."""
        self.mean.value += 0.1 * (mean - self.mean.value)
        self.var.value += 0.1 * (var - self.var.value)

    def forward(self, x):
        """Normalise by the batch, or by the running averages."""
        if not self.training:
            return self.normalize(x, self.mean.value, self.var.value)
        y, mean, var = batch_norm(x, self.gamma.value, self.beta.value, EPS)
        self.cache = x, mean, var
        self.update(mean, var)
        return y

    def backward(self, dy):
        """Return dx; add the gradients of scale and shift."""
        x, mean, var = self.cache
        dx, dgamma, dbeta = batch_norm_backward(dy, x, self.gamma.value, mean, var, EPS)
        self.gamma.add_grad(dgamma)
        self.beta.add_grad(dbeta)
        return dx


@broken("statistics", (4, 5, 2), cause="mean and variance over axis 0 only")
class StatisticsPerPixel(WithStatistics):
    """Batch normalisation of images with a separate mean and variance for each pixel."""

    def forward(self, x):
        if not self.training:
            return self.normalize(x, self.mean.value, self.var.value)
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.cache = (x - mean) / np.sqrt(var + EPS), var
        self.update(mean.mean(axis=(0, 1)), var.mean(axis=(0, 1)))
        return self.normalize(x, mean, var)

    def backward(self, dy):
        z, var = self.cache
        self.gamma.add_grad((dy * z).sum(axis=(0, 1, 2)))
        self.beta.add_grad(dy.sum(axis=(0, 1, 2)))
        inner = dy - dy.mean(axis=0) - z * (dy * z).mean(axis=0)
        return inner * self.gamma.value / np.sqrt(var + EPS)


@broken("gradients", (4, 5, 2), cause="a mean")
class StatisticsAsConstants(WithStatistics):
    """Batch normalisation whose gradient treats the batch mean and variance as constants."""

    def backward(self, dy):
        *_, var = self.cache
        super().backward(dy)
        return dy * self.gamma.value / np.sqrt(var.astype(dy.dtype) + EPS)


@broken("modes", (4, 5, 2), cause="update running averages in training mode only")
class AveragesInEval(WithStatistics):
    """Running averages are updated in eval mode too, so each prediction changes the next."""

    def forward(self, x):
        y, mean, var = batch_norm(x, self.gamma.value, self.beta.value, EPS)
        self.update(mean, var)
        if not self.training:
            return self.normalize(x, self.mean.value, self.var.value)
        self.cache = x, mean, var
        return y


@broken("examples", (4, 5, 2), cause="the statistics of the batch in eval mode")
class BatchStatisticsInEval(WithStatistics):
    """Eval mode uses the statistics of the batch, so a prediction depends on the other examples."""

    def forward(self, x):
        y, mean, var = batch_norm(x, self.gamma.value, self.beta.value, EPS)
        self.cache = x, mean, var
        if self.training:
            self.update(mean, var)
        return y


@broken("weights", (4, 5, 2), cause="state in a plain attribute")
class StatisticsNotSaved(WithStatistics):
    """Running averages are plain arrays, so they are not saved with the weights."""

    def init_params(self, input_shape, rng):
        super().init_params(input_shape, rng)
        self.averages = np.zeros(input_shape[-1]), np.ones(input_shape[-1])

    def forward(self, x):
        if not self.training:
            return self.normalize(x, *(average.astype(x.dtype) for average in self.averages))
        y, mean, var = batch_norm(x, self.gamma.value, self.beta.value, EPS)
        self.cache = x, mean, var
        self.averages = mean.copy(), var.copy()
        return y


@broken("modes", (4, 5, 2), cause="running statistics are not updated")
class StatisticsNeverMove(WithStatistics):
    """The running averages keep their initial values 0 and 1, and eval mode normalises by them."""

    def forward(self, x):
        if not self.training:
            return self.normalize(x, self.mean.value, self.var.value)
        y, mean, var = batch_norm(x, self.gamma.value, self.beta.value, EPS)
        self.cache = x, mean, var
        return y


@broken("modes", (6,), cause="running statistics are not updated")
class RootForgottenInEval(WithStatistics):
    """Eval mode divides by the variance, training mode by its square root."""

    def forward(self, x):
        if not self.training:
            z = (x - self.mean.value) / (self.var.value + EPS)
            return z * self.gamma.value + self.beta.value
        y, mean, var = batch_norm(x, self.gamma.value, self.beta.value, EPS)
        self.cache = x, mean, var
        self.update(mean, var)
        return y


@broken("gradients", (6,), cause="factor")
class ScaleForgottenInDx(Layer):
    """Layer normalisation whose dx is not multiplied by the learned scale."""

    def init_params(self, input_shape, rng):
        self.gamma = Parameter(np.ones(input_shape[-1]))

    def forward(self, x):
        var = x.var(axis=-1, keepdims=True) + EPS
        z = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(var)
        self.cache = z, var
        return z * self.gamma.value

    def backward(self, dy):
        z, var = self.cache
        self.gamma.add_grad((dy * z).sum(axis=tuple(range(dy.ndim - 1))))
        mean, along = dy.mean(axis=-1, keepdims=True), (dy * z).mean(axis=-1, keepdims=True)
        return (dy - mean - z * along) / np.sqrt(var)


@broken("examples", (6,), cause="a mean")
class LayerNormOverTheBatch(Layer):
    """Layer normalisation over the batch axis."""

    def forward(self, x):
        std = np.sqrt(x.var(axis=0) + EPS)
        z = (x - x.mean(axis=0)) / std
        self.cache = z, std
        return z.copy()

    def backward(self, dy):
        z, std = self.cache
        return (dy - dy.mean(axis=0) - z * (dy * z).mean(axis=0)) / std


@broken("examples", (4, 4, 1), cause="a mean")
class FlipsTheBatch(Layer):
    """Meant to flip images upside down, but flips the batch: the first output is that of the last image."""

    def forward(self, x):
        self.cache = None
        return x[::-1].copy()

    def backward(self, dy):
        return dy[::-1].copy()


class WithStream(Layer):
    """Base class: the random stream of a dropout."""

    def init_params(self, input_shape, rng):
        """Spawn a random stream for this layer."""
        self.rng = rng.spawn(1)[0]


@broken("modes", (20,), cause=r"something is dropped or drawn without asking `self\.training`")
class DropsInEval(WithStream):
    """Dropout that also drops in eval mode."""

    def forward(self, x):
        self.cache = keep = (self.rng.random(x.shape) >= 0.5).astype(x.dtype) * 2
        return x * keep

    def backward(self, dy):
        return dy * self.cache


@broken("accumulation", (20,), cause="backward writes into its cache")
class RedrawsTheMask(WithStream):
    """Backward draws a new mask instead of using that of forward."""

    def forward(self, x):
        self.cache = None
        if not self.training:
            return x.copy()
        return x * (self.rng.random(x.shape) >= 0.5).astype(x.dtype) * 2

    def backward(self, dy):
        return dy * (self.rng.random(dy.shape) >= 0.5).astype(dy.dtype) * 2


@broken("gradients", (20,), cause="a constant factor")
class MaskWithoutScale(WithStream):
    """Dropout that scales in forward, but not in backward."""

    def forward(self, x):
        if not self.training:
            return x.copy()
        self.cache = self.rng.random(x.shape) >= 0.25
        return x * self.cache / 0.75

    def backward(self, dy):
        return dy * self.cache


@broken("determinism", (20,), cause=r"np\.random\.normal and the like")
class GlobalStream(Layer):
    """The mask comes from NumPy's global random stream, which the seed of the model does not control."""

    def forward(self, x):
        if not self.training:
            return x.copy()
        self.cache = (np.random.rand(*x.shape) >= 0.5).astype(x.dtype) * 2  # noqa: NPY002
        return x * self.cache

    def backward(self, dy):
        return dy * self.cache


@broken("examples", (4, 5, 2), cause="running averages")
class StatisticsInShards(WithStatistics):
    """Batch normalisation without `batch_dependent = True`: each shard would update the averages."""

    batch_dependent = False


@broken("examples", (4, 4, 3), cause="an overflow")
class VarianceInOnePass(Layer):
    """Layer normalisation by mean(x**2) - mean(x)**2, which cancels in float32 for large x."""

    def forward(self, x):
        mean = x.mean(axis=-1, keepdims=True)
        std = np.sqrt((x * x).mean(axis=-1, keepdims=True) - mean * mean + EPS)
        z = (x - mean) / std
        self.cache = z, std
        return z.copy()

    def backward(self, dy):
        z, std = self.cache
        inner = dy - dy.mean(axis=-1, keepdims=True) - z * (dy * z).mean(axis=-1, keepdims=True)
        return inner / std


@broken("dtypes", (4, 4, 3), cause="astype")
class MeanInFloat32(Layer):
    """Subtracts the mean, which is computed in float32 for every input."""

    def forward(self, x):
        self.cache = x.shape
        return x - x.mean(axis=-1, keepdims=True, dtype=np.float32).astype(x.dtype)

    def backward(self, dy):
        return dy - dy.mean(axis=-1, keepdims=True)


@broken("modes", (8, 7, 3), cause="in training mode")
class LightDropoutUnscaled(WithStream):
    """Dropout with a rate of 0.1, without the factor 1 / 0.9."""

    def forward(self, x):
        if not self.training:
            return x.copy()
        self.cache = self.rng.random(x.shape) >= 0.1
        return x * self.cache

    def backward(self, dy):
        return dy * self.cache


@broken("modes", (8, 7, 3), cause="the mask is drawn once and kept")
class MaskDrawnOnce(WithStream):
    """Dropout that draws its mask once and reuses it."""

    def __init__(self):
        self.mask = None

    def forward(self, x):
        if not self.training:
            return x.copy()
        if self.mask is None or self.mask.shape != x.shape:
            self.mask = self.rng.random(x.shape) >= 0.5
        self.cache = 2 * self.mask.astype(x.dtype)
        return x * self.cache

    def backward(self, dy):
        return dy * self.cache


@broken("cache", (8, 7, 3), cause="values of an earlier forward are kept in another attribute or in part")
class MaskOutsideTheCache(WithStream):
    """Dropout that keeps its mask outside the cache, so backward runs after a forward in eval mode."""

    def forward(self, x):
        if not self.training:
            return x.copy()
        self.mask = 2 * (self.rng.random(x.shape) >= 0.5).astype(x.dtype)
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask
