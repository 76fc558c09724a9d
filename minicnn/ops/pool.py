"""2-D max and average pooling and their gradients.

Windows are not copied: for each of the kh * kw places in a window, a strided view of the images holds that
cell of all windows, and whole views are combined. Results have the memory layout of the images, see
`minicnn.ops.windows`.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from minicnn.ops.padding import Pads, Pair, check_images, check_padding, output_size, pair, resolve_padding
from minicnn.ops.windows import WindowPlan, crop, pad
from minicnn.validation import check_dy_shape

MAX_CELLS = 256  # of a window, up to which its cells are added in the dtype of the images
TIES = ("first", "all", "split")


def max_pool2d(
    x: np.ndarray, pool_size: int | Pair, strides: int | Pair | None = None, padding: str | Pads = "valid"
) -> np.ndarray:
    """Return the largest value in each window.

    Parameters
    ----------
    x : ndarray of float32 or float64, shape (N, H, W, C)
        Images; never written.
    pool_size : int or (int, int)
        Rows and columns of the window.
    strides : int or (int, int), optional
        Step of the window; by default its size.
    padding : {"valid", "same"} or ((top, bottom), (left, right))
        As in `conv2d`. Padded cells never win, even if all inputs are negative (as in TensorFlow).

    Returns
    -------
    ndarray, shape (N, OH, OW, C), dtype of `x`

    Raises
    ------
    ValueError
        If a window does not fit into the padded image, or could lie entirely in the padding.
    TypeError
        If `x` is not float32 or float64.

    Examples
    --------
    >>> max_pool2d(np.arange(16.0).reshape(1, 4, 4, 1), 2)[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    plan = _plan_pooling(x, pool_size, strides, padding)
    return _reduce(plan, pad(x, plan.pads, -np.inf), np.maximum)


def max_pool2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    pool_size: int | Pair,
    strides: int | Pair | None = None,
    padding: str | Pads = "valid",
    ties: str = "first",
    y: np.ndarray | None = None,
) -> np.ndarray:
    """Return the gradient of `max_pool2d` with respect to `x`.

    Parameters
    ----------
    dy : ndarray, shape (N, OH, OW, C)
        The gradient of the loss with respect to the output; never written.
    x, pool_size, strides, padding
        As given to `max_pool2d`.
    ties : {"first", "all", "split"}
        How the gradient is distributed over several equal maxima of a window: all of it to the first in
        row-major order (as TensorFlow, Keras and PyTorch), all of it to each of them (the textbook rule), or
        in equal shares.
    y : ndarray, shape (N, OH, OW, C), optional
        Output of `max_pool2d`; computed if not given.

    Returns
    -------
    ndarray, shape (N, H, W, C), dtype of `x`

    Raises
    ------
    ValueError
        As `max_pool2d`, and if `dy` or `y` does not have the output's shape, or `ties` is another rule.

    Notes
    -----
    For finite numbers. A window that contains NaN has no largest value, and the place of its gradient is
    undefined; an infinite gradient becomes NaN in the other cells of its window.

    The function is long because one loop over the cells serves the three rules of ties.

    Examples
    --------
    >>> x, dy = np.zeros((1, 2, 2, 1)), np.ones((1, 1, 1, 1))
    >>> [max_pool2d_backward(dy, x, 2, ties=rule).ravel().tolist() for rule in ("first", "all", "split")]
    [[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.25, 0.25, 0.25, 0.25]]
    """
    check_ties(ties)
    plan = _plan_pooling(x, pool_size, strides, padding)
    check_dy_shape(dy, plan.y_shape)
    if y is not None and np.shape(y) != plan.y_shape:
        raise ValueError(f"`y` must have the shape of dy, {plan.y_shape}, got {np.shape(y)}")
    largest = max_pool2d(x, pool_size, strides, padding) if y is None else y
    padded = pad(x, plan.pads, np.nan)  # equals nothing: padded cells never win, even among -inf
    rest = np.empty_like(x, shape=plan.y_shape)
    rest[...] = dy
    if ties == "split":
        rest /= sum(cell == largest for cell in _cells(plan, padded))
    (down, across), (kh, kw) = plan.strides, plan.kernel_shape[:2]
    overlap = down < kh or across < kw
    tiled = (down, across) == (kh, kw) and (plan.oh * kh, plan.ow * kw) == plan.padded_size
    dpadded = np.empty_like(padded) if tiled else np.zeros_like(padded)
    pairs = list(zip(_cells(plan, padded), _cells(plan, dpadded), strict=True))
    # If windows tile an image without padding, the rest belongs to the last cell: no comparison is needed. (A
    # maximum of NaN equals nothing: the last cell gets the whole gradient here, and none gets it elsewhere.)
    last = pairs.pop()[1] if ties == "first" and tiled and padded is x else None
    for cell, dcell in pairs:
        # A product with a mask is vectorised; selecting by the mask is ten times slower.
        taken = np.multiply(rest, cell == largest, out=None if overlap else dcell)
        if overlap:
            dcell += taken
        if ties == "first":
            rest -= taken  # nothing is left for later cells of the window
    if last is not None:
        last[...] = rest
    return crop(dpadded, plan.pads)


def avg_pool2d(
    x: np.ndarray, pool_size: int | Pair, strides: int | Pair | None = None, padding: str | Pads = "valid"
) -> np.ndarray:
    """Return the mean of each window; padded cells do not count (as in TensorFlow).

    Parameters, returned value and errors are those of `max_pool2d`.

    Examples
    --------
    >>> avg_pool2d(np.arange(16.0).reshape(1, 4, 4, 1), 2)[0, :, :, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    plan = _plan_pooling(x, pool_size, strides, padding)
    dtype = _sum_dtype(plan, x.dtype)
    y = _reduce(plan, pad(x.astype(dtype, copy=False), plan.pads), np.add)
    y /= _unpadded_cells(plan, dtype)
    return y.astype(x.dtype, copy=False)


def avg_pool2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    pool_size: int | Pair,
    strides: int | Pair | None = None,
    padding: str | Pads = "valid",
) -> np.ndarray:
    """Return the gradient of `avg_pool2d` with respect to `x`; only the shape and dtype of `x` are used.

    Parameters, returned value and errors are those of `max_pool2d_backward`.

    Examples
    --------
    >>> avg_pool2d_backward(np.ones((1, 1, 1, 1)), np.zeros((1, 2, 2, 1)), 2).ravel()
    array([0.25, 0.25, 0.25, 0.25])
    """
    plan = _plan_pooling(x, pool_size, strides, padding)
    check_dy_shape(dy, plan.y_shape)
    dtype = _sum_dtype(plan, x.dtype)
    share = np.asarray(dy, dtype) / _unpadded_cells(plan, dtype)
    dpadded = np.zeros_like(share, shape=(len(x), *plan.padded_size, x.shape[3]))
    for dcell in _cells(plan, dpadded):
        dcell += share
    return crop(dpadded, plan.pads).astype(x.dtype, copy=False)


def _sum_dtype(plan: WindowPlan, dtype: np.dtype) -> np.dtype:
    """Return the dtype for sums over windows: of large windows, float32 would lose digits."""
    return np.result_type(dtype, np.float64) if math.prod(plan.kernel_shape[:2]) > MAX_CELLS else dtype


def check_ties(ties: str) -> None:
    """Raise unless `ties` is one of the three rules."""
    if ties not in TIES:
        raise ValueError(f"`ties` must be one of {', '.join(map(repr, TIES))}, got {ties!r}")


def _plan_pooling(
    x: np.ndarray, pool_size: int | Pair, strides: int | Pair | None, padding: str | Pads
) -> WindowPlan:
    """Check the arguments and return the plan: that of a convolution in which each channel is a group."""
    check_images(x)
    window = pair(pool_size, "pool_size")
    strides = window if strides is None else pair(strides, "strides")
    return _plan(x.shape, window, strides, check_padding(padding))


@lru_cache(maxsize=256)
def _plan(x_shape: tuple[int, int, int, int], window: Pair, strides: Pair, padding: str | Pads) -> WindowPlan:
    size, channels = x_shape[1:3], x_shape[3]
    pads = resolve_padding(padding, size, window, strides)
    if 0 in size:
        raise ValueError(f"pooling needs images of at least one pixel, got height and width {size}")
    if max(pads[0]) >= window[0] or max(pads[1]) >= window[1]:
        raise ValueError(f"`padding` must be smaller than the window {window}, got {pads}")
    oh, ow = output_size(size, window, strides, pads)
    return WindowPlan(x_shape, (*window, 1, channels), strides, (1, 1), channels, pads, oh, ow)


def _cells(plan: WindowPlan, images: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the cell of all windows, a view (N, OH, OW, C), for each place in a window in row-major order."""
    for i in range(plan.kernel_shape[0]):
        for j in range(plan.kernel_shape[1]):
            yield images[:, plan.input_rows(i), plan.input_columns(j)]


def _reduce(plan: WindowPlan, padded: np.ndarray, combine: np.ufunc) -> np.ndarray:
    """Combine the cells of each window, first over rows, which leaves less work for the columns."""
    kh, kw = plan.kernel_shape[:2]
    rows = padded[:, plan.input_rows(0)]
    for i in range(1, kh):
        rows = combine(rows, padded[:, plan.input_rows(i)], out=None if i == 1 else rows)
    y = rows[:, :, plan.input_columns(0)].copy(order="K")
    for j in range(1, kw):
        combine(y, rows[:, :, plan.input_columns(j)], out=y)
    return y


def _unpadded_cells(plan: WindowPlan, dtype: np.dtype) -> np.ndarray:
    """Return the number of cells of each window that are not padding, (OH, OW, 1)."""
    (_, height, width, _), (kh, kw, *_) = plan.x_shape, plan.kernel_shape
    top = np.arange(plan.oh) * plan.strides[0] - plan.pads[0][0]  # the first row of each window
    left = np.arange(plan.ow) * plan.strides[1] - plan.pads[1][0]
    rows = np.minimum(top + kh, height) - np.maximum(top, 0)
    columns = np.minimum(left + kw, width) - np.maximum(left, 0)
    return np.outer(rows, columns).astype(dtype)[:, :, None]
