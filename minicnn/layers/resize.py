"""Layers that enlarge images: by zeros around them, or by repeating their pixels."""

import operator
from typing import Any

import numpy as np

from minicnn.layers._building import Size, image_shape
from minicnn.layers.base import Layer
from minicnn.ops.padding import Pads, Pair, check_images, pair
from minicnn.ops.windows import crop, pad
from minicnn.validation import check_dy


class ZeroPadding2D(Layer):
    """Put rows and columns of zeros around each image (as Keras).

    Parameters
    ----------
    padding : int, (int, int) or ((top, bottom), (left, right))
        Zeros on each of the four sides; above and below, and left and right; or each side by itself.

    Examples
    --------
    >>> ZeroPadding2D(((1, 0), (2, 2))).build((28, 28, 1)).output_shape
    (29, 32, 1)
    """

    def __init__(self, padding: int | Pair | Pads = 1) -> None:
        zero_pads(padding)
        self.padding = padding

    def _size_for(self, input_shape: tuple[int, ...]) -> Size:
        height, width, channels = image_shape(self, input_shape)
        rows, columns = zero_pads(self.padding)
        return Size((height + sum(rows), width + sum(columns), channels))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the padded images."""
        check_images(x)
        y = pad(x, zero_pads(self.padding))
        self.cache = y.shape
        return x.copy(order="K") if y is x else y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx: dy without its margins."""
        return crop(check_dy(dy, self.cache), zero_pads(self.padding)).copy(order="K")


class Upsampling2D(Layer):
    """Repeat each row and each column of an image: (N, H, W, C) -> (N, H * rows, W * columns, C).

    Keras's `UpSampling2D` with `interpolation="nearest"`.

    Parameters
    ----------
    size : int or (int, int)
        How often each row and each column is repeated.

    Examples
    --------
    >>> Upsampling2D(2).build((1, 2, 1))(np.array([[[[1.0], [2.0]]]])).squeeze()
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
    """

    def __init__(self, size: int | Pair = 2) -> None:
        pair(size, "size")
        self.size = size

    def _size_for(self, input_shape: tuple[int, ...]) -> Size:
        height, width, channels = image_shape(self, input_shape)
        rows, columns = pair(self.size, "size")
        return Size((height * rows, width * columns, channels))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the enlarged images."""
        check_images(x)
        rows, columns = pair(self.size, "size")
        n, h, w, c = x.shape
        y = np.empty_like(x, shape=(n, h * rows, w * columns, c))
        for i, j in np.ndindex(rows, columns):
            y[:, i::rows, j::columns] = x
        self.cache = y.shape
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx: the sum of dy over the copies of each pixel."""
        check_dy(dy, self.cache)
        rows, columns = pair(self.size, "size")
        dx = dy[:, ::rows, ::columns].copy(order="K")
        for i, j in [*np.ndindex(rows, columns)][1:]:
            dx += dy[:, i::rows, j::columns]
        return dx


def zero_pads(padding: Any) -> Pads:
    """Return the padding of a ZeroPadding2D as ((top, bottom), (left, right)).

    >>> zero_pads(1), zero_pads((2, 3))
    (((1, 1), (1, 1)), ((2, 2), (3, 3)))
    """
    try:
        rows, columns = padding if np.iterable(padding) else (padding, padding)
        sides = tuple(side if np.iterable(side) else (side, side) for side in (rows, columns))
        (top, bottom), (left, right) = (tuple(map(operator.index, side)) for side in sides)
    except (TypeError, ValueError):
        raise ValueError(
            f"`padding` must be an integer, two of them, or ((top, bottom), (left, right)), got {padding!r}"
        ) from None
    if min(top, bottom, left, right) < 0:
        raise ValueError(f"`padding` must not be negative, got {padding!r}")
    return (top, bottom), (left, right)
