"""Broken poolings: ties, padding, overlapping windows, wrong divisors."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.ops.pool import avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward
from minicnn.testing.zoo.specimen import broken

AROUND = ((0, 0), (1, 1), (1, 1), (0, 0))
AFTER = ((0, 0), (0, 1), (0, 1), (0, 0))


@broken("ties", (6, 6, 2), cause="every tied maximum gets the whole gradient")
class EveryTieTakesAll(Layer):
    """Every tied maximum gets the whole gradient, which multiplies it in constant regions."""

    def forward(self, x):
        self.cache = x
        return max_pool2d(x, 2)

    def backward(self, dy):
        return max_pool2d_backward(dy, self.cache, 2, ties="all")


@broken("ties", (6, 6, 2), cause="tied maxima get no gradient")
class TiesGetNothing(Layer):
    """Where the maximum is not unique, no input gets the gradient."""

    def forward(self, x):
        self.cache = x
        return max_pool2d(x, 2)

    def backward(self, dy):
        x = self.cache
        winners = max_pool2d_backward(np.ones_like(dy), x, 2, ties="all")
        alone = avg_pool2d(winners, 2) == 0.25
        return max_pool2d_backward(dy * alone, x, 2)


@broken("padding", (6, 6, 2), cause="zero padding")
class ZerosWinTheMaximum(Layer):
    """The image is padded with zeros, which win where all inputs are negative."""

    def forward(self, x):
        self.cache = x
        return max_pool2d(np.pad(x, AROUND), 3, 1)

    def backward(self, dy):
        padded = np.pad(self.cache, AROUND)
        return max_pool2d_backward(dy, padded, 3, 1)[:, 1:-1, 1:-1].copy()


@broken(
    "gradients", (5, 5, 2), cause="backward passes a gradient to elements on which the output does not depend"
)
class ZerosWinOnlyForward(Layer):
    """Forward pads with zeros, which win over negative inputs; in backward, padding never wins."""

    def forward(self, x):
        self.cache = x
        return max_pool2d(np.pad(x, AFTER), 2)

    def backward(self, dy):
        return max_pool2d_backward(dy, self.cache, 2, padding="same")


@broken("padding", (5, 5, 2), cause="a mean must divide by the number of real cells in the window")
class HalfOfTheMeanAtTheBorder(Layer):
    """At the border, the mean is divided by half of the window, whatever it covers."""

    pool_size, strides, padding = 2, 2, "same"

    def _weights(self, x):
        weights = np.full((1, x.shape[1] // 2 + 1, x.shape[2] // 2 + 1, 1), 0.25, x.dtype)
        weights[:, -1] = weights[:, :, -1] = 0.375
        return weights

    def forward(self, x):
        self.cache = x.shape
        p = np.pad(x, AFTER)
        return sum(p[:, i::2, j::2] for i in (0, 1) for j in (0, 1)) * self._weights(x)

    def backward(self, dy):
        _, h, w, _ = self.cache
        d = dy * self._weights(np.empty(self.cache, dy.dtype))
        return d.repeat(2, axis=1).repeat(2, axis=2)[:, :h, :w].copy()


@broken("gradients", (7, 7, 2), cause="only some of the terms count")
class OverlapAssigns(Layer):
    """A maximum of several overlapping windows gets the gradient of the last one only."""

    def forward(self, x):
        self.cache = x
        return max_pool2d(x, 3, 2)

    def backward(self, dy):
        x = self.cache
        dx = np.zeros_like(x)
        n, c = np.ogrid[: len(x), : x.shape[3]]
        for i, j in np.ndindex(dy.shape[1:3]):
            window = x[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].reshape(len(x), 9, -1)
            row, column = np.divmod(window.argmax(axis=1), 3)
            dx[n, 2 * i + row, 2 * j + column, c] = dy[:, i, j]
        return dx


@broken("gradients", (7, 7, 2), cause="a constant factor")
class DividesByTheStride(Layer):
    """The gradient of the mean is divided by the area of the stride instead of the window."""

    def forward(self, x):
        self.cache = x
        return avg_pool2d(x, 3, 2)

    def backward(self, dy):
        return avg_pool2d_backward(dy, self.cache, 3, 2) * (9 / 4)


@broken("gradients", (6, 6, 3), cause="the right values in wrong places")
class MaximumOfAllChannels(Layer):
    """The position of the maximum is computed once for all channels."""

    def forward(self, x):
        self.cache = x
        return max_pool2d(x, 2)

    def backward(self, dy):
        x = self.cache
        lightness = np.repeat(x.sum(axis=3, keepdims=True), x.shape[3], axis=3)
        return max_pool2d_backward(dy, lightness, 2)


@broken("shapes", (5, 5, 2), cause="one sum too many")
class IgnoresUncoveredCells(Layer):
    """Rows and columns that no window covers are missing in dx."""

    def forward(self, x):
        self.cache = x
        return max_pool2d(x, 2)

    def backward(self, dy):
        x = self.cache
        return max_pool2d_backward(dy, x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2], 2)


@broken("gradients", (4, 5, 3), cause="a constant factor")
class AreaNotDivided(Layer):
    """A global mean whose gradient is not divided by the number of pixels."""

    def forward(self, x):
        self.cache = x.shape
        return x.mean(axis=(1, 2))

    def backward(self, dy):
        return np.broadcast_to(dy[:, None, None, :], self.cache).copy()


@broken("aliasing", (4, 5, 3), cause=r"np\.broadcast_to and the like return a read-only view")
class ReturnsAView(Layer):
    """dx is a read-only broadcast view, in which all pixels are one number in memory."""

    def forward(self, x):
        self.cache = x.shape
        return x.mean(axis=(1, 2))

    def backward(self, dy):
        n, h, w, c = self.cache
        return np.broadcast_to((dy / (h * w))[:, None, None, :], (n, h, w, c))


@broken("gradients", (4, 4, 2), cause="missing term")
class SoftPoolOfConstantWeights(Layer):
    """The mean of a window weighted by the softmax of its values, whose weights are taken for constants."""

    def forward(self, x):
        n, h, w, c = x.shape
        windows = x.reshape(n, h // 2, 2, w // 2, 2, c)
        e = np.exp(windows - windows.max(axis=(2, 4), keepdims=True))
        p = e / e.sum(axis=(2, 4), keepdims=True)
        self.cache = p
        return (p * windows).sum(axis=(2, 4))

    def backward(self, dy):
        p = self.cache
        n, h, _, w, _, c = p.shape
        return (dy[:, :, None, :, None] * p).reshape(n, 2 * h, 2 * w, c)
