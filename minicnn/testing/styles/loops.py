"""Right layers written with loops, slices and reshapes."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parameter import Parameter
from minicnn.testing.styles.style import right


@right((6, 5, 2))
@right((4, 4, 1))
class LoopConv(Layer):
    """A convolution by loops over examples, rows and columns."""

    kernel_size, strides, padding = 3, 1, "valid"

    def init_params(self, input_shape, rng):
        self.kernel = Parameter(rng.normal(0, 0.3, (3, 3, input_shape[-1], 2)))
        self.bias = Parameter(np.zeros(2))

    def forward(self, x):
        self.cache = x
        n, h, w, _ = x.shape
        y = np.zeros((n, h - 2, w - 2, 2), x.dtype)
        for k in range(n):
            for i in range(h - 2):
                for j in range(w - 2):
                    window = x[k, i : i + 3, j : j + 3]
                    y[k, i, j] = np.tensordot(window, self.kernel.value, 3) + self.bias.value
        return y

    def backward(self, dy):
        x = self.cache
        dx, dkernel = np.zeros_like(x), np.zeros_like(self.kernel.value)
        for k, i, j in np.ndindex(dy.shape[:3]):
            window = slice(i, i + 3), slice(j, j + 3)
            dx[k][window] += self.kernel.value @ dy[k, i, j]
            dkernel += x[k][window][..., None] * dy[k, i, j]
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dy.sum(axis=(0, 1, 2)))
        return dx


@right((5, 6, 2))
class LoopMaxPool(Layer):
    """Max pooling by loops; the first maximum of a window gets the gradient."""

    pool_size, strides, padding = 2, 2, "valid"

    def forward(self, x):
        self.cache = x
        n, h, w, c = x.shape
        y = np.empty((n, h // 2, w // 2, c), x.dtype)
        for i in range(h // 2):
            for j in range(w // 2):
                y[:, i, j] = x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max(axis=(1, 2))
        return y

    def backward(self, dy):
        x = self.cache
        dx = np.zeros_like(x)
        for k, i, j, c in np.ndindex(dy.shape):
            window = x[k, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
            row, column = np.unravel_index(window.argmax(), window.shape)
            dx[k, 2 * i + row, 2 * j + column, c] += dy[k, i, j, c]
        return dx


@right((7, 2))
class CausalConv1D(Layer):
    """A convolution over time that sees no later step."""

    def init_params(self, input_shape, rng):
        self.w = Parameter(rng.normal(0, 0.5, (3, input_shape[-1], 2)))

    def forward(self, x):
        self.cache = p = np.pad(x, ((0, 0), (2, 0), (0, 0)))
        return sum(p[:, i : i + x.shape[1]] @ self.w.value[i] for i in range(3))

    def backward(self, dy):
        p, t = self.cache, dy.shape[1]
        dp = np.zeros_like(p)
        for i in range(3):
            self.w.grad[i] += np.tensordot(p[:, i : i + t], dy, ((0, 1), (0, 1)))
            dp[:, i : i + t] += dy @ self.w.value[i].T
        return dp[:, 2:].copy()


@right((5, 5, 3))
class Im2col(Layer):
    """A convolution by a matrix of windows."""

    def init_params(self, input_shape, rng):
        self.w = Parameter(rng.normal(0, 0.3, (9 * input_shape[-1], 2)))

    def forward(self, x):
        _, h, w, _ = x.shape
        columns = [x[:, i : i + h - 2, j : j + w - 2] for i in range(3) for j in range(3)]
        self.cache = matrix, _ = np.concatenate(columns, axis=-1), x.shape
        return matrix @ self.w.value

    def backward(self, dy):
        matrix, (n, h, w, c) = self.cache
        self.w.add_grad(np.einsum("nhwk,nhwf->kf", matrix, dy))
        dmatrix = dy @ self.w.value.T
        dx = np.zeros((n, h, w, c), dy.dtype)
        for k in range(9):
            i, j = divmod(k, 3)
            dx[:, i : i + h - 2, j : j + w - 2] += dmatrix[..., k * c : (k + 1) * c]
        return dx


@right((4, 4, 4))
class DepthToSpace(Layer):
    """Moves blocks of channels to pixels."""

    def forward(self, x):
        n, h, w, c = x.shape
        self.cache = None
        y = x.reshape(n, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5)
        return y.reshape(n, 2 * h, 2 * w, c // 4).copy()

    def backward(self, dy):
        n, h, w, c = dy.shape
        dx = dy.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5)
        return dx.reshape(n, h // 2, w // 2, 4 * c).copy()


@right((5, 6, 1))
class EverySecond(Layer):
    """Every second pixel."""

    def forward(self, x):
        self.cache = x.shape
        return x[:, ::2, ::2].copy()

    def backward(self, dy):
        dx = np.zeros(self.cache, dy.dtype)
        dx[:, ::2, ::2] = dy
        return dx


@right((3, 4, 2))
class NearestUpsampling(Layer):
    """Repeats each pixel, by np.repeat."""

    def forward(self, x):
        self.cache = None
        return x.repeat(2, axis=1).repeat(2, axis=2)

    def backward(self, dy):
        n, h, w, c = dy.shape
        return dy.reshape(n, h // 2, 2, w // 2, 2, c).sum(axis=(2, 4))


@right((4, 3, 2))
class LinearUpsampling(Layer):
    """Interpolates rows by a matrix."""

    def forward(self, x):
        h = x.shape[1]
        places = np.linspace(0, h - 1, 2 * h - 1)
        self.cache = matrix = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(h))).astype(x.dtype)
        return np.einsum("oh,nhwc->nowc", matrix, x)

    def backward(self, dy):
        return np.einsum("oh,nowc->nhwc", self.cache, dy)


@right((4, 5, 2))
class GlobalMax(Layer):
    """The maximum of each channel; the first pixel that has it gets the gradient."""

    def forward(self, x):
        flat = x.reshape(len(x), -1, x.shape[-1])
        winners = flat.argmax(axis=1)
        self.cache = winners, x.shape
        return np.take_along_axis(flat, winners[:, None], axis=1)[:, 0]

    def backward(self, dy):
        winners, shape = self.cache
        dx = np.zeros((shape[0], shape[1] * shape[2], shape[3]), dy.dtype)
        np.put_along_axis(dx, winners[:, None], dy[:, None], axis=1)
        return dx.reshape(shape)


@right((6, 3))
class CumulativeSum(Layer):
    """The sum of all steps so far."""

    def forward(self, x):
        self.cache = None
        return np.cumsum(x, axis=1)

    def backward(self, dy):
        return np.cumsum(dy[:, ::-1], axis=1)[:, ::-1].copy()


@right((6, 2))
class Differences(Layer):
    """The differences of neighbours in time."""

    def forward(self, x):
        self.cache = x.shape
        return np.diff(x, axis=1)

    def backward(self, dy):
        dx = np.zeros(self.cache, dy.dtype)
        dx[:, 1:] += dy
        dx[:, :-1] -= dy
        return dx


@right((2, 6))
class MovingMean(Layer):
    """The mean of three neighbours."""

    def forward(self, x):
        self.cache = x.shape
        return (x[..., :-2] + x[..., 1:-1] + x[..., 2:]) / 3

    def backward(self, dy):
        dx = np.zeros(self.cache, dy.dtype)
        for i in range(3):
            dx[..., i : i + dy.shape[-1]] += dy / 3
        return dx


@right((3, 4, 2))
@right((5,))
class Reverse(Layer):
    """The last axis in reverse order."""

    def forward(self, x):
        self.cache = None
        return x[..., ::-1].copy()

    def backward(self, dy):
        return dy[..., ::-1].copy()


@right((4, 3, 2))
class Permute(Layer):
    """Images to channels first."""

    def forward(self, x):
        self.cache = None
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))

    def backward(self, dy):
        return np.ascontiguousarray(dy.transpose(0, 2, 3, 1))


@right((5, 3))
class SimpleRecurrent(Layer):
    """A recurrent layer, unrolled in a loop; returns the last state."""

    def init_params(self, input_shape, rng):
        self.w = Parameter(rng.normal(0, 0.5, (input_shape[-1], 4)))
        self.u = Parameter(rng.normal(0, 0.4, (4, 4)))

    def forward(self, x):
        states = [np.zeros((len(x), 4), x.dtype)]
        for t in range(x.shape[1]):
            states.append(np.tanh(x[:, t] @ self.w.value + states[-1] @ self.u.value))
        self.cache = x, states
        return states[-1].copy()

    def backward(self, dy):
        x, states = self.cache
        dx, dh = np.empty_like(x), dy
        for t in reversed(range(x.shape[1])):
            dz = dh * (1 - states[t + 1] ** 2)
            self.w.add_grad(x[:, t].T @ dz)
            self.u.add_grad(states[t].T @ dz)
            dx[:, t] = dz @ self.w.value.T
            dh = dz @ self.u.value.T
        return dx
