"""Batch normalization of small arrays, batch-first, with the functions of `minicnn.ops.norm_batch`.

There NumPy's calls take longer than the arithmetic, so whole arrays are used, in as few calls as possible.
The formulas are those of `minicnn.ops.norm_kernels`.
"""

import numpy as np


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the biased variance of each channel, float64."""
    rows = x.reshape(-1, x.shape[-1])
    count, ones = len(rows), np.ones(len(rows), x.dtype)
    estimate = ones @ rows
    estimate /= count
    difference = rows - estimate
    error = (ones @ difference).astype(np.float64) / count
    squares = ones @ np.square(difference, out=difference)
    return estimate + error, np.maximum(squares / count - error**2, 0)


def normalize(
    x: np.ndarray, mean: np.ndarray, var: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float
) -> np.ndarray:
    """Return gamma * (x - mean) / sqrt(var + eps) + beta."""
    center, scale = mean.astype(x.dtype), gamma / np.sqrt(var + eps)
    y = x - center
    y *= scale.astype(x.dtype)
    y += (beta - (mean - center) * scale).astype(x.dtype)
    return y


def gradient_sums(
    dy: np.ndarray, x: np.ndarray, mean: np.ndarray, var: np.ndarray, eps: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return dgamma and dbeta, float64."""
    center, drows = mean.astype(x.dtype), dy.reshape(-1, x.shape[-1])
    ones = np.ones(len(drows), x.dtype)
    product = x.reshape(drows.shape) - center
    product *= drows
    dbeta = (ones @ drows).astype(np.float64)
    return (ones @ product - (mean - center) * dbeta) / np.sqrt(var + eps), dbeta


def input_gradient(
    dy: np.ndarray,
    x: np.ndarray,
    gamma: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    mean_dgamma: np.ndarray,
    mean_dbeta: np.ndarray,
    eps: float,
) -> np.ndarray:
    """Return dx."""
    center, inverse = mean.astype(x.dtype), 1 / np.sqrt(var + eps)
    factor = gamma * inverse
    slope = -factor * mean_dgamma * inverse
    dx = x - center
    dx *= slope.astype(x.dtype)
    dx += (-factor * mean_dbeta - (mean - center) * slope).astype(x.dtype)
    dx += dy * factor.astype(x.dtype)
    return dx
