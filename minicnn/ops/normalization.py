"""Batch normalisation over all axes but the last, and its gradient (Ioffe and Szegedy 2015)."""

from __future__ import annotations

import numpy as np


def batch_norm(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Normalise each channel of `x` (..., C) by its own mean and biased variance.

    Returns
    -------
    y : ndarray, shape (..., C)
        gamma * normalized + beta.
    normalized : ndarray, shape (..., C)
    mean, var : ndarray, shape (C,)

    Raises
    ------
    ValueError
        If there are no values to take the mean of.

    Examples
    --------
    >>> y, *_ = batch_norm(np.array([[1.0], [3.0]]), np.ones(1), np.zeros(1), eps=0.0)
    >>> y.ravel()
    array([-1.,  1.])
    """
    if x.size == 0:
        raise ValueError(f"batch statistics need at least one value a channel, got shape {x.shape}")
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axis=axes)
    centred = x - mean
    var = np.square(centred).mean(axis=axes)
    normalized = centred / np.sqrt(var + eps)
    return normalized * gamma + beta, normalized, mean, var


def batch_norm_backward(
    dy: np.ndarray, normalized: np.ndarray, gamma: np.ndarray, var: np.ndarray, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return dx, dgamma, dbeta of `batch_norm`.

    With z the normalised values, dx = gamma / sqrt(var + eps) * (dy - mean(dy) - z * mean(dy * z)): the two
    means are the paths through the batch's mean and variance.
    """
    axes = tuple(range(dy.ndim - 1))
    count = dy.size // dy.shape[-1]
    dbeta = dy.sum(axis=axes)
    dgamma = (dy * normalized).sum(axis=axes)
    dx = (dy - dbeta / count - normalized * (dgamma / count)) * (gamma / np.sqrt(var + eps))
    return dx, dgamma, dbeta
