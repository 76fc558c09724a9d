"""Right layers with state: tables that all instances share, locks, buffers of their own, counters."""

import collections
import functools
import threading
from typing import Any

import numpy as np

from minicnn.layers import Conv2D, Dense, Layer, ReLU
from minicnn.parameter import Parameter
from minicnn.testing.styles.style import right


@functools.lru_cache
def _cosines(n: int) -> np.ndarray:
    k = np.arange(n)
    return np.cos(np.pi * (k[:, None] + 0.5) * k / n)


@right((8,))
@right((3, 4))
class CosineTransform(Layer):
    """A product with a table that all instances share and nobody changes."""

    def forward(self, x):
        self.cache = table = _cosines(x.shape[-1]).astype(x.dtype)
        return x @ table

    def backward(self, dy):
        return dy @ self.cache.T


@right((4, 5, 1))
class SharedPlans(Layer):
    """Indices by shape, kept in the class and never changed."""

    plans: dict = {}  # noqa: RUF012 - as people write it

    def forward(self, x):
        key = x.shape[1:3]
        if key not in self.plans:
            self.plans[key] = np.arange(key[0] * key[1]).reshape(key)[::-1].ravel()
        self.cache = plan = self.plans[key]
        return x.reshape(len(x), -1, x.shape[-1])[:, plan].reshape(x.shape)

    def backward(self, dy):
        dx = np.empty((len(dy), self.cache.size, dy.shape[-1]), dy.dtype)
        dx[:, self.cache] = dy.reshape(len(dy), -1, dy.shape[-1])
        return dx.reshape(dy.shape)


@right((6,))
class LockedBuffer(Layer):
    """A buffer in the class that a lock protects."""

    lock = threading.Lock()
    buffers: dict = {}  # noqa: RUF012 - as people write it

    def forward(self, x):
        self.cache = x
        with self.lock:
            buffer = self.buffers.setdefault((x.shape, x.dtype), np.empty_like(x))
            np.multiply(x, x, out=buffer)
            buffer += 1
            return np.sqrt(buffer)

    def backward(self, dy):
        return dy * self.cache / np.sqrt(self.cache**2 + 1)


@right((6,))
class ThreadLocalBuffer(Layer):
    """A buffer for each thread."""

    local = threading.local()

    def forward(self, x):
        self.cache = x
        if getattr(self.local, "buffer", np.empty(0)).shape != x.shape or self.local.buffer.dtype != x.dtype:
            self.local.buffer = np.empty_like(x)
        buffer = self.local.buffer
        np.multiply(x, x, out=buffer)
        return buffer + 1

    def backward(self, dy):
        return 2 * dy * self.cache


@right((6,))
class OwnBuffer(Layer):
    """A buffer in an attribute, whose values are copied before they are returned."""

    def __init__(self):
        self.buffer = np.empty(0)

    def forward(self, x):
        if self.buffer.shape != x.shape or self.buffer.dtype != x.dtype:
            self.buffer = np.empty_like(x)
        np.tanh(x, out=self.buffer)
        self.cache = self.buffer.copy()
        return self.buffer.copy()

    def backward(self, dy):
        return dy * (1 - self.cache**2)


@right((5,))
class LastShapes(Layer):
    """Remembers the shapes of the last ten inputs."""

    def __init__(self):
        self.shapes: Any = collections.deque(maxlen=10)

    def forward(self, x):
        self.shapes.append(x.shape)
        self.cache = x
        return x * x

    def backward(self, dy):
        return 2 * dy * self.cache


@right((5,))
class CountsItsCalls(Layer):
    """Counts its calls, for a report."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        self.cache = x
        return x**3

    def backward(self, dy):
        return 3 * dy * self.cache**2


@right((5,))
class ManyParts(Layer):
    """Weights in a list of dicts."""

    def init_params(self, input_shape, rng):
        n = input_shape[0]
        self.parts = [
            {"w": Parameter(rng.normal(0, 0.5, (n, n))), "b": Parameter(np.zeros(n))} for _ in range(2)
        ]

    def forward(self, x):
        values = [x]
        for part in self.parts:
            values.append(np.tanh(values[-1] @ part["w"].value + part["b"].value))
        self.cache = values
        return values[-1].copy()

    def backward(self, dy):
        values = self.cache
        for part, x, y in zip(reversed(self.parts), values[-2::-1], values[:0:-1], strict=True):
            dz = dy * (1 - y * y)
            part["w"].add_grad(x.T @ dz)
            part["b"].add_grad(dz.sum(axis=0))
            dy = dz @ part["w"].value.T
        return dy


@right((5, 5, 2))
class Bottleneck(Layer):
    """Two convolutions with a shortcut, in a dict of layers."""

    def init_params(self, input_shape, rng):
        self.body = {
            "down": Conv2D(1, 1).build(input_shape, rng),
            "relu": ReLU().build((*input_shape[:2], 1), rng),
            "up": Conv2D(input_shape[-1], 3, padding="same").build((*input_shape[:2], 1), rng),
        }

    def forward(self, x):
        y = x
        for layer in self.body.values():
            y = layer(y)
        self.cache = None
        return x + y

    def backward(self, dy):
        dx = dy
        for layer in reversed(self.body.values()):
            dx = layer.backward(dx)
        return dy + dx


@right((6,))
class TwoHeads(Layer):
    """Two dense layers side by side."""

    def init_params(self, input_shape, rng):
        self.left, self.right = Dense(2).build(input_shape, rng), Dense(3).build(input_shape, rng)

    def forward(self, x):
        return np.concatenate([self.left(x), self.right(x)], axis=1)

    def backward(self, dy):
        return self.left.backward(dy[:, :2]) + self.right.backward(dy[:, 2:])


@right((4,))
class SkipsDx(Layer):
    """A dense layer that computes dx only where it is needed."""

    def init_params(self, input_shape, rng):
        self.w = Parameter(rng.normal(0, 0.5, (input_shape[0], 3)))

    def forward(self, x):
        self.cache = x
        return x @ self.w.value

    def backward(self, dy):
        self.w.add_grad(self.cache.T @ dy)
        return dy @ self.w.value.T if self.needs_dx else None


@right((4,))
class Frozen(Layer):
    """A dense layer with a fixed matrix and a learned bias."""

    def init_params(self, input_shape, rng):
        self.w = Parameter(rng.normal(0, 0.5, (input_shape[0], 3)), trainable=False)
        self.b = Parameter(np.zeros(3))

    def forward(self, x):
        self.cache = None
        return x @ self.w.value + self.b.value

    def backward(self, dy):
        self.b.add_grad(dy.sum(axis=0))
        return dy @ self.w.value.T


@right((6,))
class InBlocks(Layer):
    """A dense layer that works on 64 examples at a time."""

    def init_params(self, input_shape, rng):
        self.w = Parameter(rng.normal(0, 0.5, (input_shape[0], 3)))

    def forward(self, x):
        self.cache = x
        return np.concatenate([x[i : i + 64] @ self.w.value for i in range(0, len(x), 64)])

    def backward(self, dy):
        x = self.cache
        for i in range(0, len(x), 64):
            self.w.add_grad(x[i : i + 64].T @ dy[i : i + 64])
        return dy @ self.w.value.T
