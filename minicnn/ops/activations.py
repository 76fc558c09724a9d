"""Softmax and sigmoid, for layers and losses; accurate where exp alone would overflow."""

import numpy as np

from minicnn.ops.underflow import HARMLESS


@HARMLESS
def softmax(x: np.ndarray) -> np.ndarray:
    """Return exp(x) / sum(exp(x)) along the last axis, in x's dtype.

    >>> softmax(np.array([1e4, 1e4, 0.0]))
    array([0.5, 0.5, 0. ])
    """
    # Subtracting the maximum does not change the result, and avoids overflow: the largest exp is 1.
    y = x - x.max(axis=-1, keepdims=True)
    np.exp(y, out=y)
    y /= y.sum(axis=-1, keepdims=True)
    return y


@HARMLESS
def log_softmax(x: np.ndarray) -> np.ndarray:
    """Return log(softmax(x)) along the last axis, finite also where softmax is 0.

    >>> log_softmax(np.array([1e4, 0.0]))
    array([     0., -10000.])
    """
    y = x - x.max(axis=-1, keepdims=True)
    y -= np.log(np.exp(y).sum(axis=-1, keepdims=True))
    return y


@HARMLESS
def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)), in x's dtype and with full relative precision for very negative x.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    # For x >= 0 this is 1 / (1 + exp(-x)), for x < 0 it is exp(x) / (1 + exp(x)): exp never overflows.
    # Where signs are mixed, a second exp takes less time than a selection by np.where.
    return np.exp(np.minimum(x, 0)) * (1.0 / (1.0 + np.exp(-np.abs(x))))
