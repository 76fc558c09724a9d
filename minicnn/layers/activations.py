"""Activations: elementwise functions, and Softmax over the last axis.

No layer caches the array that it returns, since the caller may write into it.
"""

import math

import numpy as np

from minicnn.layers.base import Layer
from minicnn.ops.activations import sigmoid, softmax
from minicnn.ops.normal import normal_distribution
from minicnn.ops.underflow import HARMLESS
from minicnn.validation import check_dy, check_real


class _Elementwise(Layer):
    """A function of each value alone, whose derivative `forward` caches and `backward` multiplies by."""

    @HARMLESS
    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dy times the derivative."""
        derivative = self.cache
        return check_dy(dy, derivative.shape) * derivative


class ReLU(_Elementwise):
    """max(x, 0); its derivative at 0 is 0 (as TensorFlow and PyTorch)."""

    commutes_with_max = True

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
        positive = x > 0
        factor = positive + ~positive * x.dtype.type(self.slope)  # np.where is slow on mixed signs
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

    @HARMLESS
    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the scaled tanh."""
        tanh = np.tanh(x * self.steepness)
        slope = self.amplitude * self.steepness  # at 0
        self.cache = (1 - tanh * tanh) * slope if self.training else None
        return tanh * self.amplitude


class Sigmoid(_Elementwise):
    """1 / (1 + exp(-x)), without overflow."""

    @HARMLESS
    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the logistic function of x."""
        y = sigmoid(x)
        self.cache = y * (1 - y) if self.training else None
        return y


class ELU(_Elementwise):
    """x where x > 0, alpha * (exp(x) - 1) elsewhere (Clevert et al. 2016; as Keras).

    Parameters
    ----------
    alpha : float
        Minus the limit for x -> -inf, at least 0.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = check_real(alpha, "alpha")

    @HARMLESS
    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return x where it is positive, else alpha * (exp(x) - 1)."""
        negative = np.expm1(np.minimum(x, 0))
        negative *= self.alpha
        positive = x > 0
        self.cache = positive + ~positive * (negative + self.alpha) if self.training else None
        return np.maximum(x, 0) + negative


class SiLU(_Elementwise):
    """x * sigmoid(x), also called swish (Hendrycks and Gimpel 2016; Ramachandran et al. 2017).

    Examples
    --------
    >>> SiLU().build((3,))(np.array([[-1.0, 0.0, 1.0]])).round(4)
    array([[-0.2689,  0.    ,  0.7311]])
    """

    @HARMLESS
    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return x * sigmoid(x)."""
        gate = sigmoid(x)
        y = x * gate
        self.cache = gate + y * (1 - gate) if self.training else None
        return y


class GELU(_Elementwise):
    """x * P(X <= x) for a standard normal X (Hendrycks and Gimpel 2016).

    Parameters
    ----------
    approximate : bool
        Whether to use the tanh formula of the paper, which differs by up to 5e-4, instead of the normal
        distribution function (as Keras, whose default is False too).

    Examples
    --------
    >>> x = np.array([[-1.0, 0.0, 1.0]])
    >>> GELU().build((3,))(x).round(4), GELU(approximate=True).build((3,))(x).round(4)
    (array([[-0.1587,  0.    ,  0.8413]]), array([[-0.1588,  0.    ,  0.8412]]))
    """

    def __init__(self, approximate: bool = False) -> None:
        self.approximate = bool(approximate)

    @HARMLESS
    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return x times the probability."""
        probability, density = _tanh_formula(x) if self.approximate else normal_distribution(x)
        y = x * probability
        self.cache = probability + x * density if self.training else None
        return y


class Softmax(Layer):
    """Probabilities along the last axis: exp(x) / sum(exp(x)).

    A net trained with `softmax_cross_entropy` does not need this layer: that loss takes logits.
    """

    @HARMLESS
    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the probabilities."""
        y = softmax(x)
        self.cache = y.copy() if self.training else None
        return y

    @HARMLESS
    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return y * (dy - sum(dy * y))."""
        y = self.cache
        check_dy(dy, y.shape)
        return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


def _tanh_formula(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (1 + tanh(c * (x + 0.044715 x^3))) / 2, which is close to P(X <= x), and its derivative."""
    scale, cubic = math.sqrt(2 / math.pi), 0.044715
    squares = x * x
    tanh = np.tanh(scale * x * (1 + cubic * squares))
    return 0.5 * (1 + tanh), 0.5 * scale * (1 - tanh * tanh) * (1 + 3 * cubic * squares)
