"""Losses and metrics of the user's: that they leave what they are given, and that a gradient is a derivative.

The calls that look at this are made with copies, so nothing of the user's changes.
"""

import contextlib
import copy
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minicnn.safeguards.returned_loss import call_loss
from minicnn.safeguards.user_code import is_own, name_of

_STEP = 1e-4  # of finite differences, relative to the predictions
_SMOOTH, _WRONG = 0.05, 0.1  # differences of two slopes, relative to the larger one


def call_with_copies(what: str, function: Callable[..., Any], *arrays: np.ndarray) -> Any:
    """Call a function of the user's; raise ValueError if it writes into one of the arrays."""
    given = [array.copy() for array in arrays]
    result = function(*given)
    _require_same(what, arrays, given)
    return result


def _require_same(what: str, arrays: Sequence[np.ndarray], given: Sequence[np.ndarray]) -> None:
    for before, after in zip(arrays, given, strict=True):
        if not np.array_equal(before, after, equal_nan=before.dtype.kind == "f"):
            raise ValueError(f"{what} must not write into its arguments, which are used again: copy them")


def check_first_batch(
    loss: Callable[..., Any],
    metrics: Mapping[str, Callable[..., Any]],
    predictions: np.ndarray,
    labels: np.ndarray,
    y: np.ndarray,
) -> None:
    """Check a user's loss, which takes `labels`, and metrics, which take `y`, on the first batch."""
    if not predictions.size:
        return
    if is_own(loss):
        check_arguments(f"the loss {name_of(loss)}", loss, predictions, labels)
        warn_of_gradient(loss, predictions, labels)
    for name, metric in metrics.items():
        if is_own(metric):
            check_arguments(f"the metric {name!r}", metric, predictions, y)


def check_arguments(what: str, function: Callable[..., Any], *arrays: np.ndarray) -> None:
    """Raise ValueError if a user's function, called once more, writes into predictions or labels."""
    predictions, *others = arrays
    # Other ones, since it may have written there what it would write again.
    noise = np.random.default_rng(0).standard_normal(predictions.shape).astype(predictions.dtype)
    arrays = predictions + noise * (0.01 * (predictions.std() + 0.01)), *others
    given = [array.copy() for array in arrays]
    try:
        with np.errstate(all="ignore"):
            copy.deepcopy(function)(*given)  # it may remember its calls
    except Exception:  # it has taken the same: what fails here is not known to be a mistake
        return
    _require_same(what, arrays, given)


def warn_of_gradient(loss: Callable[..., Any], predictions: np.ndarray, labels: np.ndarray) -> None:
    """Warn if the gradient that a user's loss returns for a batch is not the derivative of its value."""
    problem = ""
    with contextlib.suppress(Exception), np.errstate(all="ignore"):
        problem = _gradient_problem(copy.deepcopy(loss), predictions.astype(np.float64), labels)
    if problem:
        message = f"the gradient that the loss {name_of(loss)} returns is {problem}"
        warnings.warn(message, stacklevel=4)


def _gradient_problem(loss: Callable[..., Any], predictions: np.ndarray, labels: np.ndarray) -> str:
    """Return what the gradient is instead of the derivative, along two random directions; nothing if none."""
    first, second = (call_loss(loss, predictions.copy(), labels.copy())[1] for _ in range(2))
    if np.shares_memory(first, second):
        return "an array that its next call overwrites, also one in another thread: return a new one"
    if not np.any(second):
        return "zero for the whole first batch: nothing is learned from it"
    found = list(_slopes(loss, predictions, labels))
    sizes = [max(abs(own), abs(right)) for own, right in found]
    wrong = [abs(own - right) > _WRONG * size for (own, right), size in zip(found, sizes, strict=True)]
    if len(found) < 2 or not all(wrong):
        return ""
    if any(right == 0 for _, right in found):
        return "not the derivative of its value, which does not change with the predictions"
    one, other = (own / right for own, right in found)
    if not math.isclose(one, other, rel_tol=0.01):
        return "not the derivative of its value, by finite differences in the first batch"
    if one < 0:
        return f"{one:.3g} times the derivative of its value: with this sign, it is maximized"
    for count, mean in ((len(predictions), "examples"), (predictions.size, "elements")):
        if math.isclose(one, count, rel_tol=0.01) and count > 1:
            return f"{one:.3g} times the derivative of its value, a mean over {mean}: divide it by {count}"
    return f"{one:.3g} times the derivative of its value, so the learning rate is, too"


def _slopes(
    loss: Callable[..., Any], predictions: np.ndarray, labels: np.ndarray
) -> Iterator[tuple[float, float]]:
    """Yield the slope by the gradient and that by finite differences, where these are precise."""

    def value(p: np.ndarray) -> tuple[float, np.ndarray]:
        loss_of_p, gradient = call_loss(loss, p.copy(), labels.copy())
        return float(loss_of_p), np.asarray(gradient, np.float64)

    rng = np.random.default_rng(0)
    step = _STEP * max(float(np.sqrt(np.square(predictions).mean())), 1e-3)
    start, gradient = value(predictions)
    if value(predictions)[0] != start:  # it draws numbers, or remembers earlier calls
        return
    for _ in range(2):
        direction = rng.standard_normal(predictions.shape)
        near, far = (
            (value(predictions + h * direction)[0] - value(predictions - h * direction)[0]) / (2 * h)
            for h in (step, 3 * step)
        )
        own = float((gradient * direction).sum())
        if abs(near - far) <= _SMOOTH * max(abs(near), abs(own)) and math.isfinite(near + far + own):
            yield own, near
