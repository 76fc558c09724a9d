"""The fully connected layer."""

from __future__ import annotations

import numpy as np

from minicnn.initializers import Initializer, he_normal, zeros
from minicnn.layers._building import Size
from minicnn.layers.base import Layer
from minicnn.ops.sums import channel_sums, sum_products
from minicnn.ops.windows import is_batch_last
from minicnn.parameter import Parameter
from minicnn.validation import check_dy, check_int


class Dense(Layer):
    """Multiply by a learned matrix: (N, ..., features) -> (N, ..., units).

    Parameters
    ----------
    units : int
        Number of outputs.
    use_bias : bool
        Whether to add a learned bias to each output.
    kernel_initializer, bias_initializer : callable
        `f(shape, rng) -> array`, see `minicnn.initializers`.

    Attributes
    ----------
    kernel : Parameter, shape (features, units)
    bias : Parameter, shape (units,), or None

    Examples
    --------
    >>> Dense(10).build((84,), rng=0).kernel
    Parameter(shape=(84, 10), dtype=float32)
    """

    def __init__(
        self,
        units: int,
        use_bias: bool = True,
        kernel_initializer: Initializer = he_normal,
        bias_initializer: Initializer = zeros,
    ) -> None:
        self.units = check_int(units, "units", low=1)
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Create the kernel and, if used, the bias."""
        self.kernel = Parameter(self.kernel_initializer((input_shape[-1], self.units), rng))
        self.bias = Parameter(self.bias_initializer((self.units,), rng)) if self.use_bias else None

    def _size_for(self, input_shape: tuple[int, ...]) -> Size:
        weights = (input_shape[-1] + bool(self.use_bias)) * self.units
        return Size((*input_shape[:-1], self.units), weights)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return x @ kernel + bias."""
        if x.ndim < 2 or x.shape[-1] != self.kernel.shape[0]:
            raise ValueError(f"Dense needs x of shape (N, ..., {self.kernel.shape[0]}), got {x.shape}")
        self.cache = x
        y = x @ self.kernel.value.astype(x.dtype, copy=False)
        if self.bias is not None:
            y += self.bias.value
        return y

    def _scaled_forward(self, x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Return scale * forward(x) + shift, see `Foldable`."""
        bias = shift if self.bias is None else scale * self.bias.value + shift
        y = x @ (scale * self.kernel.value).astype(x.dtype)
        y += bias.astype(x.dtype)
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        """Return dL/dx; add the gradients of kernel and bias, if they are trained."""
        x = self.cache
        check_dy(dy, (*x.shape[:-1], self.units))
        rows, drows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, self.units)
        if self.kernel.trainable:
            self.kernel.add_grad(sum_products(rows, drows))
        if self.bias is not None and self.bias.trainable:
            self.bias.add_grad(channel_sums(drows))
        if not self.needs_dx:
            return None
        kernel = self.kernel.value.astype(dy.dtype, copy=False)
        if x.ndim == 2 and is_batch_last(x):
            return (kernel @ dy.T).T  # batch-last, too
        return dy @ kernel.T

    def macs(self) -> int:
        """Return features * units for each output vector of one example."""
        return self.kernel.size * int(np.prod(self.output_shape[:-1]))
