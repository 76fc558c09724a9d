"""Predictions that overflow, for example after a training that diverged: one warning instead of NumPy's.

NumPy's own warnings and errors would name a line of this package. What the user set by `np.seterr` or the
warning filters applies to the sentence: it is a warning, an error, or nothing.
"""

import functools
import math
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import numpy as np

from minicnn.safeguards.claims import reading

F = TypeVar("F", bound=Callable[..., Any])


class FoundError(Exception):
    """Ends a pass through a model at the first number that is not finite, which it describes."""


def is_finite(*arrays: np.ndarray) -> bool:
    """Return whether no value in any of the arrays is NaN or infinite.

    >>> is_finite(np.array([1.0, 2.0])), is_finite(np.zeros(2), np.array([1.0, np.nan]))
    (True, False)
    """
    # One product and one number to look at per array; if that is not finite, it may just have overflowed.
    with np.errstate(all="ignore"):
        flats = [array.ravel() for array in arrays]
        products = sum(float(np.dot(flat, flat)) for flat in flats)
        return math.isfinite(products) or all(bool(np.isfinite(flat).all()) for flat in flats)


def nonfinite_weights(model: Any) -> list[str]:
    """Return the names of the weights with a value that is not finite."""
    return [name for name, parameter in model.named_parameters() if not is_finite(parameter.value)]


def watched(
    compute: Callable[[], np.ndarray],
    model: Any,
    inputs: Callable[[], Iterable[np.ndarray]],
    when: str = "",
) -> np.ndarray:
    """Return `compute()`, predictions of a model; if they overflow or are NaN, say so.

    Parameters
    ----------
    inputs : callable
        Returns the batches of the predictions again, to find the layer that overflows.
    when : str
        Begins the sentence.
    """
    if np.geterr()["over"] == "call":  # an outer call watches, or a function of the user's
        with np.errstate(under="ignore"):
            return compute()
    seen: list[str] = []
    with _collected(seen):
        outputs = compute()
    if seen or _has_nan(outputs):
        tell(when + _cause(model, inputs, _all_finite(outputs), advice(when)))
    return outputs


def _collected(seen: list[str]) -> np.errstate:
    """Return a context in which NumPy notes overflows in a list; underflows are harmless."""
    return np.errstate(over="call", invalid="call", under="ignore", call=lambda kind, flag: seen.append(kind))


class Explained:
    """A block that looks into a model: one warning about overflows and weights that are not finite.

    Without a model, the weights are known.
    """

    def __init__(self, name: str, model: Any = None) -> None:
        self.name, self.model = name, model
        self.seen: list[str] = []
        self.noting: np.errstate | None = None

    def __enter__(self) -> None:
        if np.geterr()["over"] != "call":  # else an outer block warns
            self.noting = _collected(self.seen)
            self.noting.__enter__()

    def __exit__(self, kind: Any, *error: Any) -> None:
        if self.noting is None:
            return
        self.noting.__exit__(kind, *error)
        if kind is None and (self.seen or (self.model is not None and nonfinite_weights(self.model))):
            tell(f"{self.name} found numbers in the model that are not finite. {advice('')}")


def explained(function: F) -> F:
    """Decorate a function that looks into a model, its first argument: one warning about overflows."""

    @functools.wraps(function)
    def inner(model: Any, *args: Any, **kwargs: Any) -> Any:
        with Explained(function.__name__, model):
            return function(model, *args, **kwargs)

    return cast(F, inner)


def advice(when: str) -> str:
    """Return what to do about numbers that are too large, during a training or some time after it."""
    diverged = "The training diverges" if when else "If the model was trained, its training diverged"
    return f"{diverged}: try a smaller learning rate."


def tell(message: str) -> None:
    """Warn of numbers that are not finite, or raise FloatingPointError, or neither, as `np.seterr` says."""
    how = {np.geterr()["over"], np.geterr()["invalid"]}
    if "raise" in how:
        raise FloatingPointError(message)
    if how != {"ignore"}:
        warnings.warn(message, stacklevel=_frames_inside())


def _frames_inside() -> int:
    """Return the stacklevel of the first caller from outside of this package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("minicnn."):
        frame, level = frame.f_back, level + 1
    return level


def _has_nan(array: np.ndarray) -> bool:
    """Return whether a value is NaN; infinite ones may be meant, as logits that exclude a class."""
    if array.dtype.kind not in "fc":  # a layer of the user may return names
        return False
    return bool(array.size) and bool(np.isnan(array.max()))  # the maximum is NaN if a value is


def _all_finite(array: np.ndarray) -> bool:
    """Return whether no output is NaN or infinite, of whatever dtype they are."""
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


def _cause(model: Any, inputs: Callable[[], Iterable[np.ndarray]], harmless: bool, remedy: str) -> str:
    """Return the sentence about the first thing in a prediction that is not finite.

    If that was `harmless`, all predictions are finite.
    """
    if names := nonfinite_weights(model):
        return f"predictions are not finite, since the weights {names[0]!r} are not. {remedy}"
    with reading(model, copied=True) as (readable, _):
        model = readable.eval_replica()
    for name, layer in (("the model", model), *model.named_layers()):
        _watch(layer, name)  # inner layers come first
    found = "a number overflowed"
    try:
        with np.errstate(all="ignore"):  # a cast to float32 may overflow; layers are watched
            for x in inputs():
                if not is_finite(x):
                    return "predictions are not finite, since some inputs are not"
                model(x)
    except FoundError as error:
        found = str(error)
    if harmless:
        return f"{found}; the predictions are finite, but may be wrong"
    return f"predictions are not finite: {found}. {remedy}"


def _watch(layer: Any, name: str) -> None:
    """Make `layer` raise as soon as a number overflows in it, or its output is NaN."""
    forward = layer.forward
    label = f"{name} ({type(layer).__name__})"

    def watched_forward(x: np.ndarray) -> np.ndarray:
        try:
            with np.errstate(over="raise", invalid="raise", under="ignore"):
                y = forward(x)
        except FloatingPointError as error:
            raise FoundError(f"{error} in {label}") from None
        if _has_nan(y):
            raise FoundError(f"the output of {label} is the first that is NaN")
        return y

    layer.forward = watched_forward
