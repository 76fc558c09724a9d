"""Group normalization and its gradients."""

import numpy as np

from minicnn.ops import norm_kernels
from minicnn.ops.memory import aligned_empty_like
from minicnn.ops.norm_kernels import Statistics
from minicnn.ops.norm_plan import group_plan


def group_norm(
    x: np.ndarray, groups: int, gamma: np.ndarray, beta: np.ndarray, eps: float
) -> tuple[np.ndarray, Statistics]:
    """Normalize each group of channels of each image by its own mean and variance (Wu and He 2018).

    Parameters
    ----------
    x : ndarray, shape (N, ..., C)
        Images or rows; never written.
    groups : int
        Number of groups of neighbouring channels, a divisor of C.
    gamma, beta : ndarray, shape (C,)
        Scale and shift.
    eps : float
        Added to the variance.

    Returns
    -------
    y : ndarray, shape (N, ..., C)
    statistics : tuple of ndarray
        Mean and variance of each group, in their order in memory, for `group_norm_backward`.

    Examples
    --------
    >>> x = np.array([[1.0, 3.0, 10.0, 10.0]])
    >>> y, _ = group_norm(x, 2, np.ones(4), np.zeros(4), eps=1e-9)
    >>> y.round(3)
    array([[-1.,  1.,  0.,  0.]])
    """
    plan = group_plan(x, groups)
    values = plan.memory(x)
    y = aligned_empty_like(values)
    mean, var = np.empty((2, *plan.statistics_shape))
    for sets in plan.chunks(x.itemsize):  # normalized while they are in the cache
        mean[sets], var[sets] = statistics = norm_kernels.moments(values[sets], plan)
        norm_kernels.normalize(values[sets], plan, statistics, gamma, beta, eps, y[sets])
    return plan.restore(y, x.shape), (mean, var)


def group_norm_backward(
    dy: np.ndarray, x: np.ndarray, groups: int, gamma: np.ndarray, statistics: Statistics, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return dx, dgamma, dbeta of `group_norm`."""
    plan = group_plan(x, groups)
    values, dvalues = plan.memory(x), plan.memory(dy)
    dx = aligned_empty_like(values)
    dgamma, dbeta = np.zeros((2, x.shape[-1]))
    for sets in plan.chunks(x.itemsize):
        part, dpart = values[sets], dvalues[sets]
        mean_var = statistics[0][sets], statistics[1][sets]
        sums, products = norm_kernels.gradient_sums(part, dpart, plan, mean_var, eps)
        dgamma += plan.channel_sums(products)
        dbeta += plan.channel_sums(sums)
        weight = plan.per_channel(gamma)
        means = plan.shared_means(weight * sums), plan.shared_means(weight * products)
        norm_kernels.input_gradient(part, dpart, plan, mean_var, gamma, means, eps, dx[sets])
    return plan.restore(dx, x.shape), dgamma.astype(x.dtype), dbeta.astype(x.dtype)
