"""Convolution of many images by kernels dilated in width: plain convolutions, each of every d-th column.

The columns that one window sees are d apart. So the columns with one remainder modulo d know nothing of the
others, and what they give is a convolution of its own, without dilation. With strides s of g = gcd(s, d),
output columns q, q + p, q + 2p, ... (p = d / g) belong together, and in steps of s / g see the input columns
q * s, q * s + d, q * s + 2d, ...

Dilation in height needs no such thing: the rows under a kernel are brought together one by one anyway.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from minicnn.ops import conv_windows
from minicnn.ops.padding import Pads
from minicnn.ops.windows import WindowPlan, batch_first, crop, pad


def forward(plan: WindowPlan, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """Return y (N, OH, OW, F), batch-last in memory."""
    n, oh, ow, filters = plan.y_shape
    y = batch_first(np.empty((oh, ow, filters, n), x.dtype))
    wide = pad(x, _sides(plan))
    for part, seen, made in _parts(plan):
        y[:, :, made] = conv_windows.forward(part, wide[:, :, seen], kernel, bias)
    return y


def backward_x(plan: WindowPlan, dy: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return dx (N, H, W, C), batch-last in memory."""
    n, h, _, channels = plan.x_shape
    dwide = batch_first(np.zeros((h, plan.padded_size[1], channels, n), dy.dtype))
    for part, seen, made in _parts(plan):
        dwide[:, :, seen] = conv_windows.backward_x(part, dy[:, :, made], kernel)
    return crop(dwide, _sides(plan))


def backward_kernel(plan: WindowPlan, dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return dkernel (kh, kw, C / G, F)."""
    wide = pad(x, _sides(plan))
    dkernel = np.zeros(plan.kernel_shape, x.dtype)
    for part, seen, made in _parts(plan):
        dkernel += conv_windows.backward_kernel(part, dy[:, :, made], wide[:, :, seen])
    return dkernel


backward_bias = conv_windows.backward_bias


def _sides(plan: WindowPlan) -> Pads:
    """Return the padding left and right alone."""
    return (0, 0), plan.pads[1]


def _parts(plan: WindowPlan) -> Iterator[tuple[WindowPlan, slice, slice]]:
    """Yield plans without dilation in width, and which columns each sees of the image, and makes of y."""
    (stride_down, stride), (dilation_down, dilation) = plan.strides, plan.dilation
    common = math.gcd(stride, dilation)
    apart = dilation // common
    for first in range(min(apart, plan.ow)):
        made = slice(first, plan.ow, apart)
        ow = len(range(plan.ow)[made])
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
        yield part, slice(start, start + (width - 1) * dilation + 1, dilation), made
