"""What can be known of a fit before its first step: labels, metrics, callbacks."""

import copy
import inspect
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.errors import located
from minicnn.safeguards.attributes import warn_of_misspelt
from minicnn.safeguards.claims import all_layers
from minicnn.safeguards.user_code import is_own
from minicnn.suggestions import did_you_mean
from minicnn.training.callbacks.base import Callback
from minicnn.training.evaluation import Metric, is_mean, score
from minicnn.training.safeguards.last_layer import warn_of_constant_labels, warn_of_labels
from minicnn.training.sources import Examples, ExampleSource, labels_of
from minicnn.training.state import Loss, TrainingState

MOST_BYTES = 1 << 26  # of labels that are all looked at; of more, evenly spaced ones
MOST_VALUES = 1 << 21  # of the predictions that a metric is tried with
_HOOKS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("on_train_begin", "on_train_end"), ()),
    **dict.fromkeys(("on_epoch_begin", "on_batch_begin"), (0,)),
    **dict.fromkeys(("on_epoch_end", "on_batch_end"), (0, {})),
}


def rehearse(
    state: TrainingState,
    labels: np.ndarray | None,
    validation_data: ExampleSource | Examples | None,
    hooks: Sequence[Callback],
    own_results: bool = False,
) -> None:
    """Give the state to the callbacks, and raise now what would be raised in the middle of a fit or after it.

    Parameters
    ----------
    state : TrainingState
        The model, the loss and the metrics.
    labels : ndarray, optional
        Those of the training examples; None if they come in batches.
    validation_data : (x, y) or ExampleSource, optional
        The loss and metrics of the package try its labels; those of the user only if the labels differ from
        the training ones, which the first step tries.
    hooks : sequence of Callback
        Of the fit.
    own_results : bool
        Whether steps or epochs of the user's may add values to the logs.
    """
    metrics = state.metrics
    names = ["loss", *metrics]
    names += [f"val_{name}" for name in names] if validation_data is not None else []
    known: list[str] | None = None if own_results else names
    _check_objects(state, hooks)
    for hook in hooks:
        _check_hooks(hook)
        if not isinstance(getattr(hook, "state", state), TrainingState):
            raise TypeError(f"{type(hook).__name__}.state is set by the trainer: use another name")
        hook.state = state
        hook.check(known)
        if is_own(hook.on_epoch_end):  # it may add values to the logs for the callbacks after it
            known = None
    functions = state.loss, metrics
    if labels is not None:
        warn_of_labels(state.model, state.loss, labels)
        warn_of_constant_labels(labels)
        _try_labels("y", state, labels, *_builtin(*functions))
        _try_metrics(state, labels, {name: m for name, m in metrics.items() if not is_mean(m)})
    if validation_data is not None:
        others = labels_of(validation_data)
        own = functions if _differs(others, labels) else _builtin(*functions)
        _try_labels("validation_data", state, others, *copy.deepcopy(own))


def _check_objects(state: TrainingState, hooks: Sequence[Callback]) -> None:
    """Check the callbacks together, and look for misspelt attributes of all objects."""
    _check_together(hooks)
    warn_of_misspelt([*all_layers(state.model), *state.model.parameters(), state.optimizer, *hooks])


def _check_together(hooks: Sequence[Callback]) -> None:
    """Raise ValueError if a callback is called twice, or two of them write the same file.

    Warn if two of them set the weights at the end.
    """
    files: dict[str, Callback] = {}
    for i, hook in enumerate(hooks):
        name = type(hook).__name__
        if any(hook is other for other in hooks[:i]):
            raise ValueError(f"the {name} object is given twice, and would count each epoch twice")
        if not is_own(hook.on_epoch_end) and isinstance(path := getattr(hook, "path", None), Path):
            other = files.setdefault(os.path.realpath(path), hook)
            if other is not hook:
                raise ValueError(f"{type(other).__name__} and {name} write the same file, {path}")
    setters = [type(hook).__name__ for hook in hooks if hook.sets_final_weights]
    if len(setters) > 1:
        remedy = "; `EarlyStopping(restore_best=False)` sets none" if "EarlyStopping" in setters else ""
        warnings.warn(
            f"{' and '.join(setters)} set the weights when the fit ends, so that those of {setters[-1]}, the "
            f"last, remain{remedy}",
            stacklevel=5,
        )


def _check_hooks(hook: Callback) -> None:
    """Raise TypeError if a hook cannot be called; warn of methods that look like hooks, but are none."""
    kind = type(hook)
    for name, arguments in _HOOKS.items():
        try:
            inspect.signature(getattr(hook, name)).bind(*arguments)
        except TypeError as error:
            expected = inspect.signature(getattr(Callback, name))
            raise TypeError(f"{kind.__name__}.{name} must have the signature {expected}: {error}") from None
    for name in dir(kind):
        if name.startswith("on_") and name not in _HOOKS and callable(getattr(kind, name)):
            near = did_you_mean(name.replace("_train_batch_", "_batch_"), _HOOKS)
            hint = near or f"; the hooks are {', '.join(_HOOKS)}"
            warnings.warn(f"{kind.__name__}.{name} is never called by a fit{hint}", stacklevel=4)


def _try_labels(
    name: str, state: TrainingState, labels: np.ndarray, loss: Loss | None, metrics: Mapping[str, Metric]
) -> None:
    """Call the functions with a few of the labels, those most likely to be wrong, and predictions of zero."""
    rows = _extreme_rows(labels)
    predictions = np.zeros((len(rows), *state.model.output_shape), state.model.dtype)
    with np.errstate(all="ignore"), located(f"labels of `{name}`, {labels.shape}, tried on {len(rows)}: "):
        score(predictions, labels[rows], loss, metrics)


def _try_metrics(state: TrainingState, labels: np.ndarray, metrics: Mapping[str, Metric]) -> None:
    """Call copies of the metrics that see a whole epoch, so that they fail before it and not after it."""
    shape = state.model.output_shape
    every = max(len(labels) * math.prod(shape) // MOST_VALUES, 1)
    some = labels[::every].copy()
    predictions = np.random.default_rng(0).normal(size=(len(some), *shape)).astype(state.model.dtype)
    with np.errstate(all="ignore"):
        score(predictions, some, None, copy.deepcopy(dict(metrics)))


def _extreme_rows(labels: np.ndarray) -> list[int]:
    """Return the first and last row, those with the smallest and largest values and sums, or with NaN."""
    every = max(labels.nbytes // MOST_BYTES, 1)
    flat = labels[::every].reshape(len(labels[::every]), -1)
    with np.errstate(all="ignore"):
        found = [(flat.argmin() // flat.shape[1]), (flat.argmax() // flat.shape[1])] if flat.size else []
        sums = flat.sum(axis=1, dtype=np.float64)
        found += [sums.argmin(), sums.argmax()]
    return sorted({0, len(labels) - 1, *(every * int(row) for row in found)})


def _builtin(loss: Loss | None, metrics: Mapping[str, Metric]) -> tuple[Loss | None, dict[str, Metric]]:
    """Return those functions that are the package's own, which have no state."""
    own = {name: metric for name, metric in metrics.items() if not is_own(metric)}
    return (None if is_own(loss) else loss), own


def _differs(labels: np.ndarray, known: np.ndarray | None) -> bool:
    """Return whether labels have another kind, shape or range than those that are known."""
    if known is None or (labels.dtype.kind, labels.shape[1:]) != (known.dtype.kind, known.shape[1:]):
        return True
    if known.nbytes > MOST_BYTES or not labels.size:
        return False
    return bool(labels.min() < known.min() or labels.max() > known.max())
