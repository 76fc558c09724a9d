"""Loss and metrics of predictions, in one place for `evaluate` and for the validation after each epoch."""

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from minicnn.batch_sums import summing
from minicnn.layers._prediction import prediction_batch
from minicnn.losses import LOSSES, softmax_cross_entropy
from minicnn.metrics import METRICS, accuracy
from minicnn.parallel.ranks import Ranks
from minicnn.parallel.whole_batch import asks_for_sums
from minicnn.safeguards.inputs import check_scale, input_batches
from minicnn.safeguards.nonfinite import advice, is_finite, tell, watched
from minicnn.safeguards.own_functions import call_with_copies
from minicnn.safeguards.returned_loss import call_loss, require_number
from minicnn.safeguards.user_code import is_own, name_of, plain_function
from minicnn.training.sources import Examples, ExampleSource, labels_of, parts_of, predict_part
from minicnn.training.splitting import weights_of
from minicnn.training.state import Loss, TrainingState
from minicnn.training.weighting import WeightedLoss, pack
from minicnn.validation import check_name

_LOOKED_AT = 32  # examples of a source to validate with
Metric = Callable[[np.ndarray, np.ndarray], float]


def check_metrics(metrics: Any, loss: Loss) -> dict[str, Metric]:
    """Return the metrics by name; for None the accuracy if the loss is `softmax_cross_entropy`, else none."""
    if metrics is None:
        return {"accuracy": accuracy} if plain_function(loss) is softmax_cross_entropy else {}
    if isinstance(metrics, str) or not isinstance(metrics, Mapping | Sequence):
        raise TypeError(f"`metrics` must be a dict of functions by name, or a list of names, got {metrics!r}")
    if not isinstance(metrics, Mapping):
        names = [getattr(metric, "__name__", metric) for metric in metrics]
        if repeated := [name for i, name in enumerate(names) if name in names[:i]]:
            raise ValueError(f"each metric needs a name of its own, got {repeated[0]!r} twice")
        metrics = dict(zip(names, metrics, strict=True))
    found = {}
    for name, metric in metrics.items():
        if isinstance(metric, str):
            metric = METRICS[check_name(metric, METRICS, "metric")]
        if not callable(metric):
            raise TypeError(f"metric {name!r} must be a function, see `minicnn.metrics`, got {metric!r}")
        if not isinstance(name, str):
            raise TypeError(
                f"the name of a metric must be a string, got {name!r}: for a function without a name, give "
                f"`metrics` as a dict"
            )
        if name in ("loss", "epoch") or name.startswith("val_"):
            raise ValueError(f"a metric must not be called 'loss', 'epoch' or 'val_...', got {name!r}")
        found[name] = metric
    return found


def find_loss(loss: Any) -> Loss:
    """Return a loss by its name; anything else as it is."""
    return LOSSES[check_name(loss, LOSSES, "loss")] if isinstance(loss, str) else loss


def is_mean(metric: Metric) -> bool:
    """Return whether the metric of an epoch is the mean of those of its batches."""
    return bool(getattr(plain_function(metric), "mean_over_examples", False))


def metrics_of_batch(
    metrics: Mapping[str, Metric],
    predictions: np.ndarray,
    y: np.ndarray,
    size: int,
    ranks: Ranks,
    finite: bool,
) -> dict[str, float]:
    """Return what this rank adds to those metrics of a batch of `size` examples that are means.

    That is 0 if the rank has none of the examples, or its loss is not `finite`.
    """
    means = {name: metric for name, metric in metrics.items() if is_mean(metric)}
    over_ranks = ranks.sum if 1 < ranks.size <= size else None
    if over_ranks and any(map(asks_for_sums, means.values())):
        finite = all(ranks.all_gather(finite))  # all ranks ask for sums, or none
    if not (len(y) and finite):
        return dict.fromkeys(means, 0.0)
    share = len(y) / size
    with summing(over_ranks):
        return {name: call_metric(name, metric, predictions, y) * share for name, metric in means.items()}


def metrics_of_epoch(state: TrainingState, ranks: Ranks) -> dict[str, float]:
    """Return the metrics that are no means, computed from all predictions of the epoch; NaN if some lack."""
    others = {name: metric for name, metric in state.metrics.items() if not is_mean(metric)}
    if not others:
        return {}
    predictions, labels = state.all_outputs(ranks)
    if len(labels) != state.counts.get("loss"):  # the fit was resumed with another metric
        return dict.fromkeys(others, math.nan)
    return ranks.broadcast(
        lambda: {name: call_metric(name, m, predictions, labels) for name, m in others.items()}
    )


def score(
    predictions: np.ndarray,
    y: np.ndarray,
    loss: Loss | None,
    metrics: Mapping[str, Metric],
    sample_weight: np.ndarray | None = None,
    when: str = "",
) -> dict[str, float]:
    """Return the loss, if one is given, and the metrics of these predictions; weights are for the loss.

    `when` is the beginning of the message about a loss that overflows.
    """
    if loss is not None and sample_weight is not None:
        loss, labels = WeightedLoss(loss), pack(y, sample_weight)
    else:
        labels = y
    value = {} if loss is None else {"loss": _mean_loss(loss, predictions, labels, when)}
    for name, metric in metrics.items():
        what = f"the metric {name!r}"
        called = functools.partial(call_with_copies, what, metric) if is_own(metric) else metric
        value[name] = call_metric(name, called, predictions, y)
    return value


def _mean_loss(loss: Loss, predictions: np.ndarray, labels: Any, when: str) -> float:
    """Return the loss; if it overflows although the predictions do not, say so."""
    with np.errstate(all="ignore"):
        call = functools.partial(call_loss, loss)
        if is_own(loss):
            call = functools.partial(call_with_copies, f"the loss {name_of(loss)}", call)
        value = float(call(predictions, labels)[0])
    if not math.isfinite(value) and is_finite(predictions):
        tell(f"{when}the loss is {value:g}, although all predictions are finite. {advice(when)}")
    return value


def call_metric(name: str, metric: Metric, predictions: np.ndarray, y: np.ndarray) -> float:
    """Return the value of a metric; raise TypeError if it is not one real number."""
    try:
        value = metric(predictions, y)
    except Exception as error:
        error.add_note(f"in the metric {name!r}, given {predictions.shape} and {y.shape}")
        raise
    require_number(value, f"the metric {name!r} must return a number")
    return float(value)


@dataclass(eq=False)
class Validation:
    """What is evaluated after each epoch.

    Parameters
    ----------
    data : source, (x, y) or (x, y, sample_weight), optional
        Without any, nothing is evaluated.
    predict : callable
        Returns the model's predictions of examples.
    state : TrainingState
        That of the training, with the loss and the metrics.
    ranks : Ranks
        Each predicts a part of the data.
    """

    data: ExampleSource | Examples | None
    predict: Callable[[np.ndarray], np.ndarray]
    state: TrainingState
    ranks: Ranks

    def __call__(self) -> dict[str, float]:
        """Return loss and metrics of the data after the present epoch, as `val_loss` and so on."""
        if self.data is None:
            return {}
        data, state, ranks = self.data, self.state, self.ranks
        y, weights = labels_of(data), weights_of(data)
        own = slice(len(y) * ranks.rank // ranks.size, len(y) * (ranks.rank + 1) // ranks.size)
        when = f"in the validation after epoch {state.epoch}, "
        compute = functools.partial(predict_part, data, self.predict, own)
        parts = ranks.all_gather(watched(compute, state.model, lambda: self._inputs(own), when))
        # In one rank only: other processors might round, and then callbacks decide, differently.
        results = ranks.broadcast(
            lambda: score(np.concatenate(parts), y, state.loss, state.metrics, weights, when)
        )
        return {f"val_{name}": value for name, value in results.items()}

    def check_scale(self) -> None:
        """Warn if the examples have another scale than those of the training."""
        if self.data is not None:
            rows = slice(0, min(len(labels_of(self.data)), _LOOKED_AT))
            x = self.data[0] if isinstance(self.data, tuple) else next(parts_of(self.data, rows))
            check_scale(self.state.model, x, "`validation_data`")

    def _inputs(self, rows: slice) -> Iterator[np.ndarray]:
        """Yield what the model computes some of the predictions from."""
        for x in parts_of(cast(ExampleSource | Examples, self.data), rows):
            batch_size = prediction_batch(self.state.model, None, len(x))
            yield from input_batches(self.state.model, x, batch_size)
