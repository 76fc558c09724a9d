"""A loss must return a number and a gradient; one of the user's may return anything."""

from typing import Any

import numpy as np

from minicnn.plural import counted
from minicnn.safeguards.user_code import name_of
from minicnn.validation import check_numbers


def call_loss(loss: Any, predictions: np.ndarray, labels: Any) -> tuple[float, np.ndarray]:
    """Return what a loss, perhaps the user's, returns; raise unless it is a number and a gradient."""
    name = name_of(loss)
    try:
        result = loss(predictions, labels)
    except Exception as error:
        error.add_note(f"in the loss {name}, given {predictions.shape} and {np.shape(labels)}")
        raise
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        got = counted(len(result), "value") if isinstance(result, tuple | list) else type(result).__name__
        raise TypeError(f"the loss {name} must return a pair (mean value, dpredictions), got {got}")
    value, dpredictions = result
    require_number(value, f"the loss {name} must return its mean as one number")
    if isinstance(dpredictions, np.ndarray):
        check_numbers(dpredictions, "dpredictions")  # none that are masked
    if not isinstance(dpredictions, np.ndarray) or dpredictions.dtype.kind != "f":
        got = getattr(dpredictions, "dtype", type(dpredictions).__name__)
        raise TypeError(f"the loss {name} must return dpredictions as an array of floats, got {got}")
    if dpredictions.shape != predictions.shape:
        raise ValueError(
            f"the loss {name} must return dpredictions in the predictions' shape {predictions.shape}, "
            f"got {dpredictions.shape}"
        )
    return value, dpredictions


def require_number(value: Any, requirement: str) -> None:
    """Raise TypeError, with this message, unless a value is one real number."""
    if isinstance(value, float):
        return
    if isinstance(value, tuple | list | dict):
        raise TypeError(f"{requirement}, got a {type(value).__name__}")
    if np.ndim(value) or np.asarray(value).dtype.kind not in "biuf":
        got = f"an array of shape {np.shape(value)}" if np.ndim(value) else f"{value!r:.100}"
        raise TypeError(f"{requirement}, got {got}")
