"""The data of a fit: batches to train on, and what is set aside for validation."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.plural import counted
from minicnn.safeguards.inputs import check_classes, class_names, note_classes
from minicnn.training.batch import Batches
from minicnn.training.batches import make_batches
from minicnn.training.inputs import check_data, check_validation
from minicnn.training.sources import Examples, ExampleSource, is_source, labels_of
from minicnn.training.weighting import check_class_weight, check_use
from minicnn.validation import check_real, check_sample_weight


class SourceRows:
    """Some examples of a source, as a source of their own.

    Parameters
    ----------
    source : ExampleSource
        All examples.
    rows : ndarray of int
        The numbers of these.
    sample_weight : ndarray, optional
        Their weights in the loss of a validation.
    """

    def __init__(
        self, source: ExampleSource, rows: np.ndarray, sample_weight: np.ndarray | None = None
    ) -> None:
        self.source, self.rows, self.sample_weight = source, rows, sample_weight
        self.shape, self.y = (len(rows), *source.shape[1:]), source.y[rows]

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, indices: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield examples and labels for each array of indices."""
        return self.source.batches(self.rows[own] for own in indices)

    def digest(self) -> str:
        """Return a text that differs for other data."""
        return f"{self.source.digest()} {len(self.rows)}"


def weights_of(data: ExampleSource | Examples) -> np.ndarray | None:
    """Return the weights of the examples to validate with; None if all count the same."""
    if isinstance(data, SourceRows):
        return data.sample_weight
    return data[2] if isinstance(data, tuple) and len(data) == 3 else None


def prepare_data(
    x: Any,
    y: Any,
    model: Layer,
    batch_size: int,
    validation_data: Any,
    validation_split: float,
    sample_weight: np.ndarray | None = None,
    class_weight: Any = None,
    **options: Any,
) -> tuple[Batches, ExampleSource | Examples | None]:
    """Return the batches and the validation data of `Trainer.fit`; `options` are those of `Batches`."""
    seed, rows = options["seed"], None
    check_classes(validation_data, "`validation_data`", class_names(x))
    if validation_split:
        given = validation_data, sample_weight
        rows, validation_data = split_data(x, y, *given, model, validation_split, seed)
    weights = None if class_weight is None else check_class_weight(class_weight)
    more = {"sample_weight": sample_weight, "class_weight": weights, "rows": rows}
    batches = make_batches(x, y, model, batch_size, **more, **options)
    if weights and batches.labels is not None:
        check_use(weights, batches.labels if rows is None else batches.labels[rows])
    checked = check_validation(validation_data, model)
    note_classes(model, class_names(x))
    return batches, checked


def split_data(
    x: Any, y: Any, validation_data: Any, sample_weight: Any, model: Layer, fraction: float, seed: int
) -> tuple[np.ndarray, Any]:
    """Return the rows to train on, and the validation data, which has their weights if there are any."""
    if validation_data is not None:
        raise ValueError("give `validation_data` or `validation_split`, not both")
    if y is None and not is_source(x):
        raise ValueError("`validation_split` needs arrays `x` and `y`; for batches, give `validation_data`")
    data = check_data(x, y, model)
    labels = labels_of(data)
    rows, others = split_validation(labels, fraction, seed)
    weights = None if sample_weight is None else check_sample_weight(sample_weight, len(labels))[others]
    if not isinstance(data, tuple):
        return rows, SourceRows(data, others, weights)
    return rows, (data[0][others], labels[others], *([] if weights is None else [weights]))


def split_validation(y: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to train on and those to validate with, in order: a random part of each class.

    Labels that are neither class indices nor one-hot rows are split without regard to them.

    >>> rows, others = split_validation(np.repeat([0, 1], [8, 4]), 0.25, seed=0)
    >>> len(rows), len(others[others < 8]), len(others[others >= 8])
    (9, 2, 1)
    """
    fraction = check_real(fraction, "validation_split", high=1)
    rng = np.random.default_rng([seed, 0, 0, 0, 1])  # not that of an epoch's order or augmentation
    order = rng.permutation(len(y))
    classes = y
    if y.ndim == 2 and y.shape[1] > 1 and np.array_equal(y.sum(axis=1), np.ones(len(y))):
        classes = y.argmax(axis=1)
    if classes.ndim == 1 and classes.dtype.kind in "biu":
        order = order[np.argsort(classes[order], kind="stable")]
    # From the examples in the order of their classes, evenly spaced ones: of each class its share, up to one.
    counts = np.floor(np.arange(len(y) + 1) * fraction + 0.5)
    chosen = np.diff(counts) > 0
    if chosen.all() or not chosen.any():
        raise ValueError(
            f"`validation_split` must leave examples to train on and to validate with, got {fraction:g} of "
            f"{counted(len(y), 'example')}"
        )
    return np.sort(order[~chosen]), np.sort(order[chosen])
