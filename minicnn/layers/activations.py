"""Activations: elementwise functions, and Softmax over the last axis.

No layer caches the array that it returns, since the caller may write into it.
"""

from __future__ import annotations

import math

import numpy as np

from minicnn.layers.base import Layer
from minicnn.ops.activations import sigmoid, softmax
from minicnn.validation import check_dy, check_real


class _Elementwise(Layer):
    """A function of each value alone, whose derivative `forward` caches and `backward` multiplies by."""

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dy times the derivative."""
        derivative = self.cache
        return check_dy(dy, derivative.shape) * derivative


class ReLU(_Elementwise):
    """max(x, 0); its derivative at 0 is 0 (as TensorFlow and PyTorch)."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return max(x, 0)."""
        self.cache = x > 0 if self.training else None  # True multiplies as 1, False as 0
        return np.maximum(x, 0)


class LeakyReLU(_Elementwise):
    """x where x > 0, `slope` * x elsewhere (as Keras, whose default is 0.3).

    Parameters
    ----------
    slope : float
        Slope for x <= 0, at least 0.
    """

    def __init__(self, slope: float = 0.3) -> None:
        self.slope = check_real(slope, "slope")

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return x, multiplied by the slope where x <= 0."""
        factor = np.where(x > 0, 1.0, self.slope).astype(x.dtype)
        self.cache = factor
        return x * factor


class Tanh(_Elementwise):
    """amplitude * tanh(steepness * x).

    Parameters
    ----------
    amplitude, steepness : float
        1 and 1 give the plain tanh; LeNet-5 of 1998 has 1.7159 and 2/3 (LeCun et al. 1998, appendix A).
    """

    def __init__(self, amplitude: float = 1.0, steepness: float = 1.0) -> None:
        self.amplitude = check_real(amplitude, "amplitude", low=-math.inf)
        self.steepness = check_real(steepness, "steepness", low=-math.inf)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the scaled tanh."""
        tanh = np.tanh(x * self.steepness)
        slope = self.amplitude * self.steepness  # at 0
        self.cache = (1 - tanh * tanh) * slope if self.training else None
        return tanh * self.amplitude


class Sigmoid(_Elementwise):
    """1 / (1 + exp(-x)), without overflow."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the logistic function of x."""
        y = sigmoid(x)
        self.cache = y * (1 - y) if self.training else None
        return y


class Softmax(Layer):
    """Probabilities along the last axis: exp(x) / sum(exp(x)).

    A net trained with `softmax_cross_entropy` does not need this layer: that loss takes logits.
    """

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the probabilities."""
        y = softmax(x)
        self.cache = y.copy() if self.training else None
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return y * (dy - sum(dy * y))."""
        y = self.cache
        check_dy(dy, y.shape)
        return y * (dy - (dy * y).sum(axis=-1, keepdims=True))
