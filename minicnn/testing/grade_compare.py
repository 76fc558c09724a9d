"""One call of a learner's function against what it must return, and the case as text to type again."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.testing.grade_cases import RESULTS, Convention, Geometry, arguments

RTOL = 1e-6  # of the largest expected value: what is wrong is wrong by more


def mismatch(
    name: str, function: Callable[..., Any], convention: Convention, case: Geometry, path: str
) -> str:
    """Return the case as text, if the function does not return what it must; nothing if all is well."""
    try:
        given = arguments(name, case, convention)
        expected = convention.function(**given)
    except ValueError:
        return ""  # this convention does not know this geometry
    passed = [np.array(value) if isinstance(value, np.ndarray) else value for value in given.values()]
    try:
        got = function(*passed)
    except BaseException as error:  # also SystemExit
        return _case(name, given, expected, f"it {told(error, path)}")
    for (key, before), after in zip(given.items(), passed, strict=True):
        if isinstance(before, np.ndarray) and not np.array_equal(before, after):
            wrong = f"it changed its argument {key}, which belongs to the caller"
            return _case(name, given, expected, wrong)
    wrong = _difference(RESULTS[name], got, expected)
    return _case(name, given, expected, wrong) if wrong else ""


def _difference(names: tuple[str, ...], got: Any, expected: Any) -> str:
    """Return what is wrong with the results, in words; nothing if they are right."""
    if len(names) == 1:
        got, expected = (got,), (expected,)
    elif not isinstance(got, tuple | list) or len(got) != len(names):
        return f"it must return {', '.join(names)}, and returned {type(got).__name__}"
    for name, mine, right in zip(names, got, expected, strict=True):
        try:
            array = np.asarray(mine)
        except ValueError:
            return f"{name} must be an array, and is a ragged {type(mine).__name__}"
        if array.dtype.kind not in "fiub":
            return f"{name} must be an array of numbers, and is {mine!r:.50}"
        if array.shape != right.shape:
            return f"{name} must have shape {right.shape}, and has {array.shape}"
        error = np.abs(array - right)
        if not (error <= RTOL * max(np.abs(right).max(initial=0.0), 1e-3)).all():
            return f"{name} is wrong; it returned\n{name} = {_array(array)}"
    return ""


def _case(name: str, given_arguments: dict[str, Any], expected: Any, wrong: str) -> str:
    lines = [f"{key} = {_value(value)}" for key, value in given_arguments.items()]
    call = f"{name}({', '.join(given_arguments)})"
    results = (expected,) if len(RESULTS[name]) == 1 else expected
    wanted = [f"{key} = {_array(value)}" for key, value in zip(RESULTS[name], results, strict=True)]
    return "\n".join([*lines, f"{call}: {wrong}", "expected:", *wanted])


def _value(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return _array(value)
    return getattr(value, "__name__", None) or repr(value)


def _array(array: np.ndarray) -> str:
    numbers = ", ".join(repr(float(f"{value:.6g}")) for value in array.ravel())
    return f"np.array([{numbers}]).reshape{array.shape}"


def told(error: BaseException, path: str) -> str:
    """Return "raised ..." with the line of the learner's file where it happened."""
    if isinstance(error, SyntaxError):
        return f"is no valid Python: line {error.lineno}: {error.msg}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    where = f" in line {lines[-1]}" if lines else ""
    if isinstance(error, SystemExit):
        return f"ended the program with exit(){where}"
    message = str(error).splitlines()[0] if str(error) else ""
    return f"raised {type(error).__name__}{where}: {message}".rstrip(": ")
