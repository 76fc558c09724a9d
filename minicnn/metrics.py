"""Metrics: functions `(predictions, labels) -> float`, and the confusion matrix.

Two attributes of a function say how a trainer uses it. `higher_is_better`: whether callbacks such as
EarlyStopping maximize it. `mean_over_examples`: whether it is the mean of a value of each example, so that
the metric of an epoch is the mean of those of its batches; any other function is called once, with all
predictions of the epoch.
"""

from typing import Any

import numpy as np

from minicnn.validation import check_class_indices, check_int, check_numbers

__all__ = ["accuracy", "confusion_matrix", "macro_f1", "macro_precision", "macro_recall", "top_k_accuracy"]


def accuracy(predictions: np.ndarray, labels: Any) -> float:
    """Return the fraction of examples whose highest score is that of the label.

    Keras's `SparseCategoricalAccuracy` and `CategoricalAccuracy`: the first of tied scores counts. A row
    with NaN is wrong, here and in all metrics of this module.

    Parameters
    ----------
    predictions : ndarray, shape (N, K)
        Logits or probabilities. A single column holds binary logits: above 0 is class 1.
    labels : array_like, shape (N,) or (N, K)
        Class indices, or one-hot rows.

    Raises
    ------
    ValueError
        If there are no examples, the shapes do not match, or a class index is out of range.
    TypeError
        If class indices are not integers.

    Examples
    --------
    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), [1, 1])
    0.5
    """
    scores, truth = _scores_and_truth(predictions, labels)
    correct = _predicted_classes(scores) == truth
    best = scores.max(axis=1)  # NaN if the row has one, which is never correct
    return float(np.count_nonzero(correct & (best == best))) / len(correct)


def top_k_accuracy(predictions: np.ndarray, labels: Any, k: int = 5) -> float:
    """Return the fraction of examples in which fewer than `k` classes score higher than the label.

    Keras's `SparseTopKCategoricalAccuracy`: a tie with the label does not count against it. A class
    that is excluded by -inf is never among the top.

    Parameters
    ----------
    predictions, labels
        As for `accuracy`, with at least two columns of predictions.
    k : int
        Number of top classes considered, 1 to K.

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
        raise ValueError(
            "`predictions` must have a column per class, got only one; for binary logits, use `accuracy`"
        )
    if k > classes:
        raise ValueError(f"`k` must be at most {classes}, the number of classes, got {k}")
    own = scores[np.arange(n), truth]
    # Counted as "not lower or equal", so that NaN counts as higher.
    higher = classes - (scores <= own[:, None]).sum(axis=1)
    return float(((higher < k) & (own > -np.inf)).mean())


def macro_precision(predictions: np.ndarray, labels: Any) -> float:
    """Return the mean over all classes of the precision: the part of those found that are of the class.

    As scikit-learn's with `average="macro", zero_division=0` if every class occurs: a class that was never
    predicted counts as 0.

    Arguments and errors are those of `accuracy`.

    Examples
    --------
    >>> macro_precision(np.array([[0.1, 0.9], [0.2, 0.8], [0.7, 0.3]]), [1, 0, 0])
    0.75
    """
    true, predicted, _ = _counts(predictions, labels)
    return float(_ratio(true, predicted).mean())


def macro_recall(predictions: np.ndarray, labels: Any) -> float:
    """Return the mean over all classes of the recall: the part of the class's examples that were found.

    A class without examples counts as 0.

    Arguments and errors are those of `accuracy`.

    Examples
    --------
    >>> macro_recall(np.array([[0.1, 0.9], [0.2, 0.8], [0.7, 0.3]]), [1, 0, 0])
    0.75
    """
    true, _, actual = _counts(predictions, labels)
    return float(_ratio(true, actual).mean())


def macro_f1(predictions: np.ndarray, labels: Any) -> float:
    """Return the mean over all classes of F1, the harmonic mean of precision and recall.

    Keras's `F1Score(average="macro")`: a class that neither occurs nor was predicted counts as 0. Rare
    classes count as much as frequent ones.

    Arguments and errors are those of `accuracy`.

    Examples
    --------
    >>> round(macro_f1(np.array([[0.1, 0.9], [0.2, 0.8], [0.7, 0.3]]), [1, 0, 0]), 3)
    0.667
    """
    true, predicted, actual = _counts(predictions, labels)
    return float(_ratio(2 * true, predicted + actual).mean())


def confusion_matrix(labels: Any, predictions: Any, num_classes: int | None = None) -> np.ndarray:
    """Count the examples of each true class (rows) by predicted class (columns).

    Labels come first, as in scikit-learn and TensorFlow.

    Parameters
    ----------
    labels, predictions : array_like, shape (N,) or (N, K)
        Class indices, or a row of scores per example, of which the highest counts.
    num_classes : int, optional
        K; by default the number of columns, or the highest class index plus one.

    Returns
    -------
    ndarray of int64, shape (K, K)

    Raises
    ------
    ValueError, TypeError
        As `accuracy`.

    Examples
    --------
    >>> confusion_matrix([0, 1, 1], [0, 0, 1])
    array([[1, 0],
           [1, 1]])
    """
    sides = [check_numbers(labels, "labels"), check_numbers(predictions, "predictions")]
    if any(side.ndim not in (1, 2) for side in sides) or len(sides[0]) != len(sides[1]):
        shapes = " and ".join(str(side.shape) for side in sides)
        raise ValueError(f"labels and predictions must have shape (N,) or (N, K), got {shapes}")
    if not all(side.size for side in sides):
        raise ValueError("a metric needs at least one example, got none")
    if num_classes is None:
        num_classes = max(map(_class_count, sides))
    classes = check_int(num_classes, "num_classes", low=1)
    truth, guess = (_class_indices(side, classes) for side in sides)
    return np.bincount(truth * classes + guess, minlength=classes**2).reshape(classes, classes)


def _scores_and_truth(predictions: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores, (N, K), and the true class indices, (N,), if their shapes match."""
    scores, labels = check_numbers(predictions, "predictions"), check_numbers(labels, "labels")
    if scores.ndim != 2 or labels.shape not in (scores.shape[:1], scores.shape):
        raise ValueError(
            f"predictions must have shape (N, K) and labels (N,) or (N, K), "
            f"got {scores.shape} and {labels.shape}"
        )
    if scores.size == 0:
        raise ValueError("a metric needs at least one example, got none")
    if labels.ndim == 2:
        _require_one_class(labels)
    return scores, _class_indices(labels, _class_count(scores))


def _predicted_classes(scores: np.ndarray) -> np.ndarray:
    """Return the predicted class of each row of scores."""
    return scores.argmax(axis=1) if scores.shape[1] > 1 else (scores[:, 0] > 0).astype(np.intp)


def _class_indices(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return labels, indices or rows, as class indices; a column must be binary labels, not class indices."""
    if labels.ndim == 2:
        if labels.shape[1] == 1 and labels.dtype.kind in "iu" and not np.isin(labels, (0, 1)).all():
            wrong = labels[~np.isin(labels, (0, 1))][0]
            raise ValueError(
                f"a column of labels must be binary, 0 or 1, got {wrong}; class indices must have shape (N,)"
            )
        if np.isnan(labels).any():
            raise ValueError("rows of scores or labels must not have NaN: they have no highest class")
        labels = _predicted_classes(labels)
    return check_class_indices(labels, classes)


def _require_one_class(rows: np.ndarray) -> None:
    """Raise ValueError if a row of labels has several classes, or none: it is no distribution, and tied."""
    tied = (rows == rows.max(axis=1, keepdims=True)).sum(axis=1) > 1  # never in a single column
    if tied.any():
        wrong = tied & (np.abs(rows.sum(axis=1) - 1.0) > 1e-3)
        if wrong.any():
            row = np.array2string(rows[wrong][0], threshold=8)
            raise ValueError(f"each row of labels must have one class, as one-hot rows do, got {row}")


def _class_count(side: np.ndarray) -> int:
    """Return the number of classes that an array of class indices or scores implies, at least 1."""
    if side.ndim == 2:
        return max(side.shape[1], 2)
    return int(side.max(initial=0)) + 1 if side.dtype.kind in "iu" else 1


def _counts(predictions: Any, labels: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each class how many examples were found rightly, predicted, and are of it; NaN is none."""
    scores, truth = _scores_and_truth(predictions, labels)
    classes, known = _class_count(scores), ~np.isnan(scores).any(axis=1)
    guess, right = _predicted_classes(scores)[known], truth[known]
    found, predicted = (np.bincount(each, minlength=classes) for each in (right[guess == right], guess))
    return found, predicted, np.bincount(truth, minlength=classes)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return part / np.maximum(whole, 1)


METRICS = {
    metric.__name__: metric for metric in (accuracy, top_k_accuracy, macro_f1, macro_precision, macro_recall)
}
for _metric in METRICS.values():
    _metric.higher_is_better = True  # type: ignore[attr-defined]
    _metric.mean_over_examples = _metric in (accuracy, top_k_accuracy)  # type: ignore[attr-defined]
