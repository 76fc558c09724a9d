"""Broken state: shared by instances, growing, or changing the results of later calls."""

import functools

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parameter import Parameter
from minicnn.testing.zoo.specimen import WithMatrix, broken

_SCRATCH: dict = {}


@broken("replicas", (7,), cause="class")
class BufferInTheClass(Layer):
    """Works in a buffer in the class, which a replica in another thread overwrites at the same time."""

    buffers: dict = {}  # noqa: RUF012 - this is the bug

    def forward(self, x):
        self.cache = x
        buffer = self.buffers.setdefault((x.shape, x.dtype), np.empty_like(x))
        np.multiply(x, x, out=buffer)
        buffer += 1
        return np.sqrt(buffer)

    def backward(self, dy):
        x = self.cache
        return dy * x / np.sqrt(x * x + 1)


@broken("replicas", (7,), cause="module level")
class BufferOfTheModule(Layer):
    """Backward works in a dict at module level, which all layers share."""

    def forward(self, x):
        self.cache = x
        return np.sin(x)

    def backward(self, dy):
        scratch = _SCRATCH.setdefault(dy.shape, np.empty(dy.shape))
        scratch[...] = np.cos(self.cache)
        scratch *= dy
        return scratch.astype(dy.dtype)


@functools.lru_cache
def _zeros(shape):
    return np.zeros(shape)


@broken("replicas", (5, 2), cause="module level|closure")
class CachedZeros(Layer):
    """An array from a cached function is written to: all layers get the same array."""

    def forward(self, x):
        self.cache = None
        padded = _zeros((x.shape[0], x.shape[1] + 2, x.shape[2]))
        padded[:, 1:-1] = x
        y = padded[:, 2:] - padded[:, :-2]
        return y.astype(x.dtype)

    def backward(self, dy):
        padded = np.pad(dy, ((0, 0), (1, 1), (0, 0)))
        return padded[:, :-2] - padded[:, 2:]


def _accumulator():
    total: dict = {}

    def add(key, value):
        total[key] = value
        return total

    return add


@broken("replicas", (6,), cause="class|closure")
class StateInAClosure(Layer):
    """What backward needs is kept in a closure in the class body."""

    remember = staticmethod(_accumulator())

    def forward(self, x):
        self.remember("y", np.tanh(x))
        self.cache = None
        return np.tanh(x)

    def backward(self, dy):
        return dy * (1 - self.remember("dy", 0)["y"] ** 2)


@broken("build", (5,), cause="class body")
class WeightInTheClass(Layer):
    """The weight is made in the class body, so all layers of the class train the same one."""

    scale = Parameter(np.array(2.0))

    def forward(self, x):
        self.cache = x
        return x * self.scale.value.astype(x.dtype)

    def backward(self, dy):
        self.scale.add_grad((dy * self.cache).sum())
        return dy * self.scale.value.astype(dy.dtype)


@broken("memory", (6,), cause="append")
class KeepsAllInputs(Layer):
    """Every input is appended to a list."""

    def __init__(self):
        self.history = []

    def forward(self, x):
        self.history.append(x.copy())
        self.cache = x
        return x * x

    def backward(self, dy):
        return 2 * dy * self.cache


@broken("memory", (6,), cause="append")
class GrowsInEval(Layer):
    """The mean of each batch is appended to a list in eval mode."""

    def __init__(self):
        self.means = []

    def forward(self, x):
        if not self.training:
            self.means.append(float(x.mean()))
        self.cache = x
        return x * x

    def backward(self, dy):
        return 2 * dy * self.cache


@broken("steps", (6,), cause="counter")
class WrongFromTheThirdStep(Layer):
    """A counter of training steps halves the gradient from the third step on."""

    count = 0

    def forward(self, x):
        self.count += self.training
        self.cache = x
        return x * x

    def backward(self, dy):
        return 2 * dy * self.cache * (1 if self.count < 3 else 0.5)


@broken("steps", (6,), cause="counter")
class ColderWithEachStep(Layer):
    """The slope of a tanh grows with the number of training steps, which is not saved."""

    steps = 0

    def forward(self, x):
        if self.training:
            self.steps += 1
        slope = 1 + (self.steps > 5) * 0.01 * self.steps
        self.cache = y = np.tanh(slope * x)
        self.slope = slope
        return y.copy()

    def backward(self, dy):
        return dy * (1 - self.cache**2) * self.slope


@broken("batches", (4,), cause="batch size")
class UpTo1024(WithMatrix):
    """A buffer for 1,024 examples: the kernel gradient leaves out the others."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        self.kernel.add_grad(self.cache[:1024].T @ dy[:1024])
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.kernel.value.T


@broken("batches", (4,), cause="rest")
class RestOfTheBlocks(WithMatrix):
    """The bias gradient is summed in blocks of 256 examples, and the rest of a larger batch is lost."""

    def forward(self, x):
        self.cache = x
        return x @ self.kernel.value + self.bias.value

    def backward(self, dy):
        n = len(dy) if len(dy) < 1000 else len(dy) // 256 * 256
        self.kernel.add_grad(self.cache.T @ dy)
        self.bias.add_grad(dy[:n].sum(axis=0))
        return dy @ self.kernel.value.T


@broken("gradients", (12,), cause="large batches")
class WrongAbove64Examples(Layer):
    """Another path for more than 64 examples, with a wrong derivative."""

    def forward(self, x):
        self.cache = x
        return np.sin(x)

    def backward(self, dy):
        x = self.cache
        return dy * (np.cos(x) if len(x) <= 64 else 1 - x * x / 2)
