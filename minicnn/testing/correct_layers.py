"""Correct layers as users write them: examples, and test cases for false alarms."""

import math

import numpy as np

from minicnn.layers import BatchNorm, Conv2D, Layer, ReLU
from minicnn.ops.activations import sigmoid
from minicnn.ops.conv import conv2d, conv2d_backward
from minicnn.parameter import Parameter


class Scale(Layer):
    """Multiply each feature by a learned factor: the smallest layer with a weight."""

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Start with factors of 1."""
        self.factor = Parameter(np.ones(input_shape[-1]))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the scaled features."""
        self.cache = x
        return x * self.factor.value

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx; add the factor's gradient."""
        self.factor.add_grad((dy * self.cache).sum(axis=tuple(range(dy.ndim - 1))))
        return dy * self.factor.value


class PReLU(Layer):
    """x where x > 0, otherwise slope * x, with one learned slope for each channel (He et al. 2015)."""

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Start with slopes of 0.25, as in the paper."""
        self.slope = Parameter(np.full(input_shape[-1], 0.25))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return x, scaled where it is not positive."""
        self.cache = x
        return np.where(x > 0, x, x * self.slope.value)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx; add the slopes' gradient."""
        negative = self.cache <= 0
        self.slope.add_grad((dy * self.cache * negative).sum(axis=tuple(range(dy.ndim - 1))))
        return np.where(negative, dy * self.slope.value, dy)


class GELU(Layer):
    """x times the normal distribution function, by its tanh approximation (Hendrycks and Gimpel 2016)."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return x * (1 + tanh(c * (x + 0.044715 x^3))) / 2."""
        tanh = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
        self.cache = x, tanh
        return 0.5 * x * (1 + tanh)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx, by the product rule."""
        x, tanh = self.cache
        dtanh = (1 - tanh**2) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
        return dy * 0.5 * (1 + tanh + x * dtanh)


class LayerNorm(Layer):
    """Normalise each example's features, then scale and shift them (Ba et al. 2016).

    Parameters
    ----------
    eps : float
        Added to the variance.
    """

    def __init__(self, eps: float = 1e-3) -> None:
        self.eps = eps

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Create scale and shift."""
        self.gamma = Parameter(np.ones(input_shape[-1]))
        self.beta = Parameter(np.zeros(input_shape[-1]))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the normalised features."""
        std = np.sqrt(x.var(axis=-1, keepdims=True) + self.eps)
        z = (x - x.mean(axis=-1, keepdims=True)) / std
        self.cache = z, std
        return z * self.gamma.value + self.beta.value

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx, through mean and variance too; add the gradients of scale and shift."""
        z, std = self.cache
        rows = tuple(range(dy.ndim - 1))
        self.gamma.add_grad((dy * z).sum(axis=rows))
        self.beta.add_grad(dy.sum(axis=rows))
        dz = dy * self.gamma.value
        return (dz - dz.mean(axis=-1, keepdims=True) - z * (dz * z).mean(axis=-1, keepdims=True)) / std


class InstanceNorm(Layer):
    """Normalise each channel of each image separately (Ulyanov et al. 2016)."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the normalised channels."""
        std = np.sqrt(x.var(axis=(1, 2), keepdims=True) + 1e-5)
        z = (x - x.mean(axis=(1, 2), keepdims=True)) / std
        self.cache = z, std
        return z.copy()

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx, through mean and variance too."""
        z, std = self.cache
        mean, along = (a.mean(axis=(1, 2), keepdims=True) for a in (dy, dy * z))
        return (dy - mean - z * along) / std


class DepthwiseConv2D(Layer):
    """Convolve each channel with its own kernel (Howard et al. 2017).

    Parameters
    ----------
    kernel_size : int
        Rows and columns of a kernel.
    strides : int
        Steps of the window.
    padding : {"valid", "same"}
        As in `Conv2D`.
    """

    def __init__(self, kernel_size: int, strides: int = 1, padding: str = "same") -> None:
        self.kernel_size, self.strides, self.padding = kernel_size, strides, padding

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Draw the kernels."""
        size = self.kernel_size
        self.kernel = Parameter(rng.normal(0.0, 1 / size, (size, size, 1, input_shape[-1])))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the convolved channels."""
        self.cache = x
        return conv2d(x, self.kernel.value, None, self.strides, self.padding, groups=x.shape[-1])

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx; add the kernel's gradient."""
        x, geometry = self.cache, (self.strides, self.padding, 1, dy.shape[-1])
        dx, dkernel, _ = conv2d_backward(dy, x, self.kernel.value, *geometry, need_dbias=False)
        self.kernel.add_grad(dkernel)
        return dx


class TransposedConv2D(Layer):
    """A transposed convolution, which enlarges images by its strides: forward is the dx of a convolution.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size, strides : int
        As in `Conv2D`.
    padding : {"valid", "same"}
        "same" gives strides times as many rows and columns.
    """

    def __init__(self, filters: int, kernel_size: int, strides: int = 1, padding: str = "same") -> None:
        self.filters, self.kernel_size, self.strides, self.padding = filters, kernel_size, strides, padding

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Draw the kernel, with the output channels before the input channels, as in Keras."""
        size, n = self.kernel_size, input_shape[-1]
        self.kernel = Parameter(rng.normal(0.0, 1 / size, (size, size, self.filters, n)))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the enlarged images."""
        self.cache = x
        rows, columns = (
            n * self.strides if self.padding == "same" else (n - 1) * self.strides + self.kernel_size
            for n in x.shape[1:3]
        )
        y = np.zeros((len(x), rows, columns, self.filters), x.dtype)
        dx, *_ = conv2d_backward(x, y, self.kernel.value, self.strides, self.padding, need_dbias=False)
        return dx

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx, a convolution; add the kernel's gradient."""
        x, kernel, geometry = self.cache, self.kernel.value, (self.strides, self.padding)
        _, dkernel, _ = conv2d_backward(x, dy, kernel, *geometry, need_dx=False, need_dbias=False)
        self.kernel.add_grad(dkernel)
        return conv2d(dy, kernel, None, *geometry)


class SqueezeExcite(Layer):
    """Scale each channel by a gate computed from the means of all channels (Hu et al. 2018).

    Parameters
    ----------
    hidden : int
        Units between the means and the gates.
    """

    def __init__(self, hidden: int = 2) -> None:
        self.hidden = hidden

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Draw two matrices."""
        channels = input_shape[-1]
        self.squeeze = Parameter(rng.normal(0.0, channels**-0.5, (channels, self.hidden)))
        self.excite = Parameter(rng.normal(0.0, self.hidden**-0.5, (self.hidden, channels)))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the images, each channel times its gate."""
        means = x.mean(axis=(1, 2))
        hidden = np.maximum(means @ self.squeeze.value, 0)
        gate = sigmoid(hidden @ self.excite.value)
        self.cache = x, means, hidden, gate
        return x * gate[:, None, None, :]

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx, directly and through the gate; add the gradients of both matrices."""
        x, means, hidden, gate = self.cache
        dlogits = (dy * x).sum(axis=(1, 2)) * gate * (1 - gate)
        self.excite.add_grad(hidden.T @ dlogits)
        dhidden = dlogits @ self.excite.value.T * (hidden > 0)
        self.squeeze.add_grad(means.T @ dhidden)
        dmeans = dhidden @ self.squeeze.value.T / (x.shape[1] * x.shape[2])
        return dy * gate[:, None, None, :] + dmeans[:, None, None, :]


class ResidualBlock(Layer):
    """x + conv(relu(norm(conv(x)))): a layer made of layers (He et al. 2016).

    Parameters
    ----------
    filters : int
        Between the two convolutions.
    """

    def __init__(self, filters: int) -> None:
        self.filters = filters

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Build the branch; its last convolution restores the number of channels."""
        self.branch = [
            Conv2D(self.filters, 3, padding="same", use_bias=False),
            BatchNorm(),
            ReLU(),
            Conv2D(input_shape[-1], 3, padding="same"),
        ]
        shape = input_shape
        for layer in self.branch:
            shape = layer.build(shape, rng).output_shape

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the sum of the input and the branch."""
        y = x
        for layer in self.branch:
            y = layer(y)
        return x + y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx, through the shortcut and through the branch."""
        dx = dy
        for layer in reversed(self.branch):
            dx = layer.backward(dx)  # type: ignore[assignment]
        return dy + dx


class ConvTanh(Layer):
    """A convolution and its tanh in one layer, written on plain arrays."""

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Draw a kernel of 2x3."""
        self.kernel = Parameter(rng.normal(0.0, 0.4, (2, 3, input_shape[-1], 3)))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return tanh(x * kernel)."""
        y = np.tanh(conv2d(x, self.kernel.value, padding="same"))
        self.cache = x, y.copy()
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx; add the kernel's gradient."""
        x, y = self.cache
        dx, dkernel, _ = conv2d_backward(dy * (1 - y**2), x, self.kernel.value, padding="same")
        self.kernel.add_grad(dkernel)
        return dx


class CReLU(Layer):
    """The concatenation of relu(x) and relu(-x) (Shang et al. 2016)."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return twice as many channels."""
        self.cache = np.sign(x)
        return np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)], axis=-1)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx; each value gets the gradient of one of the two."""
        sign = self.cache
        positive, negative = np.split(dy, 2, axis=-1)
        return positive * (sign > 0) - negative * (sign < 0)


class Maxout(Layer):
    """The larger of two linear functions of the input (Goodfellow et al. 2013).

    Parameters
    ----------
    units : int
        Number of outputs.
    """

    def __init__(self, units: int = 3) -> None:
        self.units = units

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Draw both matrices, in one array."""
        self.kernel = Parameter(rng.normal(0.0, 0.5, (2, input_shape[-1], self.units)))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the maximum of the two products."""
        one, two = (x @ kernel for kernel in self.kernel.value)
        self.cache = x, one >= two
        return np.maximum(one, two)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx; the larger product gets the gradient."""
        x, first = self.cache
        parts = dy * first, dy * ~first
        rows = x.reshape(-1, x.shape[-1])
        self.kernel.add_grad(np.stack([rows.T @ part.reshape(len(rows), -1) for part in parts]))
        return parts[0] @ self.kernel.value[0].T + parts[1] @ self.kernel.value[1].T


class Tied(Layer):
    """A layer that `build` rejects: it holds one layer twice, which would mix up caches and gradients."""

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Hold one Scale in two attributes, for which `build` raises an error."""
        self.first = Scale().build(input_shape, rng)
        self.second = self.first

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return x, scaled twice."""
        return self.second(self.first(x))

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx."""
        return self.first.backward(self.second.backward(dy))
