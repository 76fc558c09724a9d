"""Loss and metrics of predictions, in one place for `evaluate` and for the validation after each epoch."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minicnn.losses import call_loss, softmax_cross_entropy
from minicnn.metrics import accuracy
from minicnn.parallel.ranks import Ranks
from minicnn.training.sources import Examples, ExampleSource, labels_of, predict_part
from minicnn.training.state import Loss

Metric = Callable[[np.ndarray, np.ndarray], float]


def check_metrics(metrics: Any, loss: Loss) -> dict[str, Metric]:
    """Return the metrics by name; for None the accuracy if the loss is `softmax_cross_entropy`, else none."""
    if metrics is None:
        return {"accuracy": accuracy} if loss is softmax_cross_entropy else {}
    if not isinstance(metrics, Mapping):
        raise TypeError(f"`metrics` must be a dict of functions by name, got {metrics!r}")
    for name, metric in metrics.items():
        if not callable(metric):
            raise TypeError(f"metric {name!r} must be a function, see `minicnn.metrics`, got {metric!r}")
        if not isinstance(name, str):
            raise TypeError(f"the name of a metric must be a string, got {name!r}")
        if name in ("loss", "epoch") or name.startswith("val_"):
            raise ValueError(f"a metric must not be called 'loss', 'epoch' or 'val_...', got {name!r}")
    return dict(metrics)


def score(
    predictions: np.ndarray, y: np.ndarray, loss: Loss | None, metrics: Mapping[str, Metric]
) -> dict[str, float]:
    """Return the loss, if one is given, and the metrics of these predictions."""
    value = {} if loss is None else {"loss": float(call_loss(loss, predictions, y)[0])}
    return value | {name: call_metric(name, metric, predictions, y) for name, metric in metrics.items()}


def call_metric(name: str, metric: Metric, predictions: np.ndarray, y: np.ndarray) -> float:
    """Return the value of a metric; raise TypeError if it is not one real number."""
    try:
        value = metric(predictions, y)
    except Exception as error:
        error.add_note(f"in the metric {name!r}, given {predictions.shape} and {y.shape}")
        raise
    if np.ndim(value) or np.asarray(value).dtype.kind not in "biuf":
        got = f"an array of shape {np.shape(value)}" if np.ndim(value) else f"{value!r:.100}"
        raise TypeError(f"the metric {name!r} must return a number, got {got}")
    return float(value)


def validate(
    data: ExampleSource | Examples | None,
    predict: Callable[[np.ndarray], np.ndarray],
    loss: Loss,
    metrics: Mapping[str, Metric],
    ranks: Ranks,
) -> dict[str, float]:
    """Return loss and metrics of the validation data, if there is any; each rank predicts a part of it."""
    if data is None:
        return {}
    y = labels_of(data)
    own = slice(len(y) * ranks.rank // ranks.size, len(y) * (ranks.rank + 1) // ranks.size)
    parts = ranks.all_gather(predict_part(data, predict, own))
    # In one rank only: other processors might round, and then callbacks decide, differently.
    results = ranks.broadcast(lambda: score(np.concatenate(parts), y, loss, metrics))
    return {f"val_{name}": value for name, value in results.items()}
