"""Broken convolutions: misplaced windows, sums over wrong axes, flipped kernels."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.layers.conv import Conv2D
from minicnn.ops.conv import conv2d, conv2d_backward
from minicnn.parameter import Parameter
from minicnn.testing.zoo.specimen import WithKernel, broken


@broken("gradients", (6, 6, 2), cause="a flipped kernel")
class FlippedKernelInDx(WithKernel):
    """For dx, the kernel is flipped once too often."""

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value)

    def backward(self, dy):
        _, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value)
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dbias)
        dx, _, _ = conv2d_backward(dy, self.cache, self.kernel.value[::-1, ::-1])
        return dx


@broken("gradients", (6, 6, 2), cause="only some of the terms count")
class WindowsAssign(WithKernel):
    """dx is assigned window by window (`=`) instead of added (`+=`), although windows overlap."""

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


@broken("gradients", (8, 8, 2), cause="stride")
class StrideForgottenInDkernel(WithKernel):
    """The kernel gradient uses a stride of 1, forward a stride of 2."""

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


@broken("geometry", (8, 8, 2), cause="'same' padding puts an odd row or column after the image")
class SameIgnoresStride(WithKernel):
    """The padding 'same' is computed for a stride of 1, although the stride is 2."""

    kernel_size, strides, padding = 3, 2, "same"

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value, 2, ((1, 1), (1, 1)))

    def backward(self, dy):
        dx, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value, 2, ((1, 1), (1, 1)))
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dbias)
        return dx


@broken("geometry", (7, 6, 2), cause="padded size")
class HalfTheKernelOnBothSides(WithKernel):
    """With an even kernel, 'same' pads half of it on both sides, which gives one row too many."""

    size = (2, 2)
    kernel_size, strides, padding = 2, 1, "same"

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value, 1, ((1, 1), (1, 1)))

    def backward(self, dy):
        dx, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value, 1, ((1, 1), (1, 1)))
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dbias)
        return dx


@broken("geometry", (7, 6, 2), cause="'same' padding puts an odd row or column after the image")
class PaddingAfterOnly(WithKernel):
    """'same' puts all of the padding after the image."""

    kernel_size, strides, padding = 3, 1, "same"

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value, 1, ((0, 2), (0, 2)))

    def backward(self, dy):
        dx, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value, 1, ((0, 2), (0, 2)))
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dbias)
        return dx


@broken("gradients", (7, 7, 2), cause="a flipped kernel")
class DilationForgottenInBackward(WithKernel):
    """Forward uses a dilation of 2, and dx a dilation of 1."""

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


@broken("gradients", (6, 5, 2), cause="only the first row counts")
class BiasGradientOfOneRow(WithKernel):
    """The bias gradient is not summed over the rows; only the first row counts."""

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value)

    def backward(self, dy):
        dx, dkernel, _ = conv2d_backward(dy, self.cache, self.kernel.value)
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dy.sum(axis=(0, 2))[0])
        return dx


@broken("shapes", (6, 5, 2), cause="a missing sum over an axis")
class BiasGradientNotSummed(WithKernel):
    """The bias gradient is not summed over the columns."""

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value)

    def backward(self, dy):
        dx, dkernel, _ = conv2d_backward(dy, self.cache, self.kernel.value)
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dy.sum(axis=(0, 1)))
        return dx


@broken("gradients", (6, 6, 2), cause="a single element is wrong")
class OneElementOff(WithKernel):
    """A single element of the kernel gradient is 0.1 % too large."""

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value)

    def backward(self, dy):
        dx, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value)
        dkernel[1, 2, 0, 1] *= 1.001
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dbias)
        return dx


@broken("gradients", (6, 6, 2), cause="a mean over the batch")
class MixesMeanAndSum(WithKernel):
    """The kernel gradient is a mean over the batch, the bias gradient is a sum."""

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value)

    def backward(self, dy):
        dx, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value)
        self.kernel.add_grad(dkernel / len(dy))
        self.bias.add_grad(dbias)
        return dx


@broken("gradients", (9, 9, 2), cause="a flipped kernel")
class StridesSwapped(WithKernel):
    """Backward takes strides (2, 1) as (1, 2); shapes fit because dy is transposed as well."""

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value, (2, 1))

    def backward(self, dy):
        _, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value, (2, 1))
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dbias)
        return conv2d_backward(dy.transpose(0, 2, 1, 3), self.cache, self.kernel.value, (1, 2))[0]


@broken("gradients", (5, 6, 2), cause="shifted by 1: padding that is cropped at the wrong side")
class CropsTheWrongSide(WithKernel):
    """Forward pads after the image, but dx is cropped as if the padding were before it."""

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


@broken("gradients", (6, 6, 3), cause="the right values in reverse order")
class DepthwiseOrderReversed(Layer):
    """A depthwise convolution adds the kernel gradients in reverse order of the channels."""

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


@broken(
    "reference",
    (6, 6, 2),
    reference=lambda: Conv2D(2, 3),
    cause="another function or convention than that of the reference",
)
class FlipsTheKernel(WithKernel):
    """Computes a true convolution, with the kernel flipped, in place of a cross-correlation."""

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value[::-1, ::-1], self.bias.value)

    def backward(self, dy):
        dx, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value[::-1, ::-1])
        self.kernel.add_grad(dkernel[::-1, ::-1])
        self.bias.add_grad(dbias)
        return dx


@broken("aliasing", (6, 6, 2), cause="the layer returns a buffer that it reuses")
class ReturnsItsScratch(WithKernel):
    """The output is a buffer that the next forward of the same size overwrites."""

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


@broken("dtypes", (6, 6, 2), cause="a fixed dtype")
class Float32InBackward(WithKernel):
    """dx is accumulated in float32, whatever the dtype of dy."""

    def forward(self, x):
        self.cache = x
        return conv2d(x, self.kernel.value, self.bias.value)

    def backward(self, dy):
        dx, dkernel, dbias = conv2d_backward(dy, self.cache, self.kernel.value)
        self.kernel.add_grad(dkernel)
        self.bias.add_grad(dbias)
        return np.zeros(dx.shape, np.float32) + dx.astype(np.float32)
