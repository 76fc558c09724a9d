"""`check_metric`: a metric is a number that does not depend on order, dtype or batches."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn.testing.report import fail_check
from minicnn.testing.trials import (
    Labels,
    checked_shape,
    label_source,
    name_of,
    require_close,
    require_unchanged,
    run_trials,
)

COPIES = 206  # of each example, for a large batch


def check_metric(
    metric: Callable[[np.ndarray, Any], float],
    predictions_shape: Sequence[int],
    labels: Labels = "classes",
    *,
    predictions: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray] | None = None,
    reference: Callable[[np.ndarray, Any], float] | None = None,
    mean: bool | None = None,
    rng: int = 0,
    batch_size: int = 12,
) -> None:
    """Check a metric `(predictions, labels) -> float`.

    Checked are: that the result is one finite number and arguments stay as they are (`results`); that it does
    not depend on the order of the examples, on float32 or float64, and on each example being there twice
    (`examples`); that it is the mean over batches, if it says so (`mean`); and a reference.

    Parameters
    ----------
    metric : callable
    predictions_shape, labels, predictions
        As for `check_loss`.
    reference : callable, optional
        Another function of the same arguments, which must return the same numbers.
    mean : bool, optional
        Whether the metric is a mean over the examples. Default: its attribute `mean_over_examples`, by which
        a trainer computes the metric of an epoch from those of the batches.
    rng : int
        Seed.
    batch_size : int
        Number of examples, at least 2.

    Raises
    ------
    LayerCheckError
        If a check fails, with a report.

    Examples
    --------
    >>> from minicnn.metrics import accuracy, macro_f1
    >>> check_metric(accuracy, (10,), mean=True)
    >>> check_metric(macro_f1, (3,))
    """
    __tracebackhide__ = True
    shape, draw_labels = checked_shape(predictions_shape, batch_size), label_source(labels)
    is_mean = bool(getattr(metric, "mean_over_examples", False)) if mean is None else mean
    rng_ = np.random.default_rng(rng)
    cases = []
    for _ in range(3):
        p = rng_.standard_normal(shape) if predictions is None else np.asarray(predictions(rng_, shape))
        cases.append((p, np.asarray(draw_labels(rng_, shape))))
    trials = {
        "results": lambda: _each(_check_results, metric, cases),
        "examples": lambda: _each(_check_examples, metric, cases),
        "mean": lambda: _each(_check_mean, metric, cases if is_mean else []),
        "reference": lambda: _check_reference(metric, reference, cases),
    }
    run_trials(name_of(metric), shape, trials)


def _each(check: Callable, metric: Any, cases: list) -> None:
    for p, labels in cases:
        check(metric, p, labels)


def _check_results(metric: Any, p: np.ndarray, labels: np.ndarray) -> None:
    p_before, labels_before = p.copy(), labels.copy()
    value = metric(p, labels)
    if np.ndim(value) or not np.isfinite(value):
        fail_check("a metric must be one finite number", got=repr(value))
    require_unchanged(p_before, p, "predictions")
    require_unchanged(labels_before, labels, "labels")
    require_close(metric(p, labels), value, "the same arguments give another value")


def _check_examples(metric: Any, p: np.ndarray, labels: np.ndarray) -> None:
    value, order = metric(p, labels), np.arange(len(p))[::-1]
    require_close(metric(p[order], labels[order]), value, "the value depends on the order of the examples")
    twice = metric(np.concatenate([p, p]), np.concatenate([labels, labels]))
    hint = "a sum or a count in place of a mean" if np.isclose(twice, 2 * value) else ""
    require_close(twice, value, "the value changes if each example is there twice", hint)
    many = metric(*(np.concatenate([array] * COPIES) for array in (p, labels)))
    hint = "a limit on the batch size, or a sum in blocks whose rest is lost"
    require_close(many, value, f"the value changes if each example is there {COPIES} times", hint)
    single = p.astype(np.float32)
    got, expected = metric(single, labels), metric(single.astype(np.float64), labels)
    require_close(got, expected, "the value in float32 is inaccurate", rtol=1e-4)


def _check_mean(metric: Any, p: np.ndarray, labels: np.ndarray) -> None:
    parts = [slice(0, len(p) // 3), slice(len(p) // 3, None)]
    total = sum(metric(p[part], labels[part]) * len(p[part]) for part in parts)
    hint = "leave `mean_over_examples` unset: the metric then gets all predictions of an epoch at once"
    what = "the value is not the mean of those of two batches, weighted by their examples"
    require_close(metric(p, labels), total / len(p), what, hint)


def _check_reference(metric: Any, reference: Any, cases: list) -> None:
    for p, labels in cases if reference is not None else ():
        require_close(metric(p, labels), reference(p, labels), "the value differs from the reference")
