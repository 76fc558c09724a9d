"""2-D convolution (cross-correlation) as matrix products of windows, and its three gradients.

The arguments are checked here, and the algorithms are selected by the shapes alone: batch-first for small
batches, batch-last for large ones, and for the gradients Winograd's where it is faster. Inputs of any memory
layout are accepted, and copied if necessary.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minicnn.ops import (
    conv_im2col,
    conv_rows,
    conv_windows,
    conv_windows_dilated,
    winograd,
    winograd_im2col,
    winograd_windows,
)
from minicnn.ops.padding import Pads, Pair
from minicnn.ops.windows import WindowPlan, plan_windows, prefers_batch_last
from minicnn.validation import check_dy_shape

# Where the algorithms for many channels begin to be faster, measured with OpenBLAS.
MIN_CHANNELS = 8  # channels, and filters
MIN_TERMS = 64  # columns times channels of one row of the kernel, for `conv_rows`
MIN_PAIRS = 256  # channels times filters: transforms take time for each of them, products for each pair
MIN_WORK = 1 << 18  # the same, times pixels and images: a few calls of NumPy more must not matter


def conv2d(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    strides: int | Pair = 1,
    padding: str | Pads = "valid",
    dilation: int | Pair = 1,
    groups: int = 1,
) -> np.ndarray:
    """Return the cross-correlation of the images `x` with `kernel`, plus the bias.

    Parameters
    ----------
    x : ndarray of float32 or float64, shape (N, H, W, C)
        Images; never written.
    kernel : ndarray, shape (kh, kw, C / groups, F)
        The weights, in TensorFlow's order.
    bias : ndarray, shape (F,), optional
        Added to each output pixel.
    strides, dilation : int or (int, int)
        Step of the window, and distance of the cells inside it, vertical and horizontal.
    padding : {"valid", "same"} or ((top, bottom), (left, right))
        "same" is TensorFlow's: ceil(H / stride) output rows; an odd padding row goes after the image.
    groups : int
        Number of groups of channels; each is convolved with F / groups filters of its own.

    Returns
    -------
    ndarray, shape (N, OH, OW, F), dtype of `x`

    Raises
    ------
    ValueError
        If shapes do not match, or a window does not fit into the padded image.
    TypeError
        If `x` is not float32 or float64.

    Notes
    -----
    A window of zeros gives exactly the bias. In large batches (`prefers_batch_last`), equal windows of an
    image give bit-equal outputs. In small ones they may differ by rounding: all windows are rows of one
    matrix, of which BLAS multiplies some by other instructions (OpenBLAS for AVX-512 up to three at the end,
    for AVX2 six of each twelve).

    Examples
    --------
    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> conv2d(x, np.ones((2, 2, 1, 1)))[0, :, :, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    plan = plan_windows(x, kernel, strides, padding, dilation, groups)
    filters = plan.y_shape[3:]
    if bias is not None and np.shape(bias) != filters:
        raise ValueError(f"`bias` must have one value per filter, shape {filters}, got {np.shape(bias)}")
    bias = None if bias is None else np.asarray(bias, x.dtype)
    return _select_algorithm(plan).forward(plan, x, np.ascontiguousarray(kernel, x.dtype), bias)


def conv2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    strides: int | Pair = 1,
    padding: str | Pads = "valid",
    dilation: int | Pair = 1,
    groups: int = 1,
    *,
    need_dx: bool = True,
    need_dkernel: bool = True,
    need_dbias: bool = True,
) -> tuple[Any, Any, Any]:
    """Return the gradients of `conv2d` with respect to `x`, `kernel` and the bias.

    Parameters
    ----------
    dy : ndarray, shape (N, OH, OW, F)
        The gradient of the loss with respect to the output of `conv2d`; never written.
    x, kernel, strides, padding, dilation, groups
        As given to `conv2d`.
    need_dx, need_dkernel, need_dbias : bool
        False omits a gradient that is not needed (dx in the first layer of a net).

    Returns
    -------
    dx : ndarray, shape (N, H, W, C), or None
    dkernel : ndarray, shape (kh, kw, C / groups, F), or None
    dbias : ndarray, shape (F,), or None

    Raises
    ------
    ValueError
        As `conv2d`, and if `dy` does not have the output's shape.
    TypeError
        If `x` is not float32 or float64.

    Notes
    -----
    Where dx and dkernel are computed by Winograd's algorithm, their errors in float32 are about 2e-7 (root
    mean square, relative to the largest), two to four times as large as otherwise. A NaN in dy then reaches
    all rows of a tile of dx: up to 24 pixels with a 3x3 kernel in place of 9, but never another image.

    Examples
    --------
    >>> x, kernel = np.arange(9.0).reshape(1, 3, 3, 1), np.ones((2, 2, 1, 1))
    >>> dx, dkernel, dbias = conv2d_backward(np.ones((1, 2, 2, 1)), x, kernel)
    >>> dx[0, :, :, 0]                            # number of windows that contain each pixel
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    plan = plan_windows(x, kernel, strides, padding, dilation, groups)
    check_dy_shape(dy, plan.y_shape)
    algorithm = _select_algorithm(plan)
    dy = np.asarray(dy, x.dtype)
    dkernel = algorithm.backward_kernel(plan, dy, x) if need_dkernel else None
    dbias = algorithm.backward_bias(dy) if need_dbias else None
    # Last, to save memory: the padded copy of x, which is as large as dx, is freed by now.
    dx = algorithm.backward_x(plan, dy, np.ascontiguousarray(kernel, x.dtype)) if need_dx else None
    return dx, dkernel, dbias


class Algorithm(NamedTuple):
    """The functions that compute a convolution and its gradients."""

    forward: Callable[[WindowPlan, np.ndarray, np.ndarray, np.ndarray | None], np.ndarray]
    backward_x: Callable[[WindowPlan, np.ndarray, np.ndarray], np.ndarray]
    backward_kernel: Callable[[WindowPlan, np.ndarray, np.ndarray], np.ndarray]
    backward_bias: Callable[[np.ndarray], np.ndarray]


def _select_algorithm(plan: WindowPlan) -> Algorithm:
    """Return the functions that compute the convolution of these shapes fastest."""
    if not prefers_batch_last(plan.x_shape):
        gradients = winograd_im2col if _suits_winograd(plan) else conv_im2col
        bias = conv_im2col.backward_bias
        return Algorithm(conv_im2col.forward, gradients.backward_x, gradients.backward_kernel, bias)
    base = conv_windows if plan.dilation[1] == 1 else conv_windows_dilated
    if min(plan.kernel_shape[2:]) < MIN_CHANNELS:
        return Algorithm(base.forward, base.backward_x, base.backward_kernel, base.backward_bias)
    forward = conv_rows.forward if _suits_rows(plan) else base.forward
    if _suits_winograd(plan):
        backward_x, backward_kernel = winograd_windows.backward_x, winograd_windows.backward_kernel
    else:
        dx_plan = plan.input_gradient_plan()
        by_rows = dx_plan is not None and _suits_rows(dx_plan)
        backward_x, backward_kernel = (conv_rows if by_rows else base).backward_x, base.backward_kernel
    return Algorithm(forward, backward_x, backward_kernel, conv_windows.backward_bias)


def _suits_rows(plan: WindowPlan) -> bool:
    """Return whether one product for each row of the kernel is faster than copying the rows of windows."""
    kh, kw, c, _ = plan.kernel_shape
    return plan.groups == 1 and plan.dilation[1] == 1 and kh > 1 and kw * c >= MIN_TERMS


def _suits_winograd(plan: WindowPlan) -> bool:
    """Return whether Winograd's algorithm computes the gradients, and computes them faster."""
    kh, _, c, filters = plan.kernel_shape
    if min(c, filters) < MIN_CHANNELS or c * filters < MIN_PAIRS or not 3 <= kh <= 5:
        return False
    if (plan.strides, plan.dilation, plan.groups) != ((1, 1), (1, 1), 1):
        return False
    if plan.input_gradient_plan() is None:
        return False
    # Rows of pixels are multiplied `points` times in a tile, otherwise kh times in each row of the output. A
    # fifth fewer are needed: the last tile may be almost empty.
    points = winograd.ROWS + kh - 1
    tiles = -(-max(plan.x_shape[1], plan.oh) // winograd.ROWS)
    if 5 * points * tiles >= 4 * kh * plan.oh:
        return False
    # The kernel and its gradient are transformed as well, which takes time for few pixels.
    if math.prod(plan.y_shape[:3]) < max(c, filters):
        return False
    return math.prod(plan.y_shape) * c >= MIN_WORK
