"""From images to vectors."""

from __future__ import annotations

import numpy as np

from minicnn.layers.base import Layer


class Flatten(Layer):
    """Lay each example out as one vector, in C order: (N, H, W, C) -> (N, H * W * C).

    Examples
    --------
    >>> Flatten().build((5, 5, 16)).output_shape
    (400,)
    """

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the vectors, a copy: a view would let the caller write into `x`."""
        self.cache = x.shape
        return x.reshape(len(x), int(np.prod(x.shape[1:]))).copy()

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx: `dy` in the input's shape."""
        return dy.reshape(self.cache).copy()
