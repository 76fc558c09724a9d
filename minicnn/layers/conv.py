"""The convolution layer."""

from __future__ import annotations

import math

import numpy as np

from minicnn.initializers import Initializer, he_normal, zeros
from minicnn.layers._building import Size, image_shape, size_of_windows
from minicnn.layers.base import Layer
from minicnn.ops.conv import conv2d, conv2d_backward
from minicnn.ops.padding import Pads, Pair, check_padding, pair
from minicnn.parameter import Parameter
from minicnn.validation import check_int


class Conv2D(Layer):
    """Convolve images with learned kernels: (N, H, W, C) -> (N, OH, OW, filters).

    Parameters
    ----------
    filters : int
        Number of kernels, and of output channels.
    kernel_size : int or (int, int)
        Rows and columns of a kernel.
    strides, dilation : int or (int, int)
        Step of the window, and distance of the cells inside it.
    padding : {"valid", "same"} or ((top, bottom), (left, right))
        "same" is TensorFlow's: ceil(H / stride) output rows; an odd padding row goes after the image.
    groups : int
        Number of groups into which channels and filters are divided; each group of filters sees only its
        own group of channels.
    use_bias : bool
        Whether to add a learned bias to each output channel.
    kernel_initializer, bias_initializer : callable
        `f(shape, rng) -> array`, see `minicnn.initializers`.

    Attributes
    ----------
    kernel : Parameter, shape (kh, kw, C / groups, filters)
    bias : Parameter, shape (filters,), or None

    Examples
    --------
    >>> layer = Conv2D(16, (5, 3), strides=(2, 1), padding="same").build((28, 28, 6), rng=0)
    >>> layer(np.zeros((1, 28, 28, 6), np.float32)).shape
    (1, 14, 28, 16)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Pair,
        strides: int | Pair = 1,
        padding: str | Pads = "valid",
        dilation: int | Pair = 1,
        groups: int = 1,
        use_bias: bool = True,
        kernel_initializer: Initializer = he_normal,
        bias_initializer: Initializer = zeros,
    ) -> None:
        self.filters = check_int(filters, "filters", low=1)
        self.groups = check_int(groups, "groups", low=1)
        pair(kernel_size, "kernel_size"), pair(strides, "strides"), pair(dilation, "dilation")
        check_padding(padding)
        self.kernel_size, self.strides, self.padding, self.dilation = kernel_size, strides, padding, dilation
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        if filters % groups:
            raise ValueError(f"`groups` must divide `filters`, got groups={groups} and filters={filters}")

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Create the kernel and, if used, the bias."""
        self.kernel = Parameter(self.kernel_initializer(self._kernel_shape(input_shape), rng))
        self.bias = Parameter(self.bias_initializer((self.filters,), rng)) if self.use_bias else None

    def _kernel_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        channels = image_shape(self, input_shape)[2]
        if channels % self.groups:
            raise ValueError(
                f"Conv2D with {self.groups} groups needs a number of channels divisible by {self.groups}, "
                f"got input_shape {input_shape}"
            )
        return (*pair(self.kernel_size, "kernel_size"), channels // self.groups, self.filters)

    def _size_for(self, input_shape: tuple[int, ...]) -> Size:
        kernel = self._kernel_shape(input_shape)
        window, strides = (kernel[0], kernel[1]), pair(self.strides, "strides")
        dilation = pair(self.dilation, "dilation")
        rows_columns, largest = size_of_windows(self, input_shape, window, strides, self.padding, dilation)
        weights = math.prod(kernel) + bool(self.use_bias) * self.filters
        return Size((*rows_columns, self.filters), weights, largest)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the convolved images."""
        self.cache = x
        bias = self.bias.value if self.bias is not None else None
        return conv2d(x, self.kernel.value, bias, *self._geometry)

    def _scaled_forward(self, x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Return scale * forward(x) + shift, see `Foldable`."""
        bias = shift if self.bias is None else scale * self.bias.value + shift
        return conv2d(x, (scale * self.kernel.value).astype(x.dtype), bias, *self._geometry)

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        """Return dL/dx; add the gradients of kernel and bias, if they are trained."""
        x, kernel, bias = self.cache, self.kernel, self.bias
        dx, dkernel, dbias = conv2d_backward(
            *(dy, x, kernel.value, *self._geometry),
            need_dx=self.needs_dx,
            need_dkernel=kernel.trainable,
            need_dbias=bias is not None and bias.trainable,
        )
        if dkernel is not None:
            kernel.add_grad(dkernel)
        if bias is not None and dbias is not None:
            bias.add_grad(dbias)
        return dx

    @property
    def _geometry(self) -> tuple[int | Pair, str | Pads, int | Pair, int]:
        return self.strides, self.padding, self.dilation, self.groups

    def macs(self) -> int:
        """Return kh * kw * C / groups for each output value of one example."""
        return math.prod(self.output_shape) * math.prod(self.kernel.shape[:3])
