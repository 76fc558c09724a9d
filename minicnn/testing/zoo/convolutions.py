"""Broken convolutions: windows at the wrong place, sums over the wrong axis, kernels the wrong way round."""

from __future__ import annotations

import numpy as np

from minicnn.layers.base import Layer
from minicnn.layers.conv import Conv2D
from minicnn.ops.conv import conv2d, conv2d_backward
from minicnn.parameter import Parameter
from minicnn.testing.zoo.specimen import WithKernel, broken


@broken("gradients", (6, 6, 2))
class FlippedKernelInDx(WithKernel):
    """The kernel is flipped once too often on the way back to dx."""

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value)

    def backward(self, dy):
        _, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value)
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dbias)
        dx, _, _ = conv2d_backward(dy, self.cache, self.kernel.value[::-1, ::-1])
        return dx


@broken("gradients", (6, 6, 2))
class WindowsAssign(WithKernel):
    """Windows overlap, and dx is assigned window by window (`=`) instead of added (`+=`)."""

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value)

    def backward(self, dy):
        _, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value)
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dbias)
        dx = np.zeros_like(self.cache)
        for i, j in np.ndindex(dy.shape[1:3]):
            dx[:, i : i + 3, j : j + 3] = np.einsum("nf,hwcf->nhwc", dy[:, i, j], self.kernel.value)
        return dx


@broken("gradients", (8, 8, 2))
class StrideForgottenInDkernel(WithKernel):
    """The kernel's gradient takes its windows one cell apart, though forward took them two apart."""

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value, strides=2)

    def backward(self, dy):
        dx, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value, strides=2)
        _, oh, ow, _ = dy.shape
        _, dkernel, _ = conv2d_backward(dy, self.cache[:, : oh + 2, : ow + 2], self.kernel.value)
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dbias)
        return dx


@broken("geometry", (8, 8, 2))
class SameIgnoresStride(WithKernel):
    """The padding of 'same' is computed as for a stride of 1."""

    kernel_size, strides, padding = 3, 2, "same"

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value, 2, ((1, 1), (1, 1)))

    def backward(self, dy):
        dx, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value, 2, ((1, 1), (1, 1)))
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dbias)
        return dx


@broken("geometry", (6, 6, 2))
class ExtraPaddingBefore(WithKernel):
    """An even kernel needs an odd number of padding rows; the odd one is put before instead of after."""

    size = (2, 4)
    kernel_size, strides, padding = (2, 4), 1, "same"

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value, 1, ((1, 0), (2, 1)))

    def backward(self, dy):
        dx, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value, 1, ((1, 0), (2, 1)))
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dbias)
        return dx


@broken("geometry", (7, 7, 1))
class SameKeepsTheSize(WithKernel):
    """'same' keeps the size although the stride is 2, where a layer must return ceil(size / stride)."""

    kernel_size, strides, padding = 3, 2, "same"

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value, 2, ((4, 4), (4, 4)))

    def backward(self, dy):
        dx, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value, 2, ((4, 4), (4, 4)))
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dbias)
        return dx


@broken("gradients", (7, 7, 2))
class DilationForgottenInBackward(WithKernel):
    """Forward spreads the kernel's cells two apart, backward takes them side by side for dx."""

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value, dilation=2)

    def backward(self, dy):
        x = self.cache
        _, dkernel, dbias = conv2d_backward(dy, x, self.kernel.value, dilation=2)
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dbias)
        wide = np.pad(dy, ((0, 0), (1, 1), (1, 1), (0, 0)))
        return conv2d_backward(wide, x, self.kernel.value)[0]


@broken("gradients", (6, 5, 2))
class BiasGradientOfOneRow(WithKernel):
    """The bias's gradient is not summed over the rows: only the first row counts."""

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value)

    def backward(self, dy):
        dx, dkernel, _ = conv2d_backward(dy, self.cache, self.kernel.value)
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dy.sum(axis=(0, 2))[0])
        return dx


@broken("shapes", (6, 5, 2))
class BiasGradientNotSummed(WithKernel):
    """The bias's gradient still has the axis of columns."""

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value)

    def backward(self, dy):
        dx, dkernel, _ = conv2d_backward(dy, self.cache, self.kernel.value)
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dy.sum(axis=(0, 1)))
        return dx


@broken("gradients", (6, 6, 2))
class OneElementOff(WithKernel):
    """The kernel's gradient is 0.1 % too large, in a single element."""

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value)

    def backward(self, dy):
        dx, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value)
        dkernel[1, 2, 0, 1] *= 1.001
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dbias)
        return dx


@broken("gradients", (6, 6, 2))
class MeanHereSumThere(WithKernel):
    """The kernel's gradient is a mean over the batch, the bias's is a sum."""

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value)

    def backward(self, dy):
        dx, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value)
        self.kernel.add_grad(dkernel / len(dy))
        self.bias.add_grad(dbias)
        return dx


@broken("gradients", (9, 9, 2))
class StridesSwapped(WithKernel):
    """Strides (2, 1) are taken as (1, 2) in backward; the shapes fit, since dy is turned along."""

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value, (2, 1))

    def backward(self, dy):
        _, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value, (2, 1))
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dbias)
        return conv2d_backward(dy.transpose(0, 2, 1, 3), self.cache, self.kernel.value, (1, 2))[0]


@broken("gradients", (5, 6, 2))
class CropsTheWrongSide(WithKernel):
    """An even kernel pads after the image, and dx is cropped as if it had been padded before."""

    size = (2, 2)

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value, padding="same")

    def backward(self, dy):
        x = np.pad(self.cache, ((0, 0), (0, 1), (0, 1), (0, 0)))
        padded, dkernel, dbias = conv2d_backward(dy, x, self.kernel.value)
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dbias)
        return padded[:, 1:, 1:].copy()


@broken("gradients", (6, 6, 3))
class DepthwiseOrderReversed(Layer):
    """A depthwise convolution gives each channel's kernel the gradient of another channel."""

    def init_params(self, input_shape, rng):
        self.kernel = Parameter(rng.normal(0.0, 0.3, (3, 3, 1, input_shape[-1])))

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, groups=x.shape[-1])

    def backward(self, dy):
        x = self.cache
        dx, dkernel, _ = conv2d_backward(dy, x, self.kernel.value, groups=x.shape[-1], need_dbias=False)
        self.kernel.add_grad(dkernel[..., ::-1])
        return dx


@broken("reference", (6, 6, 2), reference=lambda: Conv2D(2, 3))
class FlipsTheKernel(WithKernel):
    """It convolves in the mathematician's sense, kernel flipped, where networks correlate."""

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value[::-1, ::-1], self.bias.value)

    def backward(self, dy):
        dx, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value[::-1, ::-1])
        self.kernel.add_grad(dkernel[::-1, ::-1])
        self.bias.add_grad(dbias)
        return dx


@broken("aliasing", (6, 6, 2))
class ReturnsItsScratch(WithKernel):
    """The output is a buffer that the layer keeps, and the next forward of the same size overwrites it."""

    scratch = None

    def forward(self, x):
        self.cache = x
        y = conv2d(x, self.kernel.value, self.bias.value)
        if self.scratch is None or self.scratch.shape != y.shape or self.scratch.dtype != y.dtype:
            self.scratch = y
        self.scratch[...] = y
        return self.scratch

    def backward(self, dy):
        dx, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value)
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dbias)
        return dx


@broken("dtypes", (6, 6, 2))
class Float32InBackward(WithKernel):
    """dx is collected in an array of float32, whatever the dtype of dy."""

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value)

    def backward(self, dy):
        dx, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value)
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dbias)
        return np.zeros(dx.shape, np.float32) + dx.astype(np.float32)
