"""Broken layers written with loops and reshapes: wrong ranges, offsets and orders of axes."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parameter import Parameter
from minicnn.testing.zoo.specimen import broken


class LoopConv(Layer):
    """Base class: a right convolution with a 3x3 kernel, by a loop over its positions."""

    def init_params(self, input_shape, rng):
        """Draw the kernel."""
        self.w = Parameter(rng.normal(0, 0.3, (3, 3, input_shape[-1], 2)))
        self.b = Parameter(np.zeros(2))

    def forward(self, x):
        """Add one product for each position in the kernel."""
        self.cache = x
        h, w = x.shape[1] - 2, x.shape[2] - 2
        y = np.zeros((len(x), h, w, 2), x.dtype) + self.b.value
        for i in range(3):
            for j in range(3):
                y += x[:, i : i + h, j : j + w] @ self.w.value[i, j]
        return y

    def backward(self, dy):
        """Return dx; add the gradients of kernel and bias."""
        x = self.cache
        h, w = dy.shape[1:3]
        dx, dw = np.zeros_like(x), np.zeros_like(self.w.value)
        for i in range(3):
            for j in range(3):
                window = x[:, i : i + h, j : j + w]
                dw[i, j] = np.tensordot(window, dy, ((0, 1, 2), (0, 1, 2)))
                dx[:, i : i + h, j : j + w] += dy @ self.w.value[i, j].T
        self.w.add_grad(dw)
        self.b.add_grad(dy.sum(axis=(0, 1, 2)))
        return dx


@broken("gradients", (5, 6, 2), cause="last example")
class BiasOfTheLastExample(LoopConv):
    """A loop over examples assigns the bias gradient, so only the last example counts."""

    def backward(self, dy):
        before = self.b.grad.copy()
        dx = super().backward(dy)
        for one in dy:
            db = one.sum(axis=(0, 1))
        self.b.grad[...] = before + db
        return dx


@broken("gradients", (6, 6, 1), cause="not computed")
class LoopEndsTooEarly(LoopConv):
    """The loop over columns of dy ends one column too early, so the last column of dx stays 0."""

    def backward(self, dy):
        dx = super().backward(dy)
        dx[:, :, -1] = 0
        return dx


@broken("gradients", (5, 5, 2), cause="transposed")
class RowsAndColumnsOfTheKernel(LoopConv):
    """The kernel gradient has rows and columns swapped."""

    def backward(self, dy):
        before = self.w.grad.copy()
        dx = super().backward(dy)
        self.w.grad[...] = before + (self.w.grad - before).transpose(1, 0, 2, 3)
        return dx


@broken("gradients", (4, 6, 2), cause="first example")
class WinnersOfTheFirstExample(Layer):
    """Max pooling takes the positions of the maxima in the first example for all of them."""

    def forward(self, x):
        n, h, w, c = x.shape
        blocks = (
            x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 5, 2, 4).reshape(n, h // 2, w // 2, c, 4)
        )
        self.cache = blocks.argmax(axis=-1), x.shape
        return blocks.max(axis=-1)

    def backward(self, dy):
        winners, (n, h, w, c) = self.cache
        mask = np.arange(4) == winners[:1, ..., None]
        blocks = (mask * dy[..., None]).reshape(n, h // 2, w // 2, c, 2, 2)
        return blocks.transpose(0, 1, 4, 2, 5, 3).reshape(n, h, w, c).copy()


@broken("gradients", (5, 6, 2), cause="factor")
class MeanNotDivided(Layer):
    """Average pooling by slices whose gradient is that of sum pooling."""

    def forward(self, x):
        self.cache = x.shape
        h, w = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
        return (x[:, :h:2, :w:2] + x[:, 1:h:2, :w:2] + x[:, :h:2, 1:w:2] + x[:, 1:h:2, 1:w:2]) / 4

    def backward(self, dy):
        dx = np.zeros(self.cache, dy.dtype)
        h, w = 2 * dy.shape[1], 2 * dy.shape[2]
        dx[:, :h, :w] = dy.repeat(2, axis=1).repeat(2, axis=2)
        return dx


@broken("gradients", (5, 5, 3), cause="order")
class ColumnsInAnotherOrder(Layer):
    """im2col orders a window as rows, columns, channels; the kernel gradient is read as channels first."""

    def init_params(self, input_shape, rng):
        self.w = Parameter(rng.normal(0, 0.3, (9 * input_shape[-1], 2)))

    def _columns(self, x):
        n, h, w, c = x.shape
        parts = [x[:, i : i + h - 2, j : j + w - 2] for i in range(3) for j in range(3)]
        return np.stack(parts, axis=3).reshape(n, h - 2, w - 2, 9 * c)

    def forward(self, x):
        self.cache = columns, _ = self._columns(x), x.shape
        return columns @ self.w.value

    def backward(self, dy):
        columns, (n, h, w, c) = self.cache
        dw = np.tensordot(columns, dy, ((0, 1, 2), (0, 1, 2)))
        self.w.add_grad(dw.reshape(9, c, 2).transpose(1, 0, 2).reshape(9 * c, 2))
        dcolumns = (dy @ self.w.value.T).reshape(n, h - 2, w - 2, 9, c)
        dx = np.zeros((n, h, w, c), dy.dtype)
        for k in range(9):
            i, j = divmod(k, 3)
            dx[:, i : i + h - 2, j : j + w - 2] += dcolumns[:, :, :, k]
        return dx


@broken("gradients", (7, 2), cause="shifted by one")
class CausalOffByOne(Layer):
    """A causal convolution over time whose dx is shifted by one step."""

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
        return dp[:, 1:-1].copy()


@broken("gradients", (5, 5, 3), cause="zero|not computed")
class OneChannelOnly(Layer):
    """A depthwise product over the rows: only the first channel's weights get a gradient."""

    def init_params(self, input_shape, rng):
        self.w = Parameter(rng.normal(0, 0.5, (input_shape[0], input_shape[-1])))

    def forward(self, x):
        self.cache = x
        return np.einsum("nhwc,hc->nwc", x, self.w.value)

    def backward(self, dy):
        dw = np.einsum("nhwc,nwc->hc", self.cache, dy)
        dw[:, 1:] = 0
        self.w.add_grad(dw)
        return np.einsum("nwc,hc->nhwc", dy, self.w.value)


@broken("gradients", (4, 4, 4), cause="order")
class PixelShuffleBack(Layer):
    """Depth to space; backward takes the two axes of a block in the other order."""

    def forward(self, x):
        n, h, w, c = x.shape
        self.cache = x.shape
        return (
            x.reshape(n, h, w, 2, 2, c // 4)
            .transpose(0, 1, 3, 2, 4, 5)
            .reshape(n, 2 * h, 2 * w, c // 4)
            .copy()
        )

    def backward(self, dy):
        n, h, w, c = self.cache
        return dy.reshape(n, h, 2, w, 2, c // 4).transpose(0, 1, 3, 4, 2, 5).reshape(n, h, w, c).copy()


@broken("gradients", (6, 6, 1), cause="wrong places|shifted by 1")
class WritesBesideTheSlice(Layer):
    """Takes every second pixel; backward writes the gradient beside it."""

    def forward(self, x):
        self.cache = x.shape
        return x[:, ::2, ::2].copy()

    def backward(self, dy):
        dx = np.zeros(self.cache, dy.dtype)
        dx[:, 1::2, 1::2] = dy
        return dx


@broken("gradients", (3, 4, 2), cause="factor")
class UpsamplingTakesTheMean(Layer):
    """Repeats each pixel; dx is the mean of the four gradients, not their sum."""

    def forward(self, x):
        self.cache = None
        return x.repeat(2, axis=1).repeat(2, axis=2)

    def backward(self, dy):
        n, h, w, c = dy.shape
        return dy.reshape(n, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))


@broken("gradients", (4, 5, 2), cause="maximum")
class MaximumSharedByAll(Layer):
    """A global maximum whose gradient is shared by all pixels, as that of a mean."""

    def forward(self, x):
        self.cache = x.shape
        return x.max(axis=(1, 2))

    def backward(self, dy):
        n, h, w, c = self.cache
        return np.ones((n, h, w, c), dy.dtype) * dy[:, None, None] / (h * w)


@broken("gradients", (4, 4, 2), cause="norm")
class RootForgottenInLpPool(Layer):
    """Pooling by the root of the sum of squares; the gradient lacks the division by the root."""

    def forward(self, x):
        y = np.sqrt((x * x).sum(axis=(1, 2)) + 1e-3)
        self.cache = x
        return y

    def backward(self, dy):
        return dy[:, None, None] * self.cache


@broken("gradients", (6, 2), cause="forgotten term")
class DifferenceOfNeighbours(Layer):
    """The difference of neighbours in time; the gradient of the later one is forgotten."""

    def forward(self, x):
        self.cache = x.shape
        return x[:, 1:] - x[:, :-1]

    def backward(self, dy):
        dx = np.zeros(self.cache, dy.dtype)
        dx[:, :-1] -= dy
        return dx


@broken("gradients", (2, 6), cause="factor")
class MeanOverThePaddedLength(Layer):
    """A moving mean over time of three steps; dx divides by the length of the input."""

    def forward(self, x):
        self.cache = x.shape
        return (x[:, :, :-2] + x[:, :, 1:-1] + x[:, :, 2:]) / 3

    def backward(self, dy):
        dx = np.zeros(self.cache, dy.dtype)
        for i in range(3):
            dx[:, :, i : i + dy.shape[2]] += dy / dx.shape[2]
        return dx
