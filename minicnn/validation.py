"""Arguments are checked once, at the edge, and refused in a sentence: what must hold, then what came."""

from __future__ import annotations

import functools
import math
import operator
import os
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.errors import FileFormatError


class ConfiguredFunction(functools.partial):
    """A function with its settings filled in, which pickles, and prints as the call that made it."""

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
    except OverflowError:  # an int that no float can hold
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


def check_class_indices(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return one-dimensional labels as indices, if they are integers in [0, classes).

    >>> check_class_indices(np.array([3, -1]), 10)
    Traceback (most recent call last):
    ValueError: labels must be class numbers in [0, 10), got -1
    """
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels of shape (N,) must be integers, got {labels.dtype}")
    index = labels.astype(np.intp)
    # Read as unsigned, negative numbers are huge: one comparison finds both kinds of wrong label.
    wrong = index.view(np.uintp) >= classes
    if wrong.any():
        raise ValueError(f"labels must be class numbers in [0, {classes}), got {labels[wrong][0]}")
    return index


def check_file(path: str | os.PathLike[str], kind: str) -> Path:
    """Return `path` if a file is there, since a device or a pipe can be without end, or wait for ever.

    >>> check_file("nowhere.idx", "an IDX file")
    Traceback (most recent call last):
    FileNotFoundError: there must be an IDX file at nowhere.idx, but nothing is there
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there must be {kind} at {path}, but nothing is there")
    if not path.is_file():
        raise FileFormatError(f"{path} must be {kind}, but it is a folder or a device")
    return path
