"""The pooling layers: over windows, and over whole images."""

from __future__ import annotations

import math

import numpy as np

from minicnn.layers.base import Layer, check_gradient
from minicnn.ops.padding import Pads, Pair, check_images, check_padding, pair
from minicnn.ops.pool import avg_pool2d, avg_pool2d_backward, check_ties, max_pool2d, max_pool2d_backward


class Pool2D(Layer):
    """Take the maximum or the mean of each window: (N, H, W, C) -> (N, OH, OW, C).

    Parameters
    ----------
    pool_size : int or (int, int)
        Rows and columns of the window.
    strides : int or (int, int), optional
        Steps of the window; its size where none are given.
    padding : {"valid", "same"} or ((top, bottom), (left, right))
        Padded cells never win a maximum and do not count in a mean (as TensorFlow).
    mode : {"max", "avg"}
        Which of the two.
    ties : {"first", "all", "split"}
        Which of several equal maxima gets the gradient: the first in row-major order (as TensorFlow,
        Keras and PyTorch), each of them the whole, or each its share.

    Examples
    --------
    >>> Pool2D(2).build((28, 28, 6)).output_shape
    (14, 14, 6)
    """

    def __init__(
        self,
        pool_size: int | Pair,
        strides: int | Pair | None = None,
        padding: str | Pads = "valid",
        mode: str = "max",
        ties: str = "first",
    ) -> None:
        pair(pool_size, "pool_size")
        if strides is not None:
            pair(strides, "strides")
        check_padding(padding)
        if mode not in ("max", "avg"):
            raise ValueError(f"`mode` must be 'max' or 'avg', got {mode!r}")
        check_ties(ties)
        self.pool_size, self.strides, self.padding = pool_size, strides, padding
        self.mode, self.ties = mode, ties

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the pooled images."""
        if self.mode == "avg":
            # Only the shape is needed: a view of one zero has it, and keeps no image alive.
            self.cache = np.broadcast_to(np.zeros((), x.dtype), x.shape), None
            return avg_pool2d(x, self.pool_size, self.strides, self.padding)
        y = max_pool2d(x, self.pool_size, self.strides, self.padding)
        # A copy of its own: the caller may write into the y that is returned.
        self.cache = x, y.copy(order="K") if self.training else None
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx."""
        x, y = self.cache
        if self.mode == "avg":
            return avg_pool2d_backward(dy, x, self.pool_size, self.strides, self.padding)
        return max_pool2d_backward(dy, x, self.pool_size, self.strides, self.padding, self.ties, y)


class GlobalAveragePool2D(Layer):
    """Take the mean of each channel over the whole image: (N, H, W, C) -> (N, C).

    Examples
    --------
    >>> GlobalAveragePool2D().build((7, 7, 64)).output_shape
    (64,)
    """

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Check that the input is images; there are no weights."""
        if len(input_shape) != 3:
            raise ValueError(f"GlobalAveragePool2D needs images (H, W, C), got {input_shape}")

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the channels' means."""
        check_images(x)
        self.cache = x.shape
        return x.mean(axis=(1, 2))

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx: each pixel has the same share."""
        shape = self.cache
        check_gradient(dy, (shape[0], shape[3]))
        share = dy / math.prod(shape[1:3])
        return np.broadcast_to(share[:, None, None, :], shape).copy()
