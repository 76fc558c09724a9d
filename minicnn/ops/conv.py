"""2-D convolution (cross-correlation) as gather and matrix product, and its three gradients.

Each window of the image is copied into one column of a matrix; the kernel, flattened, multiplies it:

    y = kernel @ gather(x)            forward
    dkernel = gather(x) @ dy.T        the same columns again
    dx = scatter(kernel.T @ dy)       scatter adds each column back to where gather took it from

How the windows lie in memory, and how many at a time, is the part of `minicnn.ops.windows`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.ops.padding import Pads, Pair, check_images
from minicnn.ops.windows import batch_first, batch_last, gathered, plan_windows, scatter


def conv2d(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    strides: int | Pair = 1,
    padding: str | Pads = "valid",
    dilation: int | Pair = 1,
    groups: int = 1,
) -> np.ndarray:
    """Slide `kernel` over the images `x` (without flipping it) and sum the products in each window.

    Parameters
    ----------
    x : ndarray of float32 or float64, shape (N, H, W, C)
        Images; never written.
    kernel : ndarray, shape (kh, kw, C / groups, F)
        The weights, in TensorFlow's order.
    bias : ndarray, shape (F,), optional
        Added to each output pixel.
    strides, dilation : int or (int, int)
        Steps of the window, and of the cells inside the window, down and across.
    padding : {"valid", "same"} or ((top, bottom), (left, right))
        "same" is TensorFlow's: ceil(H / stride) output rows, the odd padding row goes after.
    groups : int
        Channels are divided into so many groups, each convolved with its own F / groups filters.

    Returns
    -------
    ndarray, shape (N, OH, OW, F), dtype of `x`

    Raises
    ------
    ValueError
        If shapes do not fit together, or a window does not fit into the padded image.
    TypeError
        If `x` is not float32 or float64.

    Examples
    --------
    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> conv2d(x, np.ones((2, 2, 1, 1)))[0, :, :, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    check_images(x)
    plan = plan_windows(x, kernel, strides, padding, dilation, groups)
    if bias is not None and np.shape(bias) != (plan.filters,):
        raise ValueError(f"the bias must have one value a filter, ({plan.filters},), got {np.shape(bias)}")
    matrix = plan.to_matrix(np.asarray(kernel, x.dtype))
    if bias is not None:
        bias = np.asarray(bias, x.dtype).reshape(plan.groups, -1, 1)
    y = np.empty((plan.filters, plan.oh, plan.ow, len(x)), x.dtype)
    y_pixels = y.reshape(*matrix.shape[:2], -1)  # (G, F/G, OH * OW * N)
    for pixels, cols in gathered(plan, x):
        block = np.matmul(matrix, cols, out=y_pixels[:, :, pixels])
        if bias is not None:
            block += bias
    return batch_first(y)


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
        False leaves out what nobody wants (the first layer of a net needs no dx).

    Returns
    -------
    dx : ndarray, shape (N, H, W, C), or None
    dkernel : ndarray, shape (kh, kw, C / groups, F), or None
    dbias : ndarray, shape (F,), or None

    Raises
    ------
    ValueError
        As `conv2d`, and if `dy` has not the output's shape.
    TypeError
        If `x` is not float32 or float64.

    Examples
    --------
    >>> x, kernel = np.arange(9.0).reshape(1, 3, 3, 1), np.ones((2, 2, 1, 1))
    >>> dx, dkernel, dbias = conv2d_backward(np.ones((1, 2, 2, 1)), x, kernel)
    >>> dx[0, :, :, 0]                            # in how many windows each pixel stands
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    check_images(x)
    plan = plan_windows(x, kernel, strides, padding, dilation, groups)
    if np.shape(dy) != plan.y_shape:
        raise ValueError(f"dy must have the output's shape {plan.y_shape}, got {np.shape(dy)}")
    matrix = plan.to_matrix(np.asarray(kernel, x.dtype))
    dy_pixels = batch_last(np.asarray(dy), x.dtype).reshape(*matrix.shape[:2], -1)  # (G, F/G, OH * OW * N)
    dx = dkernel = dbias = None
    if need_dx:
        dx = scatter(plan, dy_pixels, matrix)
    if need_dkernel:
        dmatrix = np.zeros_like(matrix.transpose(0, 2, 1))
        for pixels, cols in gathered(plan, x):
            # In this order; BLAS takes twice as long for the transpose of it, where there are few filters.
            dmatrix += cols @ dy_pixels[:, :, pixels].transpose(0, 2, 1)
        dkernel = plan.from_matrix(dmatrix.transpose(0, 2, 1))
    if need_dbias:
        dbias = dy_pixels.sum(axis=2).ravel()
    return dx, dkernel, dbias
