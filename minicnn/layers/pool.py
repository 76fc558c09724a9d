"""Pooling over windows."""

import numpy as np

from minicnn.layers._building import Size, size_of_windows
from minicnn.layers.base import Layer
from minicnn.ops.padding import Pads, Pair, check_padding, pair
from minicnn.ops.pool import avg_pool2d, avg_pool2d_backward, check_ties, max_pool2d, max_pool2d_backward
from minicnn.ops.pool_pairs import Comparisons, max_pool_pairs, max_pool_pairs_backward, pools_pairs


class Pool2D(Layer):
    """Take the maximum or the mean of each window: (N, H, W, C) -> (N, OH, OW, C).

    Parameters
    ----------
    pool_size : int or (int, int)
        Rows and columns of the window.
    strides : int or (int, int), optional
        Step of the window; by default its size.
    padding : {"valid", "same"} or ((top, bottom), (left, right))
        Padded cells never win a maximum and do not count in a mean (as TensorFlow).
    mode : {"max", "avg"}
        Maximum or mean.
    ties : {"first", "all", "split"}
        How the gradient is distributed over several equal maxima: all of it to the first in row-major
        order (as TensorFlow, Keras and PyTorch), all of it to each of them, or in equal shares.

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

    @property
    def takes_max(self) -> bool:  # type: ignore[override]
        """Whether the mode is "max"."""
        return self.mode == "max"

    def _size_for(self, input_shape: tuple[int, ...]) -> Size:
        window = pair(self.pool_size, "pool_size")
        strides = window if self.strides is None else pair(self.strides, "strides")
        rows_columns, largest = size_of_windows(self, input_shape, window, strides, self.padding)
        return Size((*rows_columns, input_shape[2]), largest=largest)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the pooled images."""
        if self.mode == "avg":
            # Only the shape is needed: a broadcast zero has it and keeps no images in memory.
            self.cache = np.broadcast_to(np.zeros((), x.dtype), x.shape), None
            return avg_pool2d(x, self.pool_size, self.strides, self.padding)
        if self.training and pools_pairs(x, self.pool_size, self.strides, self.padding, self.ties):
            y, self.cache = max_pool_pairs(x)
            return y
        y = max_pool2d(x, self.pool_size, self.strides, self.padding)
        # A copy, since the caller may write into the returned y.
        self.cache = x, y.copy(order="K") if self.training else None
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx."""
        cache = self.cache
        if isinstance(cache, Comparisons):
            return max_pool_pairs_backward(dy, cache)
        x, y = cache
        if self.mode == "avg":
            return avg_pool2d_backward(dy, x, self.pool_size, self.strides, self.padding)
        return max_pool2d_backward(dy, x, self.pool_size, self.strides, self.padding, self.ties, y)
