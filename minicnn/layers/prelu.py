"""PReLU: a ReLU whose negative slope is learned."""

from __future__ import annotations

import math

import numpy as np

from minicnn.layers._building import Size
from minicnn.layers.base import Layer
from minicnn.parameter import Parameter
from minicnn.validation import check_dy, check_real


class PReLU(Layer):
    """x where x > 0, otherwise slope * x, where the slopes are learned (He et al. 2015).

    Parameters
    ----------
    initial_slope : float
        Of all channels: 0.25 as in the paper and PyTorch. (Keras starts from 0, a ReLU.)
    shared : bool
        Whether all pixels of a channel share one slope, as in the paper. With False, each value of an
        example has its own, which is Keras's default.

    Attributes
    ----------
    slope : Parameter, shape (C,), or that of an example if `shared` is False
        A decay of all weights includes it; the paper trains it without decay.

    Examples
    --------
    >>> PReLU().build((2,))(np.array([[-1.0, 1.0]]))
    array([[-0.25,  1.  ]])
    """

    def __init__(self, initial_slope: float = 0.25, shared: bool = True) -> None:
        self.initial_slope = check_real(initial_slope, "initial_slope", low=-np.inf)
        self.shared = bool(shared)

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Create the slopes."""
        self.slope = Parameter(np.full(self._slope_shape(input_shape), self.initial_slope))

    def _slope_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return input_shape[-1:] if self.shared else input_shape

    def _size_for(self, input_shape: tuple[int, ...]) -> Size:
        return Size(input_shape, math.prod(self._slope_shape(input_shape)))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return x, multiplied by the slope where it is not positive."""
        slope = self._slope(x)
        self.cache = x
        return np.maximum(x, 0) + slope * np.minimum(x, 0)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dy, multiplied by the slope where x was not positive; add the slopes' gradient."""
        x = self.cache
        check_dy(dy, x.shape)
        axes = tuple(range(x.ndim - self.slope.value.ndim))
        # In float64: in float32, a sum over a million pixels would not be accurate.
        self.slope.add_grad((dy * np.minimum(x, 0)).sum(axis=axes, dtype=np.float64))
        positive = x > 0
        return dy * (positive + ~positive * self._slope(x))

    def _slope(self, x: np.ndarray) -> np.ndarray:
        """Return the slopes in the dtype of x; raise ValueError if x has another shape than they need."""
        slope = self.slope.value
        if x.ndim < 2 or x.shape[-slope.ndim :] != slope.shape:
            raise ValueError(f"PReLU needs x of shape (N, ..., {slope.shape[-1]}), got {x.shape}")
        return slope.astype(x.dtype, copy=False)
