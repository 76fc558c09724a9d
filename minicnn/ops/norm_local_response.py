"""Local response normalization and its gradient."""

from collections.abc import Iterator

import numpy as np

from minicnn.ops.norm_plan import BLOCK_BYTES
from minicnn.ops.padding import check_images
from minicnn.ops.windows import batch_last, is_batch_last
from minicnn.validation import check_dy_shape, check_int


def local_response_norm(
    x: np.ndarray, size: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75
) -> np.ndarray:
    """Divide each value by (k + alpha * sum of squares over `size` neighbouring channels) ** beta.

    Parameters
    ----------
    x : ndarray of float32 or float64, shape (N, H, W, C)
        Images; never written.
    size : int, odd
        Channels in a window, centred on the value's own; windows are cut off at the first and last channels.
    k, alpha, beta : float
        Constants of the formula, by default those of Krizhevsky et al. 2012, section 3.3.

    Returns
    -------
    ndarray, shape (N, H, W, C), dtype of `x`

    Raises
    ------
    ValueError
        If `x` does not have four axes, or `size` is not odd.
    TypeError
        If `x` is not float32 or float64.

    Examples
    --------
    >>> x = np.array([3.0, 4.0, 0.0]).reshape(1, 1, 1, 3)
    >>> local_response_norm(x, size=3, k=0.0, alpha=1.0, beta=0.5).ravel()    # 3 / 5, 4 / 5, 0 / 4
    array([0.6, 0.8, 0. ])
    """
    check_images(x)
    check_size(size)
    y = _empty(x)
    for values, result in _blocks(x, y):
        np.multiply(values, _inverse_power(_scales(values, size, k, alpha), beta), out=result)
    return y


def local_response_norm_backward(
    dy: np.ndarray, x: np.ndarray, size: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75
) -> np.ndarray:
    """Return the gradient of `local_response_norm` with respect to `x`.

    With s = k + alpha * (sum of squares), each value x_i is in its own numerator and in the denominators of
    the neighbours whose windows contain it:

        dx_i = dy_i * s_i^-beta  -  2 alpha beta x_i * (sum of dy_j x_j s_j^-(beta + 1) over the window of i)

    s is computed again, which is faster than reading it from memory.
    """
    check_images(x)
    check_size(size)
    check_dy_shape(dy, x.shape)
    dx = _empty(x)
    for values, dvalues, result in _blocks(x, np.asarray(dy, x.dtype), dx):
        scales = _scales(values, size, k, alpha)
        direct = dvalues * _inverse_power(scales, beta)
        through = _window_sums(direct * values / scales, size)
        through *= values
        through *= 2 * alpha * beta
        np.subtract(direct, through, out=result)
    return dx


def check_size(size: int) -> int:
    """Return the size of a window of channels; raise unless it is a positive odd integer."""
    if check_int(size, "size", low=1) % 2 == 0:
        raise ValueError(f"`size` must be odd, got {size}")
    return size


def _empty(x: np.ndarray) -> np.ndarray:
    """Return an array for the result, batch-last if `x` is, else batch-first, and contiguous."""
    return np.empty_like(x, order="K" if is_batch_last(x) else "C")


def _blocks(x: np.ndarray, *others: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Yield all channels of some pixels of each array, as (pixels, C, N), or (pixels, C, 1) if batch-first.

    Views of the arrays that are contiguous in this layout, copies of the others.
    """
    n, h, w, c = x.shape
    if is_batch_last(x):
        arrays = [batch_last(images).reshape(h * w, c, n) for images in (x, *others)]
    else:
        arrays = [np.ascontiguousarray(images).reshape(n * h * w, c, 1) for images in (x, *others)]
    step = max(BLOCK_BYTES // max(arrays[0][:1].nbytes, 1), 1)
    for start in range(0, len(arrays[0]), step):
        yield [array[start : start + step] for array in arrays]


def _scales(values: np.ndarray, size: int, k: float, alpha: float) -> np.ndarray:
    scales = _window_sums(np.square(values), size)
    scales *= alpha
    scales += k
    return scales


def _window_sums(values: np.ndarray, size: int) -> np.ndarray:
    """Return, for each channel, the sum over the window of channels around it.

    Shifted copies are added. Differences of cumulative sums would need fewer passes for large windows, but
    lose precision: a small value after large ones would get their rounding error.
    """
    sums = values.copy()
    for shift in range(1, size // 2 + 1):
        sums[:, shift:] += values[:, :-shift]
        sums[:, :-shift] += values[:, shift:]
    return sums


def _inverse_power(scales: np.ndarray, beta: float) -> np.ndarray:
    """Return scales ** -beta; for the paper's 3/4 by two square roots, which is faster than a power."""
    if beta != 0.75:
        return scales**-beta
    root = np.sqrt(scales)
    root *= np.sqrt(root)
    return np.reciprocal(root, out=root)
