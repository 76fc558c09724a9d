"""Batch, group and layer normalization."""

from __future__ import annotations

import numpy as np

from minicnn.layers._building import Size
from minicnn.layers.base import Layer
from minicnn.ops.norm_batch import gradient_sums, input_gradient, moments, normalize
from minicnn.ops.norm_group import group_norm, group_norm_backward
from minicnn.ops.norm_layer import layer_norm, layer_norm_backward
from minicnn.parameter import Parameter
from minicnn.validation import check_dy, check_int, check_real


class _ScaleAndShift(Layer):
    """Base of the normalizations that end with a learned scale and shift of each channel.

    Parameters
    ----------
    eps : float
        Added to the variance.
    scale, center : bool
        Whether the scale (gamma) and the shift (beta) are learned; otherwise they are 1 and 0.
    """

    def __init__(self, eps: float = 1e-3, scale: bool = True, center: bool = True) -> None:
        self.eps = check_real(eps, "eps", above_low=True)
        self.scale, self.center = scale, center

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Create gamma and beta, if they are learned."""
        channels = input_shape[-1]
        self.channels = channels
        self.gamma = Parameter(np.ones(channels)) if self.scale else None
        self.beta = Parameter(np.zeros(channels)) if self.center else None

    def _size_for(self, input_shape: tuple[int, ...]) -> Size:
        return Size(input_shape, (bool(self.scale) + bool(self.center)) * input_shape[-1])

    def _weights(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return gamma and beta for an input of the right shape, in its dtype."""
        if x.ndim < 2 or x.shape[-1] != self.channels:
            raise ValueError(
                f"{type(self).__name__} needs x of shape (N, ..., {self.channels}), got {x.shape}"
            )
        gamma = np.ones(self.channels) if self.gamma is None else self.gamma.value
        beta = np.zeros(self.channels) if self.beta is None else self.beta.value
        return gamma.astype(x.dtype, copy=False), beta.astype(x.dtype, copy=False)

    def _add_grads(self, dx: np.ndarray, dgamma: np.ndarray, dbeta: np.ndarray) -> np.ndarray:
        """Add the gradients of gamma and beta; return dx."""
        for parameter, gradient in ((self.gamma, dgamma), (self.beta, dbeta)):
            if parameter is not None:
                parameter.add_grad(gradient)
        return dx


class BatchNorm(_ScaleAndShift):
    """Normalize each channel over the batch, then scale and shift it (Ioffe and Szegedy 2015; as Keras).

    In training the statistics are those of the batch, over all axes but the last, and update running
    averages; in evaluation, and in a frozen layer, those are used. They are saved with the weights.

    Parameters
    ----------
    momentum : float
        Weight of the old running average in each update, in [0, 1).
    eps : float
        Added to the variance.
    scale, center : bool
        Whether gamma and beta are learned; otherwise they are 1 and 0, and the attributes None.

    Attributes
    ----------
    gamma, beta : Parameter, shape (C,), or None
        Scale and shift.
    running_mean, running_var : Parameter, shape (C,), not trainable
        Running averages; the variance is the biased one, as in Keras.
    """

    @property
    def batch_dependent(self) -> bool:  # type: ignore[override]
        """Whether the statistics are those of the batch in training."""
        return self.trainable

    def __init__(
        self, momentum: float = 0.99, eps: float = 1e-3, scale: bool = True, center: bool = True
    ) -> None:
        super().__init__(eps, scale, center)
        self.momentum = check_real(momentum, "momentum", high=1)

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Create scale, shift and running statistics, in Keras's order."""
        super().init_params(input_shape, rng)
        self.running_mean = Parameter(np.zeros(self.channels), trainable=False)
        self.running_var = Parameter(np.ones(self.channels), trainable=False)

    def _size_for(self, input_shape: tuple[int, ...]) -> Size:
        return Size(input_shape, super()._size_for(input_shape).weights + 2 * input_shape[-1])

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the normalized batch."""
        gamma, beta = self._weights(x)
        if not (self.training and self.trainable):
            mean, var = (p.value.astype(x.dtype, copy=False) for p in (self.running_mean, self.running_var))
            count = 0
        else:
            mean, var, count = self._batch_statistics(x)
            for running, new in ((self.running_mean, mean), (self.running_var, var)):
                running.value += (1 - self.momentum) * (new - running.value)
        self.cache = x, mean, var, count
        return normalize(x, mean, var, gamma, beta, self.eps)

    def _batch_statistics(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """Return mean and variance of each channel over the whole batch, and the number of values in each.

        One sum over the shards has the moments about the running mean, which all of them share. Where that
        mean is far off, digits are lost, but those of float64: fewer than rounding to float32 takes from x.
        """
        mean, var = moments(x)
        own, origin = x.size // self.channels, self.running_mean.value.astype(np.float64)
        distance = mean - origin
        powers = np.stack([np.ones_like(mean), distance, var + distance**2])
        (count, *_), first, second = self.sum_over_batch(own * powers)
        if count == own:  # the batch is in one place
            return mean, var, own
        distance = first / count
        return origin + distance, np.maximum(second / count - distance**2, 0), int(count)

    def _scale_and_shift(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what evaluation mode applies to each channel, in float64, see `Foldable`."""
        scale = 1 / np.sqrt(self.running_var.value.astype(np.float64) + self.eps)
        scale = scale if self.gamma is None else scale * self.gamma.value
        shift = -scale * self.running_mean.value
        return scale, shift if self.beta is None else shift + self.beta.value

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx, through the batch statistics too; add the gradients of gamma and beta."""
        x, mean, var, count = self.cache
        gamma, _ = self._weights(x)
        check_dy(dy, x.shape)
        if not count:  # frozen
            if any(p is not None and p.trainable for p in (self.gamma, self.beta)):  # but for these weights
                self._add_grads(dy, *gradient_sums(dy, x, mean, var, self.eps))
            return dy * (gamma / np.sqrt(var + self.eps))
        own = np.stack(gradient_sums(dy, x, mean, var, self.eps))
        mean_dgamma, mean_dbeta = self.sum_over_batch(own) / count
        dx = input_gradient(dy, x, gamma, mean, var, mean_dgamma, mean_dbeta, self.eps)
        return self._add_grads(dx, *own.astype(x.dtype))


class GroupNorm(_ScaleAndShift):
    """Normalize each group of channels of each image, then scale and shift each channel (Wu and He 2018).

    The examples of a batch do not influence each other, so the size of the batch does not matter. As Keras's
    `GroupNormalization`.

    Parameters
    ----------
    groups : int
        Number of groups of neighbouring channels, a divisor of C. One group for all channels is a layer
        normalization of the whole image; one for each is instance normalization.
    eps : float
        Added to the variance.
    scale, center : bool
        Whether gamma and beta are learned; otherwise they are 1 and 0, and the attributes None.

    Attributes
    ----------
    gamma, beta : Parameter, shape (C,), or None
        Scale and shift.

    Examples
    --------
    >>> layer = GroupNorm(2).build((4,))
    >>> layer(np.array([[1.0, 3.0, 10.0, 10.0]])).round(2)
    array([[-1.,  1.,  0.,  0.]])
    """

    def __init__(self, groups: int = 32, eps: float = 1e-3, scale: bool = True, center: bool = True) -> None:
        super().__init__(eps, scale, center)
        self.groups = check_int(groups, "groups", low=1)

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Create scale and shift."""
        if input_shape[-1] % self.groups:
            raise ValueError(
                f"GroupNorm with {self.groups} groups needs a number of channels divisible by {self.groups}, "
                f"got input_shape {input_shape}"
            )
        super().init_params(input_shape, rng)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the normalized images."""
        y, statistics = group_norm(x, self.groups, *self._weights(x), self.eps)
        self.cache = x, statistics
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx, through the statistics too; add the gradients of gamma and beta."""
        x, statistics = self.cache
        gamma, _ = self._weights(x)
        dy = check_dy(dy, x.shape)
        return self._add_grads(*group_norm_backward(dy, x, self.groups, gamma, statistics, self.eps))


class LayerNorm(_ScaleAndShift):
    """Normalize along the last axis, then scale and shift each channel (Ba, Kiros and Hinton 2016).

    As Keras's `LayerNormalization`: each pixel of an image has statistics of its own. (PyTorch's and the
    paper's, over all axes but the batch, are `GroupNorm(1)`, but for gamma and beta.)

    Parameters
    ----------
    eps : float
        Added to the variance.
    scale, center : bool
        Whether gamma and beta are learned; otherwise they are 1 and 0, and the attributes None.

    Attributes
    ----------
    gamma, beta : Parameter, shape (C,), or None
        Scale and shift.

    Examples
    --------
    >>> LayerNorm().build((2,))(np.array([[1.0, 3.0], [40.0, 20.0]])).round(2)
    array([[-1.,  1.],
           [ 1., -1.]])
    """

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the normalized values."""
        y, statistics = layer_norm(x, *self._weights(x), self.eps)
        self.cache = x, statistics
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx, through the statistics too; add the gradients of gamma and beta."""
        x, statistics = self.cache
        gamma, _ = self._weights(x)
        return self._add_grads(*layer_norm_backward(check_dy(dy, x.shape), x, gamma, statistics))
