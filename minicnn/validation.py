"""Checks of arguments. Messages say what was expected, then what was given."""

from __future__ import annotations

import functools
import math
import operator
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.errors import FileFormatError
from minicnn.suggestions import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path


class ConfiguredFunction(functools.partial):
    """A function with its settings filled in; it pickles, and its `repr` is the call that created it."""

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.keywords.items())
        return f"{self.func.__name__.lstrip('_')}({settings})"


def check_real(
    value: Any, name: str, low: float = 0.0, high: float = math.inf, *, above_low: bool = False
) -> float:
    """Return `value` as a finite Python float in [low, high), or in (low, high) with `above_low`.

    >>> check_real(1.2, "rate", high=1)
    Traceback (most recent call last):
    ValueError: `rate` must be in [0, 1), got 1.2
    """
    try:
        number = float(value)
    except OverflowError:  # an int too large for a float
        number = math.inf
    except (TypeError, ValueError):
        number = None
    if number is None or isinstance(value, str):
        raise TypeError(f"`{name}` must be a number, got {value!r}")
    if not low <= number < high or not math.isfinite(number) or (above_low and number == low):
        raise ValueError(f"`{name}` must be in {'(' if above_low else '['}{low:g}, {high:g}), got {number:g}")
    return number


def check_int(value: Any, name: str, low: int = 0) -> int:
    """Return `value` as a Python int that is at least `low`.

    >>> check_int(np.int64(3), "steps", low=1)
    3
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"`{name}` must be an integer, got {value!r}") from None
    if number < low:
        raise ValueError(f"`{name}` must be at least {low}, got {number}")
    return number


def check_numbers(array: Any, name: str) -> np.ndarray:
    """Return `array` as an array, if it holds real numbers or booleans, and none that are masked.

    >>> check_numbers(np.ma.array([1.0, 2.0], mask=[False, True]), "x")
    Traceback (most recent call last):
    TypeError: `x` must be an array of numbers, got a masked array
    """
    try:
        array = np.asanyarray(array)
    except ValueError:  # a ragged list
        raise ValueError(
            f"`{name}` must be an array of numbers, got a {type(array).__name__} of parts of different shapes"
        ) from None
    if type(array) is np.matrix:
        array = array.A
    ma = sys.modules.get("numpy.ma")  # without it there are no masked arrays
    masked = ma is not None and isinstance(array, ma.MaskedArray)
    if masked or array.dtype.kind not in "biuf":
        raise TypeError(
            f"`{name}` must be an array of numbers, got {'a masked array' if masked else array.dtype}"
        )
    return array


def check_floats(x: Any) -> None:
    """Raise TypeError unless `x` is an array of floats, as layers need it."""
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        kind = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        raise TypeError(
            f"`x` must be an array of floats, got {kind}; only fit, evaluate and predict scale uint8 "
            f"images: to call a layer, pass images.astype('float32') / 255"
        )
    check_numbers(x, "x")


def check_class_indices(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return labels (N,) as indices; raise unless they are integers in [0, classes).

    >>> check_class_indices(np.array([3, -1]), 10)
    Traceback (most recent call last):
    ValueError: labels must be class indices in [0, 10), got -1
    """
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels of shape (N,) must be integers, got {labels.dtype}")
    index = labels.astype(np.intp)
    # Negative numbers are huge as unsigned ones: one comparison finds labels that are too low or too high.
    wrong = index.view(np.uintp) >= classes
    if wrong.any():
        raise ValueError(f"labels must be class indices in [0, {classes}), got {labels[wrong][0]}")
    return index


def check_sample_weight(sample_weight: Any, n: int) -> np.ndarray:
    """Return weights of `n` examples as an array of floats; raise unless they are finite and not negative.

    >>> check_sample_weight([1, -1], 2)
    Traceback (most recent call last):
    ValueError: `sample_weight` must be finite and not negative, got -1.0
    """
    weights = check_numbers(sample_weight, "sample_weight")
    if weights.shape != (n,):
        raise ValueError(f"`sample_weight` must have shape ({n},), got {weights.shape}")
    weights = weights if weights.dtype.kind == "f" else weights.astype(np.float64)
    wrong = ~((weights >= 0) & np.isfinite(weights))
    if wrong.any():
        raise ValueError(f"`sample_weight` must be finite and not negative, got {weights[wrong][0]}")
    return weights


def check_name(name: str, known: Iterable[str], kind: str) -> str:
    """Return a name if it is known; the error suggests a similar one.

    >>> check_name("acuracy", ["accuracy", "macro_f1"], "metric")
    Traceback (most recent call last):
    ValueError: no metric is called 'acuracy'; did you mean 'accuracy'? There are accuracy, macro_f1
    """
    if name in known:
        return name
    suggestion = did_you_mean(name, known)
    there_are = " There are" if suggestion else ": there are"
    raise ValueError(f"no {kind} is called {name!r}{suggestion}{there_are} {', '.join(known)}")


def check_dy(dy: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return `dy` if it is an array of floats of exactly this shape: gradients are never broadcast."""
    if not isinstance(dy, np.ndarray) or dy.dtype.kind != "f":
        kind = dy.dtype if isinstance(dy, np.ndarray) else type(dy).__name__
        raise TypeError(f"dy must be an array of floats, got {kind}")
    check_dy_shape(dy, shape)
    return dy


def check_dy_shape(dy: np.ndarray, shape: tuple[int, ...]) -> None:
    """Raise unless `dy` has exactly the output's shape."""
    if np.shape(dy) != shape:
        raise ValueError(f"dy must have the output's shape {shape}, got {np.shape(dy)}")


def check_input_shape(input_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of one example as a tuple of positive Python ints."""
    try:
        shape = tuple(map(operator.index, input_shape))
    except TypeError:
        raise TypeError(f"`input_shape` must be a tuple of integers, got {input_shape!r}") from None
    if not shape or min(shape) < 1:
        raise ValueError(f"`input_shape` must have positive sizes, without the batch axis, got {shape}")
    return shape


def check_examples(shape: tuple[int, ...], input_shape: tuple[int, ...] | None) -> None:
    """Raise unless this is the shape of a batch of examples of `input_shape`; the message has a hint.

    >>> check_examples((28, 28, 1), (28, 28, 1))
    Traceback (most recent call last):
    ValueError: examples must have shape (28, 28, 1), got (28, 28, 1) without a batch axis: pass x[None]
    """
    if shape[1:] == input_shape:
        return
    hint = f"an array of shape {shape}"
    if shape == input_shape:
        hint = f"{shape} without a batch axis: pass x[None]"
    elif (*shape[1:], 1) == input_shape:
        hint += " without a channel axis: pass x[..., None]"
    raise ValueError(f"examples must have shape {input_shape}, got {hint}")


def check_file(path: str | os.PathLike[str], kind: str) -> Path:
    """Return `path` if it is a regular file; reading from a device or a pipe may never end.

    >>> check_file("nothing.png", "a picture")
    Traceback (most recent call last):
    FileNotFoundError: no such file: nothing.png
    """
    from pathlib import Path  # imported here to keep `import minicnn` fast

    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    if not path.is_file():
        raise FileFormatError(f"{path} is a folder or a device, not {kind}")
    return path
