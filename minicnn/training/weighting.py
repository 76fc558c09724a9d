"""Weights of examples and classes, and how they reach the shards of a batch: in the array of the labels."""

import inspect
import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from minicnn.safeguards.user_code import name_of
from minicnn.validation import check_int, check_real


def accepts_weights(loss: Any) -> bool:
    """Return whether a loss takes `sample_weight`."""
    try:
        return "sample_weight" in inspect.signature(loss).parameters
    except (TypeError, ValueError):  # a function without a signature
        return False


def require_weights(loss: Any) -> None:
    """Raise TypeError unless a loss takes `sample_weight`."""
    if not accepts_weights(loss):
        raise TypeError(
            f"sample_weight and class_weight need a loss f(predictions, labels, sample_weight=None) that "
            f"returns sum(weight * loss) / N for N examples, got {name_of(loss)} without `sample_weight`"
        )


class WeightedLoss:
    """A loss of two arguments whose second holds the labels and the weights, see `pack`.

    So batches with weights are divided, and sent to workers, as those without are.
    """

    def __init__(self, loss: Any) -> None:
        require_weights(loss)
        self.loss = self.__wrapped__ = loss
        self.__name__ = name_of(loss)  # for messages
        self.batch_dependent = getattr(loss, "batch_dependent", False)

    def __call__(self, predictions: np.ndarray, packed: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the weighted mean loss and its derivative."""
        labels, weights = unpack(packed, predictions.shape)
        return self.loss(predictions, labels, sample_weight=weights)


def pack(labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return float64 rows of a weight, the number of the labels' axes, whether they are integers, and labels.

    >>> pack(np.array([7]), np.array([0.5]))
    array([[0.5, 1. , 1. , 7. ]])
    """
    n = len(labels)
    kind = np.tile([labels.ndim, labels.dtype.kind in "iu"], (n, 1))
    rows = labels.reshape(n, math.prod(labels.shape[1:]))
    return np.concatenate([weights.reshape(n, 1), kind, rows], axis=1, dtype=np.float64)


def labels_for_loss(labels: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Return what a loss of two arguments gets: with weights the packed labels, for a `WeightedLoss`."""
    return labels if weights is None else pack(labels, weights)


def unpack(packed: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels and the weights that `pack` joined; labels of three axes or more have this shape.

    >>> unpack(pack(np.array([7]), np.array([0.5])), (1, 10))
    (array([7]), array([0.5]))
    """
    weights, axes, integers = packed[:, 0], packed[0, 1], packed[0, 2]
    labels = packed[:, 3:].astype(np.int64) if integers else packed[:, 3:]
    return labels[:, 0] if axes == 1 else labels if axes == 2 else labels.reshape(shape), weights


def check_class_weight(class_weight: Any) -> dict[int, float]:
    """Return the weights by class index; raise unless they are numbers that are not negative."""
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"`class_weight` must be a dict from class index to weight, got {class_weight!r:.80}")
    for index in class_weight:
        if not isinstance(index, int | np.integer):
            raise TypeError(f"the keys of `class_weight` must be class indices, got {index!r:.80}")
    return {
        check_int(index, "class_weight"): check_real(weight, "class_weight")
        for index, weight in class_weight.items()
    }


def class_weights(labels: np.ndarray, class_weight: Mapping[int, float]) -> np.ndarray:
    """Return the weight of each example; a class that is not named has weight 1.

    >>> class_weights(np.array([0, 2, 1]), {0: 2.0, 1: 0.5})
    array([2. , 1. , 0.5])
    """
    classes, places = _classes(labels)
    return np.array([class_weight.get(int(index), 1.0) for index in classes])[places]


def check_use(class_weight: Mapping[int, float], labels: np.ndarray) -> None:
    """Look before the first step for weights of classes that do nothing.

    Raises
    ------
    ValueError
        If all examples would have weight 0, or the labels are no classes.

    Warns
    -----
    UserWarning
        If there is no example of a class that has a weight.
    """
    classes = _classes(labels)[0].tolist()
    if classes and not any(class_weight.get(index, 1.0) for index in classes):
        raise ValueError(f"`class_weight` gives weight 0 to each example: {dict(class_weight)}")
    if absent := [index for index in class_weight if index not in classes]:
        plural = "class" if len(absent) == 1 else "classes"
        warnings.warn(
            f"`class_weight` has a weight for {plural} {', '.join(map(str, absent))}, which "
            f"{'has' if len(absent) == 1 else 'have'} no examples",
            stacklevel=4,  # where the user has called `fit`
        )


def _classes(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the class indices that occur, sorted, and the place of each label's in them."""
    if labels.ndim == 2 and labels.shape[1] > 1:
        if len(labels) and not (labels.min() >= 0 and np.allclose(labels.sum(axis=1), 1, atol=1e-3)):
            raise ValueError(
                "`class_weight` needs labels that are class indices or one-hot rows, got rows that are no "
                "probabilities; give `sample_weight` for other labels"
            )
        labels = labels.argmax(axis=1)
    # The number of columns is written out, since a rank may have no example of a small batch.
    indices = labels.reshape(len(labels), math.prod(labels.shape[1:]))
    if indices.shape[1] != 1 or np.any(indices != np.floor(indices)):
        raise ValueError(
            f"`class_weight` needs labels that are class indices or one-hot rows, got shape {labels.shape}"
        )
    classes, places = np.unique(indices[:, 0].astype(np.int64), return_inverse=True)
    return classes, places.reshape(-1)
