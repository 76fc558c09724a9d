"""Sums over a batch whose examples are computed in several places: threads, processes, machines."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

# Adds the float64 values of all shards of the batch; None where the batch is computed in one place.
_exchange: ContextVar[Callable[[np.ndarray], np.ndarray] | None] = ContextVar("exchange", default=None)


def sum_over_batch(array: Any) -> Any:
    """Return the sum of `array` over all shards of the batch; its copy if there is a single shard.

    For layers, losses and metrics that need the whole batch. In training a batch is divided into shards,
    which threads, worker processes and MPI ranks compute at the same time. Each shard calls this function
    with its own part, waits for the others, and gets the same result, bit for bit. The shards are added in
    their order, in float64; so the same number of shards gives the same bits in every run.

    All shards must make the same calls, with arrays of the same shape: calls must not depend on the examples.

    A loss returns a mean over the examples that it gets, and its derivative. The result of a shard with n of
    the batch's N examples is multiplied by n / N, and so is that of a metric in a rank. The example shows
    what follows for a mean with weights: only the mean of the weights is that of the batch.

    Parameters
    ----------
    array : ndarray or number
        Real values.

    Returns
    -------
    ndarray or number
        A new array of the same shape and dtype; integers and booleans become int64.

    Raises
    ------
    TypeError
        If the values are not real numbers.
    ValueError
        If the shards make different calls.

    Examples
    --------
    >>> def weighted_squares(predictions, labels):
    ...     weights = np.where(labels > 0, 5.0, 1.0)
    ...     weights /= sum_over_batch(weights.sum()) / sum_over_batch(len(labels))
    ...     error = predictions - labels
    ...     return float((weights * error**2).mean()), 2 * weights * error / error.size
    >>> loss, dpredictions = weighted_squares(np.array([1.0, 1.0]), np.array([1.0, 0.0]))
    >>> loss, dpredictions.round(2)
    (0.16666666666666666, array([0.  , 0.33]))
    """
    values, exchange = np.asarray(array), _exchange.get()
    if values.dtype.kind not in "biuf":
        raise TypeError(f"`array` must be an array of real numbers, got {values.dtype}")
    dtype = values.dtype if values.dtype.kind == "f" else np.dtype(np.int64)
    if exchange is not None:
        values = exchange(np.array(values, np.float64))
    total = values.astype(dtype)
    return total if isinstance(array, np.ndarray) or total.ndim else total.item()


@contextlib.contextmanager
def summing(exchange: Callable[[np.ndarray], np.ndarray] | None) -> Iterator[None]:
    """Let `sum_over_batch` use this exchange in the block, in this thread."""
    token = _exchange.set(exchange)
    try:
        yield
    finally:
        _exchange.reset(token)
