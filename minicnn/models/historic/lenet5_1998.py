"""The original LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998), with the two layers that only it has.

"Section" and "Table" below are those of the paper, "Gradient-based learning applied to document
recognition", Proceedings of the IEEE 86(11).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from minicnn.layers import Conv2D, Dense, Flatten, Layer, Sequential, Tanh
from minicnn.layers._building import Size, image_shape, size_of_windows
from minicnn.ops.conv import conv2d, conv2d_backward
from minicnn.ops.padding import pair
from minicnn.ops.pool import avg_pool2d, avg_pool2d_backward
from minicnn.ops.sums import channel_sums
from minicnn.parameter import Parameter

# Table I: the maps of S2 that each of the sixteen maps of C3 is connected to.
C3_TABLE = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)


def lenet5_1998(num_classes: int = 10) -> Sequential:
    """Return the original LeNet-5, for images of 32x32x1: MNIST with two pixels of padding on each side.

    The activation is 1.7159 tanh(2x/3), subsampling has a trained factor and bias, C3 is connected to S2 by
    the paper's table, C5 is a convolution, and weights are drawn from +-2.4 / fan-in (appendix A). There are
    three differences from the paper: a dense layer of logits, for softmax cross-entropy, replaces the ten
    Gaussian RBF units with fixed codes; subsampling starts as the plain mean; and `Trainer` scales pixels to
    0 ... 1, the paper to -0.1 ... 1.175.

    Parameters
    ----------
    num_classes : int
        Number of logits.

    Examples
    --------
    >>> model = lenet5_1998().build((32, 32, 1), rng=0)
    >>> sum(p.size for layer in list(model)[:-1] for p in layer.parameters())    # section II-B: 60,000
    60000
    """
    return Sequential(
        [
            Conv2D(6, 5, kernel_initializer=init_1998),  # C1
            _squash(),
            Subsample(),  # S2
            _squash(),
            PartialConv2D(C3_TABLE, 5),  # C3
            _squash(),
            Subsample(),  # S4
            _squash(),
            Conv2D(120, 5, kernel_initializer=init_1998),  # C5
            _squash(),
            Flatten(),
            Dense(84, kernel_initializer=init_1998),  # F6
            _squash(),
            Dense(num_classes, kernel_initializer=init_1998),
        ]
    )


class Subsample(Layer):
    """Sum each 2x2 block, multiply by a trained factor, add a trained bias.

    Section II-B: one factor and one bias for each map.
    """

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Create factors of 1/4, for the plain mean, and biases of 0."""
        self.factor = Parameter(np.full(input_shape[-1], 0.25))
        self.bias = Parameter(np.zeros(input_shape[-1]))

    def _size_for(self, input_shape: tuple[int, ...]) -> Size:
        rows_columns, largest = size_of_windows(self, input_shape, (2, 2), (2, 2), "valid")
        return Size((*rows_columns, input_shape[2]), 2 * input_shape[2], largest)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return factor * (sum of the block) + bias."""
        sums = avg_pool2d(x, 2) * 4
        self.cache = x, sums
        return sums * self.factor.value.astype(x.dtype) + self.bias.value.astype(x.dtype)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx; add the gradients of factor and bias."""
        x, sums = self.cache
        self.factor.add_grad(channel_sums(dy * sums))
        self.bias.add_grad(channel_sums(dy))
        return avg_pool2d_backward(dy * (4 * self.factor.value).astype(dy.dtype), x, 2)


class PartialConv2D(Layer):
    """A convolution in which each filter is connected to some of the channels only (Table I).

    Parameters
    ----------
    table : sequence of sequences of int
        For each filter, the channels that it is connected to.
    kernel_size : int
        Rows and columns of a kernel.

    Attributes
    ----------
    kernel : Parameter, shape (kernel_size, kernel_size, connections)
        The weights of the connections that exist, filter by filter.
    bias : Parameter, shape (filters,)
    """

    def __init__(self, table: Sequence[Sequence[int]], kernel_size: int) -> None:
        self.table = table
        self.kernel_size = kernel_size

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Draw the kernel of each filter by its own fan-in."""
        self.channels = np.array([channel for seen in self.table for channel in seen])
        self.filters = np.repeat(np.arange(len(self.table)), [len(seen) for seen in self.table])
        size = self.kernel_size
        self.full_shape = (size, size, input_shape[-1], len(self.table))
        fan_in = np.array([len(seen) * size**2 for seen in self.table])[self.filters]
        self.kernel = Parameter(rng.uniform(-2.4, 2.4, (size, size, len(self.channels))) / fan_in)
        self.bias = Parameter(np.zeros(len(self.table)))

    def _size_for(self, input_shape: tuple[int, ...]) -> Size:
        channels = image_shape(self, input_shape)[2]
        connections = [channel for seen in self.table for channel in seen]
        if not all(type(channel) is int and 0 <= channel < channels for channel in connections):
            raise ValueError(f"`table` must hold channels in [0, {channels}), got {self.table!r:.80}")
        window, filters = pair(self.kernel_size, "kernel_size"), len(self.table)
        rows_columns, largest = size_of_windows(self, input_shape, window, (1, 1), "valid")
        weights = math.prod(window) * len(connections) + filters
        return Size((*rows_columns, filters), weights, max(largest, math.prod(window) * channels * filters))

    def _full_kernel(self, dtype: np.dtype) -> np.ndarray:
        """Return the kernel of a full convolution, with zeros where there is no connection."""
        full = np.zeros(self.full_shape, dtype)
        full[:, :, self.channels, self.filters] = self.kernel.value
        return full

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the convolved images."""
        self.cache = x
        return conv2d(x, self._full_kernel(x.dtype), self.bias.value)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx; add the gradients of the kernel and the bias."""
        x = self.cache
        dx, dkernel, dbias = conv2d_backward(dy, x, self._full_kernel(x.dtype))
        self.kernel.add_grad(dkernel[:, :, self.channels, self.filters])
        self.bias.add_grad(dbias)
        return dx

    def macs(self) -> int:
        """Return OH * OW for each existing connection."""
        return math.prod(self.output_shape[:2]) * self.kernel.size


def _squash() -> Tanh:
    return Tanh(amplitude=1.7159, steepness=2 / 3)


def init_1998(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Return uniform values in +-2.4 / fan-in (appendix A)."""
    bound = 2.4 / math.prod(shape[:-1])
    return rng.uniform(-bound, bound, shape)
