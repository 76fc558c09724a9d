"""Right activations in various styles."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parameter import Parameter
from minicnn.testing.styles.style import right


@right((7,))
class Softplus(Layer):
    """log(1 + exp(x)) by logaddexp."""

    def forward(self, x):
        self.cache = x
        return np.logaddexp(x, np.zeros((), x.dtype))

    def backward(self, dy):
        e = np.exp(-np.abs(self.cache))
        return dy * np.where(self.cache > 0, 1, e) / (1 + e)


@right((5,))
@right((3, 4))
class LogSoftmax(Layer):
    """x - log(sum(exp(x))), with the maximum subtracted."""

    def forward(self, x):
        z = x - x.max(axis=-1, keepdims=True)
        y = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
        self.cache = y.copy()
        return y

    def backward(self, dy):
        return dy - np.exp(self.cache) * dy.sum(axis=-1, keepdims=True)


@right((6,))
class Exponential(Layer):
    """exp(x), which is infinite by right."""

    def forward(self, x):
        y = np.exp(x)
        self.cache = y.copy()
        return y

    def backward(self, dy):
        return dy * self.cache


@right((6,))
class HyperbolicSine(Layer):
    """sinh(x)."""

    def forward(self, x):
        self.cache = x
        return np.sinh(x)

    def backward(self, dy):
        return dy * np.cosh(self.cache)


@right((6,))
class Mish(Layer):
    """x tanh(softplus(x)) (Misra 2019)."""

    def forward(self, x):
        t = np.tanh(np.logaddexp(x, 0).astype(x.dtype))
        self.cache = x, t
        return x * t

    def backward(self, dy):
        x, t = self.cache
        e = np.exp(-np.abs(x))
        sigmoid = np.where(x >= 0, 1, e) / (1 + e)
        return dy * (t + x * (1 - t * t) * sigmoid)


@right((6,))
@right((4, 4, 2))
class HardSwish(Layer):
    """x relu6(x + 3) / 6."""

    def forward(self, x):
        self.cache = x
        return x * np.clip(x + 3, 0, 6) / 6

    def backward(self, dy):
        x = self.cache
        return dy * np.select([x <= -3, x >= 3], [np.zeros_like(x), np.ones_like(x)], (2 * x + 3) / 6)


@right((6,))
class ReLU6(Layer):
    """ReLU up to 6, by minimum and maximum."""

    def forward(self, x):
        self.cache = (x > 0) & (x < 6)
        return np.minimum(np.maximum(x, 0), 6)

    def backward(self, dy):
        return np.where(self.cache, dy, 0)


@right((6,))
class SELU(Layer):
    """Scaled ELU (Klambauer et al. 2017)."""

    def forward(self, x):
        self.cache = x
        return 1.0507 * np.where(x > 0, x, 1.67326 * np.expm1(np.minimum(x, 0)))

    def backward(self, dy):
        x = self.cache
        return 1.0507 * dy * np.where(x > 0, 1, 1.67326 * np.exp(np.minimum(x, 0)))


@right((6,))
class Softsign(Layer):
    """x / (1 + |x|)."""

    def forward(self, x):
        size = 1 + np.abs(x)
        self.cache = size
        return x / size

    def backward(self, dy):
        return dy / self.cache**2


@right((6,))
class SoftShrink(Layer):
    """Moves each value towards 0 by 0.3."""

    def forward(self, x):
        self.cache = np.abs(x) > 0.3
        return np.sign(x) * np.maximum(np.abs(x) - 0.3, 0)

    def backward(self, dy):
        return dy * self.cache


@right((5,))
class Snake(Layer):
    """x + sin(a x)**2 / a with a learned a (Ziyin et al. 2020)."""

    def init_params(self, input_shape, rng):
        self.a = Parameter(np.ones(input_shape[-1]))

    def forward(self, x):
        self.cache = x
        return x + np.sin(self.a.value * x) ** 2 / self.a.value

    def backward(self, dy):
        x, a = self.cache, self.a.value
        slope = np.sin(2 * a * x)
        self.a.add_grad((dy * (slope * x / a - (np.sin(a * x) / a) ** 2)).sum(axis=0))
        return dy * (1 + slope)


@right((6,))
class SineFirst(Layer):
    """sin(30 x), the first layer of a SIREN."""

    def forward(self, x):
        self.cache = x
        return np.sin(30 * x)

    def backward(self, dy):
        return 30 * dy * np.cos(30 * self.cache)


@right((6,))
class GaussianBump(Layer):
    """exp(-x**2 / 2)."""

    def forward(self, x):
        y = np.exp(-x * x / 2)
        self.cache = x, y.copy()
        return y

    def backward(self, dy):
        x, y = self.cache
        return -dy * x * y


@right((6,))
class SmoothAbsolute(Layer):
    """sqrt(x**2 + 1)."""

    def forward(self, x):
        self.cache = x
        return np.hypot(x, np.ones((), x.dtype))

    def backward(self, dy):
        return dy * self.cache / np.hypot(self.cache, np.ones((), dy.dtype))


def _positive(rng, shape):
    return rng.uniform(0.5, 3, shape)


@right((5,), inputs=_positive)
class Logarithm(Layer):
    """log(x), for x > 0."""

    def forward(self, x):
        self.cache = x
        return np.log(x)

    def backward(self, dy):
        return dy / self.cache


@right((5,), inputs=_positive)
class LearnedPower(Layer):
    """x**p with a learned p, for x > 0."""

    def init_params(self, input_shape, rng):
        self.p = Parameter(np.array(2.0))

    def forward(self, x):
        self.cache = x
        return x**self.p.value

    def backward(self, dy):
        x, p = self.cache, self.p.value
        self.p.add_grad((dy * x**p * np.log(x)).sum())
        return dy * p * x ** (p - 1)


@right((6,))
class Cubic(Layer):
    """x**3 - x, by Horner's rule."""

    def forward(self, x):
        self.cache = x
        return (x * x - 1) * x

    def backward(self, dy):
        return dy * (3 * self.cache**2 - 1)


@right((6,), 3)
class PiecewiseLinear(Layer):
    """A sum of ReLUs at fixed knots with learned slopes."""

    def __init__(self, pieces):
        self.pieces = pieces

    def init_params(self, input_shape, rng):
        self.slopes = Parameter(rng.normal(size=self.pieces))
        self.knots = Parameter(np.linspace(-1, 1, self.pieces), trainable=False)

    def forward(self, x):
        self.cache = parts = np.maximum(x[..., None] - self.knots.value, 0)
        return parts @ self.slopes.value

    def backward(self, dy):
        parts = self.cache
        self.slopes.add_grad(np.tensordot(dy, parts, dy.ndim))
        return dy * ((parts > 0) @ self.slopes.value)


@right((4, 4, 2))
class Absolute(Layer):
    """|x|, with the gradient 0 at 0."""

    def forward(self, x):
        self.cache = np.sign(x)
        return np.abs(x)

    def backward(self, dy):
        return dy * self.cache
