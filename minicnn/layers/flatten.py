"""Flatten: from images to vectors."""

import math

import numpy as np

from minicnn.layers._building import Size
from minicnn.layers.base import Layer
from minicnn.ops.windows import is_batch_last
from minicnn.validation import check_dy


class Flatten(Layer):
    """Reshape each example to one vector, in C order: (N, H, W, C) -> (N, H * W * C).

    Examples
    --------
    >>> Flatten().build((5, 5, 16)).output_shape
    (400,)
    """

    def _size_for(self, input_shape: tuple[int, ...]) -> Size:
        return Size((math.prod(input_shape),))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the vectors, as a copy: a view would let the caller write into `x`."""
        self.cache = x.shape
        size = math.prod(x.shape[1:])
        if is_batch_last(x):  # the vectors as well: transposing takes longer
            return x.transpose(*range(1, x.ndim), 0).reshape(size, len(x)).copy().T
        y = x.reshape(len(x), size)
        return y.copy() if np.may_share_memory(x, y) else y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx: `dy` in the input's shape."""
        shape = self.cache
        return check_dy(dy, (shape[0], math.prod(shape[1:]))).reshape(shape).copy(order="K")
