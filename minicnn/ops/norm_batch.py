"""Batch normalization and its gradients, each in two steps, with sums over the batch between them.

mean, var = moments(x)
y = normalize(x, mean, var, gamma, beta, eps)

dgamma, dbeta = gradient_sums(dy, x, mean, var, eps)
dx = input_gradient(dy, x, gamma, mean, var, dgamma / count, dbeta / count, eps)
"""

import numpy as np

from minicnn.ops import norm_kernels, norm_rows
from minicnn.ops.memory import aligned_empty_like
from minicnn.ops.norm_plan import batch_plan
from minicnn.ops.sums import MAX_PRODUCT_ROWS, images_innermost

# Number of values up to which, batch-first, whole arrays are faster than blocks.
SMALL = 1 << 18


def batch_norm(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalize each channel of `x` (..., C) by its own mean and biased variance (Ioffe and Szegedy 2015).

    Parameters
    ----------
    x : ndarray of float32 or float64, shape (..., C)
        Images or rows; never written.
    gamma, beta : ndarray, shape (C,)
        Scale and shift.
    eps : float
        Added to the variance.

    Returns
    -------
    y : ndarray, shape (..., C)
        gamma * (x - mean) / sqrt(var + eps) + beta.
    mean, var : ndarray of float64, shape (C,)
        Accurate for millions of float32 values, too.

    Raises
    ------
    ValueError
        If `x` is empty.

    Examples
    --------
    >>> y, mean, var = batch_norm(np.array([[1.0], [3.0]]), np.ones(1), np.zeros(1), eps=0.0)
    >>> y.ravel(), mean, var
    (array([-1.,  1.]), array([2.]), array([1.]))
    """
    mean, var = moments(x)
    return normalize(x, mean, var, gamma, beta, eps), mean, var


def batch_norm_backward(
    dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, mean: np.ndarray, var: np.ndarray, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return dx, dgamma, dbeta of `batch_norm`, given its x, mean and variance.

    With z the normalized values, dx = gamma / sqrt(var + eps) * (dy - mean(dy) - z * mean(dy * z)). The two
    means come from the dependence of the batch's mean and variance on x.
    """
    count = x.size // x.shape[-1]
    dgamma, dbeta = gradient_sums(dy, x, mean, var, eps)
    dx = input_gradient(dy, x, gamma, mean, var, dgamma / count, dbeta / count, eps)
    return dx, dgamma.astype(x.dtype), dbeta.astype(x.dtype)


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the biased variance of each channel of `x` (..., C), float64."""
    if x.size == 0:
        raise ValueError(f"batch statistics need at least one value per channel, got shape {x.shape}")
    if _is_small(x):
        return norm_rows.moments(x)
    plan = batch_plan(x)
    mean, var = norm_kernels.moments(plan.memory(x), plan)
    return mean.reshape(-1), var.reshape(-1)


def normalize(
    x: np.ndarray, mean: np.ndarray, var: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float
) -> np.ndarray:
    """Return gamma * (x - mean) / sqrt(var + eps) + beta, with the statistics of each channel, (C,)."""
    if _is_small(x):
        return norm_rows.normalize(x, mean, var, gamma, beta, eps)
    plan = batch_plan(x)
    values = plan.memory(x)
    y = aligned_empty_like(values)
    statistics = plan.per_channel(mean), plan.per_channel(var)
    norm_kernels.normalize(values, plan, statistics, gamma, beta, eps, y)
    return plan.restore(y, x.shape)


def gradient_sums(
    dy: np.ndarray, x: np.ndarray, mean: np.ndarray, var: np.ndarray, eps: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return dgamma and dbeta, (C,), float64."""
    if _is_small(x):
        return norm_rows.gradient_sums(dy, x, mean, var, eps)
    plan = batch_plan(x)
    statistics = plan.per_channel(mean), plan.per_channel(var)
    sums, products = norm_kernels.gradient_sums(plan.memory(x), plan.memory(dy), plan, statistics, eps)
    return plan.channel_sums(products), plan.channel_sums(sums)


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
    """Return dx; the last two means are dgamma and dbeta divided by the number of values of a channel."""
    if _is_small(x):
        return norm_rows.input_gradient(dy, x, gamma, mean, var, mean_dgamma, mean_dbeta, eps)
    plan = batch_plan(x)
    values = plan.memory(x)
    dx = aligned_empty_like(values)
    statistics = plan.per_channel(mean), plan.per_channel(var)
    means = plan.per_channel(gamma * mean_dbeta), plan.per_channel(gamma * mean_dgamma)
    norm_kernels.input_gradient(values, plan.memory(dy), plan, statistics, gamma, means, eps, dx)
    return plan.restore(dx, x.shape)


def _is_small(x: np.ndarray) -> bool:
    """Return whether whole arrays are faster, and few enough rows for accurate sums."""
    return x.size <= min(SMALL, MAX_PRODUCT_ROWS * x.shape[-1]) and not images_innermost(x)
