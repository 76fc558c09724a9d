"""Convolution of large batches with dilation in width: several convolutions without dilation.

The columns of one window are d apart, so columns with different remainders modulo d never meet: each
remainder is a convolution of its own, without dilation. With a stride s and g = gcd(s, d), the output columns
q, q + p, q + 2p, ... (p = d / g) form one convolution of stride s / g over the input columns q * s,
q * s + d, q * s + 2d, ...

Dilation in height does not need this: `conv_windows` copies the rows of a window one by one.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from minicnn.ops import conv_windows
from minicnn.ops.memory import aligned_empty, aligned_zeros
from minicnn.ops.padding import Pads
from minicnn.ops.windows import WindowPlan, batch_first, crop, pad


def forward(plan: WindowPlan, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """Return y (N, OH, OW, F), batch-last in memory."""
    n, oh, ow, filters = plan.y_shape
    y = batch_first(aligned_empty((oh, ow, filters, n), x.dtype))
    wide = pad(x, _sides(plan))
    for part, inputs, outputs in _undilated_plans(plan):
        y[:, :, outputs] = conv_windows.forward(part, wide[:, :, inputs], kernel, bias)
    return y


def backward_x(plan: WindowPlan, dy: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return dx (N, H, W, C), batch-last in memory."""
    n, h, _, channels = plan.x_shape
    dwide = batch_first(aligned_zeros((h, plan.padded_size[1], channels, n), dy.dtype, small=False))
    for part, inputs, outputs in _undilated_plans(plan):
        dwide[:, :, inputs] = conv_windows.backward_x(part, dy[:, :, outputs], kernel)
    return crop(dwide, _sides(plan))


def backward_kernel(plan: WindowPlan, dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dkernel (kh, kw, C / G, F)."""
    wide = pad(x, _sides(plan))
    dkernel = np.zeros(plan.kernel_shape, x.dtype)
    for part, inputs, outputs in _undilated_plans(plan):
        dkernel += conv_windows.backward_kernel(part, dy[:, :, outputs], wide[:, :, inputs])
    return dkernel


backward_bias = conv_windows.backward_bias


def _sides(plan: WindowPlan) -> Pads:
    """Return the padding on the left and right only."""
    return (0, 0), plan.pads[1]


def _undilated_plans(plan: WindowPlan) -> Iterator[tuple[WindowPlan, slice, slice]]:
    """Yield plans without dilation in width, with the columns of the image and of y that each covers."""
    (stride_down, stride), (dilation_down, dilation) = plan.strides, plan.dilation
    common = math.gcd(stride, dilation)
    period = dilation // common
    for first in range(min(period, plan.ow)):
        outputs = slice(first, plan.ow, period)
        ow = len(range(plan.ow)[outputs])
        width = (ow - 1) * stride // common + plan.kernel_shape[1]
        start = first * stride
        part = replace(
            plan,
            x_shape=(*plan.x_shape[:2], width, plan.x_shape[3]),
            strides=(stride_down, stride // common),
            dilation=(dilation_down, 1),
            pads=(plan.pads[0], (0, 0)),
            ow=ow,
        )
        yield part, slice(start, start + (width - 1) * dilation + 1, dilation), outputs
