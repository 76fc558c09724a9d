"""Metrics: how often the model is right, and what it takes for what."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.validation import check_class_indices, check_int

__all__ = ["accuracy", "confusion_matrix", "top_k_accuracy"]


def accuracy(predictions: np.ndarray, labels: Any) -> float:
    """Return the share of examples whose highest score is the label's.

    Keras's `SparseCategoricalAccuracy` and `CategoricalAccuracy`: of tied scores the first counts.

    Parameters
    ----------
    predictions : ndarray, shape (N, K)
        Logits or probabilities. A single column is one yes-or-no logit: above 0 is class 1.
    labels : array_like, shape (N,) or (N, K)
        Class numbers, or one-hot rows.

    Raises
    ------
    ValueError
        If there are no examples, the shapes do not fit, or a class number is out of range.
    TypeError
        If class numbers are not integers.

    Examples
    --------
    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), [1, 1])
    0.5
    """
    scores, truth = _scores_and_truth(predictions, labels)
    right = _winners(scores) == truth
    best = scores.max(axis=1)  # NaN, if there is one in the row: that is never right
    return float(np.count_nonzero(right & (best == best))) / len(right)


def top_k_accuracy(predictions: np.ndarray, labels: Any, k: int = 5) -> float:
    """Return the share of examples where fewer than `k` classes score higher than the label's.

    Keras's `SparseTopKCategoricalAccuracy`: a tie with the label does not count against it.

    Parameters
    ----------
    predictions : ndarray, shape (N, K)
        Logits or probabilities.
    labels : array_like, shape (N,) or (N, K)
        Class numbers, or one-hot rows.
    k : int
        How many guesses are allowed, 1 to K.

    Raises
    ------
    ValueError, TypeError
        As `accuracy`, and if `k` is not in 1 ... K.

    Examples
    --------
    >>> top_k_accuracy(np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]), [1, 2], k=2)
    0.5
    """
    scores, truth = _scores_and_truth(predictions, labels)
    n, classes = scores.shape
    k = check_int(k, "k", low=1)
    if classes == 1:
        raise ValueError("scores must have a column for each class, got a single one: see `accuracy`")
    if k > classes:
        raise ValueError(f"`k` must be at most {classes}, the number of classes, got {k}")
    own = scores[np.arange(n), truth]
    # Counted as "not lower or equal", so that a label whose score is NaN is never among the best.
    higher = classes - (scores <= own[:, None]).sum(axis=1)
    return float((higher < k).mean())


def confusion_matrix(labels: Any, predictions: Any, num_classes: int | None = None) -> np.ndarray:
    """Count which class was taken for which: row, the true class; column, the predicted one.

    The arguments' order is scikit-learn's and TensorFlow's: the truth first.

    Parameters
    ----------
    labels, predictions : array_like, shape (N,) or (N, K)
        Class numbers, or one row of scores an example, of which the highest wins.
    num_classes : int, optional
        K; by default the number of columns, or the highest class number plus one.

    Returns
    -------
    ndarray of int64, shape (K, K)

    Raises
    ------
    ValueError
        If there are no examples, the shapes do not fit, or a class number is out of range.
    TypeError
        If class numbers are not integers.

    Examples
    --------
    >>> confusion_matrix([0, 1, 1], [0, 0, 1])
    array([[1, 0],
           [1, 1]])
    """
    sides = [np.asarray(labels), np.asarray(predictions)]
    if any(side.ndim not in (1, 2) for side in sides) or len(sides[0]) != len(sides[1]):
        shapes = " and ".join(str(side.shape) for side in sides)
        raise ValueError(f"labels and predictions must have shape (N,) or (N, K), got {shapes}")
    if not all(side.size for side in sides):
        raise ValueError("a metric needs at least one example, got none")
    if num_classes is None:
        num_classes = max(map(_class_count, sides))
    classes = check_int(num_classes, "num_classes", low=1)
    truth, guess = (check_class_indices(side if side.ndim == 1 else _true(side), classes) for side in sides)
    return np.bincount(truth * classes + guess, minlength=classes**2).reshape(classes, classes)


def _scores_and_truth(predictions: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores, (N, K), and the true class numbers, (N,), if they fit together."""
    scores, labels = np.asarray(predictions), np.asarray(labels)
    if scores.ndim != 2 or labels.shape not in (scores.shape[:1], scores.shape):
        raise ValueError(
            f"predictions must have shape (N, K) and labels (N,) or (N, K), "
            f"got {scores.shape} and {labels.shape}"
        )
    if scores.size == 0:
        raise ValueError("a metric needs at least one example, got none")
    return scores, _true(labels) if labels.ndim == 2 else check_class_indices(labels, max(scores.shape[1], 2))


def _winners(scores: np.ndarray) -> np.ndarray:
    """Return the class number that each row speaks for."""
    return scores.argmax(axis=1) if scores.shape[1] > 1 else (scores[:, 0] > 0).astype(np.intp)


def _true(labels: np.ndarray) -> np.ndarray:
    """Return the class number that each row of labels speaks for: class numbers in a column are none."""
    if labels.shape[1] == 1 and labels.dtype.kind in "iu" and not np.isin(labels, (0, 1)).all():
        wrong = labels[~np.isin(labels, (0, 1))][0]
        raise ValueError(
            f"a column of labels must be yes-or-no, 0 or 1, got {wrong}; class numbers must have shape (N,)"
        )
    return _winners(labels)


def _class_count(side: np.ndarray) -> int:
    """Return how many classes one side of a comparison gives evidence of, at least one."""
    if side.ndim == 2:
        return max(side.shape[1], 2)
    return max(int(side.max()) + 1, 1) if side.dtype.kind in "iu" else 1
