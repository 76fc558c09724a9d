"""Right layers for images (N, C, H, W)."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parameter import Parameter
from minicnn.testing.styles.style import right


@right((2, 6, 8))
@right((3, 4, 4), 2)
class MaxPoolNCHW(Layer):
    """Max pooling without overlap, channels first."""

    def __init__(self, pool_size=2, strides=2, padding="valid"):
        self.pool_size, self.strides, self.padding = pool_size, strides, padding

    def forward(self, x):
        n, c, h, w = x.shape
        blocks = x.reshape(n, c, h // 2, 2, w // 2, 2).swapaxes(3, 4).reshape(n, c, h // 2, w // 2, 4)
        self.cache = blocks.argmax(-1), x.shape
        return blocks.max(-1)

    def backward(self, dy):
        winners, (n, c, h, w) = self.cache
        blocks = (np.arange(4) == winners[..., None]) * dy[..., None]
        return blocks.reshape(n, c, h // 2, w // 2, 2, 2).swapaxes(3, 4).reshape(n, c, h, w)


@right((2, 5, 6), 3)
@right((2, 5, 6), 3, 1, 1)
@right((3, 7, 7), 2, 3, 2)
class ConvNCHW(Layer):
    """A convolution as in PyTorch: kernel (out, in, h, w), integer padding, sliding windows, einsum."""

    def __init__(self, filters, padding=0, strides=1):
        self.filters, self.kernel_size, self.padding, self.strides = filters, 3, padding, strides

    def init_params(self, input_shape, rng):
        self.weight = Parameter(rng.uniform(-0.3, 0.3, (self.filters, input_shape[0], 3, 3)))
        self.bias = Parameter(np.zeros(self.filters))

    def forward(self, x):
        p, s = self.padding, self.strides
        padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::s, ::s]
        self.cache = windows, padded.shape
        return np.einsum("nchwij,fcij->nfhw", windows, self.weight.value) + self.bias.value[:, None, None]

    def backward(self, dy):
        windows, shape = self.cache
        self.weight.add_grad(np.einsum("nchwij,nfhw->fcij", windows, dy))
        self.bias.add_grad(dy.sum(axis=(0, 2, 3)))
        dx, (p, s) = np.zeros(shape, dy.dtype), (self.padding, self.strides)
        h, w = dy.shape[2:]
        for i in range(3):
            for j in range(3):
                part = np.einsum("nfhw,fc->nchw", dy, self.weight.value[:, :, i, j])
                dx[:, :, i : i + s * h : s, j : j + s * w : s] += part
        return dx[:, :, p : shape[2] - p, p : shape[3] - p].copy()


@right((3, 4, 5))
@right((2, 1, 3))
class BatchNormNCHW(Layer):
    """Batch normalization, channels first, without scale and shift."""

    batch_dependent = True

    def init_params(self, input_shape, rng):
        self.running_mean = Parameter(np.zeros((input_shape[0], 1, 1)), trainable=False)
        self.running_var = Parameter(np.ones((input_shape[0], 1, 1)), trainable=False)

    def forward(self, x):
        mean, var = self.running_mean.value, self.running_var.value
        if self.training:
            mean, var = (f(x, axis=(0, 2, 3), keepdims=True)[0] for f in (np.mean, np.var))
            self.running_mean.value = 0.9 * self.running_mean.value + 0.1 * mean
            self.running_var.value = 0.9 * self.running_var.value + 0.1 * var
        scale = 1 / np.sqrt(var + 1e-5)
        z = (x - mean) * scale
        self.cache = z.copy(), scale
        return z

    def backward(self, dy):
        z, scale = self.cache
        mean, along = (a.mean(axis=(0, 2, 3), keepdims=True) for a in (dy, dy * z))
        return scale * (dy - mean - z * along)


@right((2, 4, 6))
class AvgPoolNCHW(Layer):
    """Average pooling by a mean over two axes of blocks, channels first."""

    def __init__(self, pool_size=(2, 3), stride=None, padding=0):
        self.pool_size, self.stride, self.padding = pool_size, stride, padding

    def forward(self, x):
        n, c, h, w = x.shape
        self.cache = None
        return x.reshape(n, c, h // 2, 2, w // 3, 3).mean(axis=(3, 5))

    def backward(self, dy):
        return np.kron(dy, np.full((2, 3), 1 / 6, dy.dtype))


@right((4, 3, 3))
class ChannelBiasNCHW(Layer):
    """A bias for each channel, broadcast over rows and columns."""

    def init_params(self, input_shape, rng):
        self.b = Parameter(rng.normal(size=(input_shape[0], 1, 1)))

    def forward(self, x):
        self.cache = None
        return x + self.b.value

    def backward(self, dy):
        self.b.add_grad(dy.sum(axis=(0, 2, 3), keepdims=True)[0])
        return dy.copy()


@right((4, 3, 5), 2)
@right((4, 3, 5), 4)
class GroupNormNCHW(Layer):
    """Group normalization by a reshape to (N, groups, rest)."""

    def __init__(self, groups):
        self.groups = groups

    def forward(self, x):
        rows = x.reshape(len(x), self.groups, -1)
        centred = rows - rows.mean(axis=2, keepdims=True)
        std = np.sqrt((centred**2).mean(axis=2, keepdims=True) + 1e-5)
        self.cache = z, std = centred / std, std
        return z.reshape(x.shape).copy()

    def backward(self, dy):
        z, std = self.cache
        d = dy.reshape(z.shape)
        d = (d - d.mean(axis=2, keepdims=True) - z * (d * z).mean(axis=2, keepdims=True)) / std
        return d.reshape(dy.shape)


@right((3, 4, 4))
class PointwiseNCHW(Layer):
    """A 1x1 convolution by a product with matrices, channels first."""

    kernel_size, strides, padding = 1, 1, "same"

    def init_params(self, input_shape, rng):
        self.w = Parameter(rng.normal(0, 0.5, (5, input_shape[0])))

    def forward(self, x):
        self.cache = x
        return np.matmul(self.w.value, x.reshape(*x.shape[:2], -1)).reshape(len(x), 5, *x.shape[2:])

    def backward(self, dy):
        x = self.cache
        flat_x, flat_dy = x.reshape(*x.shape[:2], -1), dy.reshape(len(dy), 5, -1)
        self.w.add_grad((flat_dy @ flat_x.swapaxes(1, 2)).sum(axis=0))
        return (self.w.value.T @ flat_dy).reshape(x.shape)
