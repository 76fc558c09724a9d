"""Pooling over whole images."""

import math

import numpy as np

from minicnn.layers._building import Size, image_shape
from minicnn.layers.base import Layer
from minicnn.ops.padding import check_images
from minicnn.ops.pool import check_ties
from minicnn.ops.sums import pixel_means
from minicnn.validation import check_dy


class GlobalAveragePool2D(Layer):
    """Take the mean of each channel over the whole image: (N, H, W, C) -> (N, C).

    Examples
    --------
    >>> GlobalAveragePool2D().build((7, 7, 64)).output_shape
    (64,)
    """

    def _size_for(self, input_shape: tuple[int, ...]) -> Size:
        return Size(image_shape(self, input_shape)[2:])

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the mean of each channel."""
        check_images(x)
        self.cache = x.shape
        return pixel_means(x)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx: dy / (H * W) at each pixel."""
        shape = self.cache
        share = check_dy(dy, (shape[0], shape[3])) / math.prod(shape[1:3])
        return np.broadcast_to(share[:, None, None, :], shape).copy()


class GlobalMaxPool2D(Layer):
    """Take the maximum of each channel over the whole image: (N, H, W, C) -> (N, C).

    Parameters
    ----------
    ties : {"split", "first", "all"}
        How the gradient is distributed over several equal maxima, see `Pool2D`. The default is that of
        Keras's GlobalMaxPooling2D, equal shares, while its MaxPooling2D gives all to the first.

    Examples
    --------
    >>> GlobalMaxPool2D().build((7, 7, 64)).output_shape
    (64,)
    """

    takes_max = True

    def __init__(self, ties: str = "split") -> None:
        check_ties(ties)
        self.ties = ties

    def _size_for(self, input_shape: tuple[int, ...]) -> Size:
        return Size(image_shape(self, input_shape)[2:])

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the maximum of each channel."""
        check_images(x)
        y = x.max(axis=(1, 2))
        self.cache = x, y.copy() if self.training else None
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx: dy at the maximum of each channel, and 0 elsewhere."""
        x, y = self.cache
        check_dy(dy, y.shape)
        if self.ties == "first":
            n, h, w, c = x.shape
            first = x.reshape(n, h * w, c).argmax(axis=1)
            dx = np.zeros((n, h * w, c), dy.dtype)
            np.put_along_axis(dx, first[:, None], dy[:, None], axis=1)
            return dx.reshape(x.shape)
        largest = x == y[:, None, None, :]
        share = dy / largest.sum(axis=(1, 2), dtype=dy.dtype) if self.ties == "split" else dy
        return largest * share[:, None, None, :]
