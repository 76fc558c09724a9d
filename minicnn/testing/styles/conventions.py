"""Right layers of other conventions for windows and padding, which get a remark."""

from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.ops.conv import conv2d, conv2d_backward
from minicnn.ops.pool import avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward
from minicnn.parameter import Parameter
from minicnn.testing.styles.style import right

AFTER = ((0, 0), (0, 1), (0, 1), (0, 0))


class PaddedConv(Layer):
    """Base class: a convolution with fixed padding, and what it declares."""

    size, strides = (3, 3), 1
    kernel_size: Any = 3
    padding: Any = "same"
    pads = ((1, 1), (1, 1))

    def init_params(self, input_shape, rng):
        """Draw the kernel."""
        self.kernel = Parameter(rng.normal(0.0, 0.3, (*self.size, input_shape[-1], 2)))

    def forward(self, x):
        """Return the convolved images."""
        self.cache = x
        return conv2d(x, self.kernel.value, None, self.strides, self.pads)

    def backward(self, dy):
        """Return dx; add the kernel's gradient."""
        options = {"need_dbias": False}
        dx, dkernel, _ = conv2d_backward(
            dy, self.cache, self.kernel.value, self.strides, self.pads, **options
        )
        self.kernel.add_grad(dkernel)
        return dx


@right((7, 7, 1), remark="textbook")
class TextbookStrided(PaddedConv):
    """The textbook's "same" keeps the size although the stride is 2."""

    strides, pads = 2, ((4, 4), (4, 4))


@right((6, 6, 2), remark="textbook")
class TextbookEven(PaddedConv):
    """The textbook's "same" puts the odd row and column of an even kernel before the image."""

    size, kernel_size, pads = (2, 4), (2, 4), ((1, 0), (2, 1))


@right((6, 7, 2), remark="causal")
class CausalConv(PaddedConv):
    """All padding is before the image, so no output sees a later row or column."""

    pads = ((2, 0), (2, 0))


@right((5, 4, 2), remark="full")
class FullConv(PaddedConv):
    """Each window that overlaps the image counts."""

    padding, pads = "full", ((2, 2), (2, 2))


@right((5, 6, 2))
class ExplicitConv(PaddedConv):
    """Padding by four numbers."""

    padding = pads = ((2, 0), (0, 1))


@right((6, 6, 1))
class IntegerPadding(PaddedConv):
    """Padding by one integer, as in PyTorch."""

    padding = 1


@right((5, 5, 2), remark="count")
class PaddedMean(Layer):
    """Average pooling whose mean counts padding."""

    pool_size, strides, padding = 2, 2, "same"

    def forward(self, x):
        self.cache = x
        return avg_pool2d(np.pad(x, AFTER), 2)

    def backward(self, dy):
        return avg_pool2d_backward(dy, np.pad(self.cache, AFTER), 2)[:, :-1, :-1].copy()


@right((5, 5, 2))
class SumPool(Layer):
    """Sum pooling of an odd image: a corner window holds one cell."""

    def __init__(self, pool_size=2, strides=2, padding="same"):
        self.pool_size, self.strides, self.padding = pool_size, strides, padding

    def forward(self, x):
        self.cache = x.shape
        p = np.pad(x, AFTER)
        return sum(p[:, i::2, j::2] for i in (0, 1) for j in (0, 1))

    def backward(self, dy):
        _, h, w, _ = self.cache
        return dy.repeat(2, axis=1).repeat(2, axis=2)[:, :h, :w].copy()


@right((5, 7, 2), remark="ceil mode")
class CeilModePool(Layer):
    """Max pooling whose last window may end outside the image."""

    pool_size, strides, padding = 2, 2, "valid"

    def forward(self, x):
        self.cache = x
        return max_pool2d(x, 2, 2, ((0, 1), (0, 1)))

    def backward(self, dy):
        return max_pool2d_backward(dy, self.cache, 2, 2, ((0, 1), (0, 1)))


@right((6, 6, 2))
class ReflectionPad(Layer):
    """Pads by reflection; the gradient of a mirrored pixel goes to the pixel itself."""

    def forward(self, x):
        self.cache = x.shape
        return np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")

    def backward(self, dy):
        _, h, w, _ = self.cache
        rows, columns = (np.pad(np.arange(n), 1, mode="reflect") for n in (h, w))
        part = np.zeros((len(dy), h, dy.shape[2], dy.shape[3]), dy.dtype)
        np.add.at(part, (slice(None), rows), dy)
        dx = np.zeros(self.cache, dy.dtype)
        np.add.at(dx, (slice(None), slice(None), columns), part)
        return dx


@right((6, 5, 2))
class RootPool(Layer):
    """Pooling by the root of the mean of squares, on windows without overlap."""

    def __init__(self, pool_size=(2, 5), strides=None, padding="valid"):
        self.pool_size, self.strides, self.padding = pool_size, strides, padding

    def forward(self, x):
        n, h, w, c = x.shape
        blocks = x.reshape(n, h // 2, 2, w // 5, 5, c)
        y = np.sqrt((blocks**2).mean(axis=(2, 4), keepdims=True) + 1e-6)
        self.cache = blocks, y
        return y[:, :, 0, :, 0].copy()

    def backward(self, dy):
        blocks, y = self.cache
        d = dy[:, :, None, :, None] * blocks / (10 * y)
        return d.reshape(len(dy), blocks.shape[1] * 2, -1, blocks.shape[-1])
