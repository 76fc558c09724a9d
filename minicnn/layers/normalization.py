"""Batch normalisation, and the local response normalisation of AlexNet."""

from __future__ import annotations

import numpy as np

from minicnn.layers.base import Layer
from minicnn.ops.normalization import (
    batch_norm,
    batch_norm_backward,
    check_size,
    local_response_norm,
    local_response_norm_backward,
)
from minicnn.parameter import Parameter
from minicnn.validation import check_dy, check_real


class BatchNorm(Layer):
    """Normalise each channel over the batch, then scale and shift it (Ioffe and Szegedy 2015; as Keras).

    In training the statistics are those of the batch, over all axes but the last, and update running
    averages; in evaluation the running averages are used. They are saved with the weights.

    Parameters
    ----------
    momentum : float
        Weight of the old running average in each update, in [0, 1).
    eps : float
        Added to the variance.

    Attributes
    ----------
    gamma, beta : Parameter, shape (C,)
        Scale and shift.
    running_mean, running_var : Parameter, shape (C,), not trainable
        Running averages; the variance is the biased one, as in Keras.
    """

    batch_dependent = True

    def __init__(self, momentum: float = 0.99, eps: float = 1e-3) -> None:
        self.momentum = check_real(momentum, "momentum", high=1)
        self.eps = check_real(eps, "eps", above_low=True)

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Create scale, shift and running statistics, in Keras's order."""
        channels = input_shape[-1]
        self.gamma = Parameter(np.ones(channels))
        self.beta = Parameter(np.zeros(channels))
        self.running_mean = Parameter(np.zeros(channels), trainable=False)
        self.running_var = Parameter(np.ones(channels), trainable=False)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the normalised batch."""
        if x.ndim < 2 or x.shape[-1] != self.gamma.size:
            raise ValueError(f"BatchNorm needs x of shape (N, ..., {self.gamma.size}), got {x.shape}")
        gamma, beta, mean, var = (p.value.astype(x.dtype, copy=False) for p in self.parameters())
        if not self.training:
            return (x - mean) * (gamma / np.sqrt(var + self.eps)) + beta
        y, normalized, mean, var = batch_norm(x, gamma, beta, self.eps)
        self.cache = normalized, var
        for running, new in ((self.running_mean, mean), (self.running_var, var)):
            running.value += (1 - self.momentum) * (new - running.value)
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx, through the batch statistics too; add the gradients of gamma and beta."""
        normalized, var = self.cache
        check_dy(dy, normalized.shape)
        gamma = self.gamma.value.astype(dy.dtype, copy=False)
        dx, dgamma, dbeta = batch_norm_backward(dy, normalized, gamma, var, self.eps)
        self.gamma.add_grad(dgamma)
        self.beta.add_grad(dbeta)
        return dx


class LocalResponseNorm(Layer):
    """Divide each value by (k + alpha * sum of squares over neighbouring channels) ** beta.

    Channels compete: a large response lowers those of neighbouring channels at the same pixel (Krizhevsky et
    al. 2012, section 3.3, where `size` is called n). Other frameworks have other conventions:

    - TensorFlow's `depth_radius` is (size - 1) / 2; alpha is as here, and k is its `bias`;
    - PyTorch and ONNX take the mean of the squares instead of the sum: their alpha is size * alpha.

    Parameters
    ----------
    size : int, odd
        Channels in a window, centred on the value's own; windows are cut off at the first and last channels.
    k, alpha, beta : float
        Constants of the formula, by default the paper's; k must be positive, alpha and beta not negative.

    Examples
    --------
    >>> layer = LocalResponseNorm(size=3, k=1.0, alpha=1.0, beta=1.0).build((1, 1, 3))
    >>> layer(np.array([[[[1.0, 2.0, 3.0]]]])).round(3)    # 1 / (1+1+4), 2 / (1+1+4+9), 3 / (1+4+9)
    array([[[[0.167, 0.133, 0.214]]]])
    """

    def __init__(self, size: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75) -> None:
        self.size = check_size(size)
        self.k = check_real(k, "k", above_low=True)
        self.alpha, self.beta = check_real(alpha, "alpha"), check_real(beta, "beta")

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the normalised images."""
        self.cache = x
        return local_response_norm(x, self.size, self.k, self.alpha, self.beta)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx, including the paths through the denominators of neighbouring channels."""
        x = self.cache
        check_dy(dy, x.shape)
        return local_response_norm_backward(dy, x, self.size, self.k, self.alpha, self.beta)
