"""Layer normalization and its gradients.

The values of one pixel share a mean and a variance, so a block of some pixels is normalized at once, in as
many operations as the formula has: the block stays in the cache. In memory it is (pixels, C) batch-first, and
(pixels, C, N) batch-last.
"""

from collections.abc import Iterator

import numpy as np

from minicnn.ops.memory import aligned_empty_like
from minicnn.ops.norm_plan import BLOCK_BYTES
from minicnn.ops.sums import MAX_PRODUCT_ROWS, images_innermost, sum_rows
from minicnn.ops.windows import batch_first, batch_last

Statistics = tuple[np.ndarray, np.ndarray, np.ndarray]


def layer_norm(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float
) -> tuple[np.ndarray, Statistics]:
    """Normalize `x` (..., C) along its last axis (Ba, Kiros and Hinton 2016).

    Parameters
    ----------
    x : ndarray, shape (..., C)
        Never written.
    gamma, beta : ndarray, shape (C,)
        Scale and shift.
    eps : float
        Added to the variance.

    Returns
    -------
    y : ndarray, shape (..., C)
        gamma * (x - mean) / sqrt(var + eps) + beta.
    statistics : tuple of ndarray
        Means, their rounding errors and inverse standard deviations, for `layer_norm_backward`.

    Examples
    --------
    >>> y, _ = layer_norm(np.array([[1.0, 3.0], [4.0, 2.0]]), np.ones(2), np.zeros(2), eps=0.0)
    >>> y
    array([[-1.,  1.],
           [ 1., -1.]])
    """
    values = _memory(x)
    gamma, beta = (_per_channel(weight, values) for weight in (gamma, beta))
    y = aligned_empty_like(values)
    mean, error, inverse = np.empty((3, *values.shape[:1], 1, *values.shape[2:]), x.dtype)
    for block in _blocks(values):
        mean[block] = _means(values[block])
        z = np.subtract(values[block], mean[block], out=y[block])
        error[block] = _means(z)  # 0, but for rounding: without it, equal values would not become 0
        z -= error[block]
        inverse[block] = 1 / np.sqrt(_means(np.square(z)) + eps)
        z *= inverse[block]
        z *= gamma
        z += beta
    return _restored(y, x), (mean, error, inverse)


def layer_norm_backward(
    dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, statistics: Statistics
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return dx, dgamma, dbeta of `layer_norm`.

    With z the normalized values, dx = (gamma * dy - mean(gamma * dy) - z * mean(gamma * dy * z)) / sqrt(var +
    eps), with means along the last axis.
    """
    values, dvalues = _memory(x), _memory(dy, images_innermost(x))
    gamma = _per_channel(gamma, values)
    dx = aligned_empty_like(values)
    dgamma, dbeta = np.zeros((2, *values.shape[1:]))
    for block in _blocks(values):
        dy_block = dvalues[block]
        mean, error, inverse = (part[block] for part in statistics)
        z = values[block] - mean
        z -= error
        z *= inverse
        product = dy_block * z
        dbeta += _sum_pixels(dy_block)
        dgamma += _sum_pixels(product)
        product *= gamma
        z *= _means(product)
        np.multiply(dy_block, gamma, out=product)
        z += _means(product)
        product -= z
        np.multiply(product, inverse, out=dx[block])
    sums = (total.reshape(x.shape[-1], -1).sum(axis=1).astype(x.dtype) for total in (dgamma, dbeta))
    return _restored(dx, x), *sums


def _memory(x: np.ndarray, last: bool | None = None) -> np.ndarray:
    """Return (..., C) as (pixels, C), or batch-last as (pixels, C, N)."""
    if images_innermost(x) if last is None else last:
        pixels = batch_last(x)
        return pixels.reshape(-1, *pixels.shape[2:])
    return np.ascontiguousarray(x).reshape(-1, x.shape[-1])


def _restored(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the inverse of `_memory`, in the shape of `x`."""
    if values.ndim == 2:
        return values.reshape(x.shape)
    return batch_first(values.reshape(*x.shape[1:], len(x)))


def _per_channel(weight: np.ndarray, values: np.ndarray) -> np.ndarray:
    return weight if values.ndim == 2 else weight[:, None]


def _blocks(values: np.ndarray) -> Iterator[slice]:
    """Yield ranges of pixels."""
    step = max(1, BLOCK_BYTES // max(values[:1].nbytes, 1))
    for start in range(0, len(values), step):
        yield slice(start, start + step)


def _means(values: np.ndarray) -> np.ndarray:
    """Return the means over the channels, (pixels, 1) or (pixels, 1, N)."""
    channels = values.shape[1]
    if values.ndim == 3:
        sums = sum_rows(values)
    elif channels <= MAX_PRODUCT_ROWS:
        sums = values @ np.ones(channels, values.dtype)
    else:
        sums = values.sum(axis=1)
    return np.expand_dims(sums, 1) / channels


def _sum_pixels(values: np.ndarray) -> np.ndarray:
    """Return the sums over the pixels, (C,) or (C, N)."""
    return sum_rows(values.reshape(len(values), -1)).reshape(values.shape[1:])
