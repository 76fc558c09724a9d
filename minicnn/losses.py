"""Losses: functions `(predictions, labels, sample_weight=None) -> (mean value, dpredictions)`.

The value is a Python float, the mean over the batch; dpredictions is its exact derivative, in the
shape and dtype of the predictions, ready for `model.backward`. Softmax and sigmoid are part of the
loss: combined with the logarithm they stay finite where each alone would overflow.

With weights w of the N examples, the value is sum(w * loss of each) / N, as in Keras; an example of weight 0
has no influence, whatever its loss, also if that is infinite or NaN. Labels must be valid nevertheless.
"""

from typing import Any

import numpy as np

from minicnn.ops.activations import log_softmax, sigmoid
from minicnn.ops.underflow import HARMLESS
from minicnn.validation import check_class_indices, check_numbers, check_real, check_sample_weight

__all__ = ["binary_cross_entropy_with_logits", "mean_squared_error", "softmax_cross_entropy"]


@HARMLESS
def softmax_cross_entropy(
    logits: np.ndarray, labels: Any, sample_weight: Any = None, label_smoothing: float = 0.0
) -> tuple[float, np.ndarray]:
    """Return the mean of -log(softmax(logits)[label]) and its derivative.

    Keras's `SparseCategoricalCrossentropy` and `CategoricalCrossentropy` with `from_logits=True`.

    Parameters
    ----------
    logits : ndarray of float, shape (N, K)
        Output of the last layer, without softmax; values of 1e4 and more are safe. -inf excludes a class from
        an example: the loss is that without the class, and infinite if its label has a part of it. A row of
        -inf only, or with inf, which is an overflow rather than certainty, gives NaN, so that a fit ends.
    labels : array_like, shape (N,) or (N, K)
        Class indices (integers), or rows of probabilities: one-hot or soft.
    sample_weight : array_like, shape (N,), optional
        A weight for each example, not negative.
    label_smoothing : float
        In [0, 1): that part of each label is spread evenly over all classes, so that the net is not driven
        towards infinite logits (Szegedy et al. 2016); as in Keras, also over an excluded class, so that the
        loss is infinite. In a trainer:
        `loss=functools.partial(softmax_cross_entropy, label_smoothing=0.1)`.

    Returns
    -------
    loss : float
    dlogits : ndarray, shape (N, K)

    Raises
    ------
    ValueError
        If the batch is empty, the shapes do not match, or a label is not a class index or a probability.
    TypeError
        If the logits are not floats, or class indices are not integers.

    Examples
    --------
    >>> loss, dlogits = softmax_cross_entropy(np.array([[0.0, 0.0]]), [1])
    >>> round(loss, 4), dlogits
    (0.6931, array([[ 0.5, -0.5]]))
    """
    logits, labels = _floats(logits), check_numbers(labels, "labels")
    n = len(logits)
    if logits.ndim != 2 or labels.shape not in ((n,), logits.shape):
        raise ValueError(
            f"logits must have shape (N, K) and labels (N,) or (N, K), got {logits.shape} and {labels.shape}"
        )
    smoothing = check_real(label_smoothing, "label_smoothing", high=1)
    log_p = log_softmax(logits)
    if labels.ndim == 1 and not smoothing:
        truth = (np.arange(n), check_class_indices(labels, logits.shape[1]))
        log_likelihood = log_p[truth]
        dlogits = np.exp(log_p, out=log_p)
        dlogits[truth] -= 1.0
    else:
        rows, totals = _probabilities(_smooth(labels, logits.shape[1], smoothing), logits.dtype)
        with np.errstate(invalid="ignore"):  # 0 * -inf, see below
            log_likelihood = rows * log_p
        if not np.isfinite(log_likelihood.sum()):  # 0 * -inf, of a class that cannot be, is 0
            log_likelihood = np.where(rows == 0, 0, log_likelihood)
        dlogits = np.exp(log_p, out=log_p)
        dlogits *= totals  # 1, up to the rounding of the labels
        dlogits -= rows
    log_likelihood, dlogits = _weighted(sample_weight, log_likelihood, dlogits)
    dlogits *= 1.0 / n
    return 0.0 - float(log_likelihood.sum(dtype=np.float64)) / n, dlogits  # never -0.0


@HARMLESS
def mean_squared_error(
    predictions: np.ndarray, labels: Any, sample_weight: Any = None
) -> tuple[float, np.ndarray]:
    """Return the mean of (predictions - labels)^2 over all elements and its derivative.

    Keras's `MeanSquaredError`.

    Parameters
    ----------
    predictions : ndarray of float, shape (N, ...)
        Output of the last layer.
    labels : array_like, same shape
        Real numbers.
    sample_weight : array_like, shape (N,), optional
        A weight for each example, not negative.

    Returns
    -------
    loss : float
    dpredictions : ndarray, shape (N, ...)

    Raises
    ------
    ValueError
        If the batch is empty or the shapes differ: nothing is broadcast.
    TypeError
        If the predictions are not floats.

    Examples
    --------
    >>> mean_squared_error(np.array([[1.0, 2.0]]), [[1, 0]])
    (2.0, array([[0., 2.]]))
    """
    predictions, labels = _same_shape(predictions, labels)
    difference = predictions - labels
    squares, difference = _weighted(sample_weight, np.square(difference), difference)
    difference *= 2.0 / difference.size
    return float(squares.mean(dtype=np.float64)), difference


@HARMLESS
def binary_cross_entropy_with_logits(
    logits: np.ndarray, labels: Any, sample_weight: Any = None
) -> tuple[float, np.ndarray]:
    """Return the mean over all elements of -log P(label) and its derivative, where P(1) = sigmoid(logit).

    Keras's `BinaryCrossentropy` with `from_logits=True`.

    Parameters
    ----------
    logits : ndarray of float, shape (N, ...)
        Output of the last layer, without sigmoid; values of 1e4 and more are safe. An infinite one costs
        nothing if the label is 1 for inf, or 0 for -inf, else it is infinite.
    labels : array_like, same shape
        0 and 1, or probabilities between them.
    sample_weight : array_like, shape (N,), optional
        A weight for each example, not negative.

    Returns
    -------
    loss : float
    dlogits : ndarray, shape (N, ...)

    Raises
    ------
    ValueError
        If the batch is empty, the shapes differ, or a label is not in [0, 1].
    TypeError
        If the logits are not floats.

    Examples
    --------
    >>> loss, dlogits = binary_cross_entropy_with_logits(np.array([[0.0]]), [[1]])
    >>> round(loss, 4), dlogits
    (0.6931, array([[-0.5]]))
    """
    logits, labels = _same_shape(logits, labels)
    if not (labels.min() >= 0.0 and labels.max() <= 1.0):
        raise ValueError(f"labels must be in [0, 1], got values in [{labels.min():g}, {labels.max():g}]")
    # log(1 + exp(x)) - x * label, arranged so that exp never sees a positive number
    with np.errstate(invalid="ignore"):  # of infinite logits, see below
        terms = np.log1p(np.exp(-np.abs(logits))) + (np.maximum(logits, 0.0) - logits * labels)
    if not np.isfinite(terms.sum()):  # an infinite logit costs nothing if the label is as certain
        right = np.where(logits > 0, 1, 0) == labels
        terms = np.where(np.isinf(logits), np.where(right, 0, np.inf), terms).astype(terms.dtype)
    dlogits = sigmoid(logits)
    dlogits -= labels
    terms, dlogits = _weighted(sample_weight, terms, dlogits)
    dlogits *= 1.0 / logits.size
    return float(terms.mean(dtype=np.float64)), dlogits


def _weighted(sample_weight: Any, *arrays: np.ndarray) -> list[np.ndarray]:
    """Return arrays (N, ...) times the weights (N,); where a weight is 0, also if a value is not finite."""
    if sample_weight is None:
        return list(arrays)
    weights = check_sample_weight(sample_weight, len(arrays[0]))
    columns = [weights.astype(a.dtype).reshape(-1, *[1] * (a.ndim - 1)) for a in arrays]
    with np.errstate(invalid="ignore"):
        return [np.where(w == 0, w, a * w) for a, w in zip(arrays, columns, strict=True)]


def _smooth(labels: np.ndarray, classes: int, smoothing: float) -> np.ndarray:
    """Return labels as rows of probabilities, with this part spread evenly over all classes."""
    if not smoothing:
        return labels
    if labels.ndim == 1:
        labels = np.eye(classes)[check_class_indices(labels, classes)]
    return labels * (1 - smoothing) + smoothing / classes


def _floats(predictions: Any) -> np.ndarray:
    predictions = check_numbers(predictions, "predictions")
    if predictions.dtype.kind != "f":
        raise TypeError(f"predictions must be floats, got {predictions.dtype}")
    if predictions.size == 0:
        raise ValueError(
            f"a loss needs at least one example, got an empty batch of shape {predictions.shape}"
        )
    return predictions


def _same_shape(predictions: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return both as arrays of the predictions' dtype, if their shapes are equal."""
    predictions, labels = _floats(predictions), check_numbers(labels, "labels")
    if labels.shape != predictions.shape:
        raise ValueError(f"labels must have the predictions' shape {predictions.shape}, got {labels.shape}")
    return predictions, labels.astype(predictions.dtype, copy=False)


def _probabilities(labels: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, K) labels in `dtype`, and their sums, (N, 1), if each row is a distribution."""
    rows = labels.astype(dtype, copy=False)
    totals = rows.sum(axis=1, keepdims=True)
    if not rows.min() >= 0.0:
        raise ValueError(f"labels of shape (N, K) must not be negative, got {rows.min():g}")
    wrong = ~(np.abs(totals - 1.0) <= 1e-3)
    if wrong.any():
        raise ValueError(
            f"each row of labels of shape (N, K) must sum to 1, got a sum of {totals[wrong][0]:g}"
        )
    return rows, totals


LOSSES = {
    loss.__name__: loss
    for loss in (softmax_cross_entropy, mean_squared_error, binary_cross_entropy_with_logits)
}
