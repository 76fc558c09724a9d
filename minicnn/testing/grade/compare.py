"""Compare one call of a learner's function with the expected results, and print the case as Python code."""

import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.testing.grade.cases import RESULTS, Geometry, arguments
from minicnn.testing.grade.conventions import Convention

RTOL = 1e-6  # relative to the largest expected value; real bugs cause larger errors


def mismatch(
    name: str, function: Callable[..., Any], convention: Convention, case: Geometry, path: str
) -> str:
    """Return the case as text if the function returns wrong results, otherwise an empty string."""
    try:
        named = arguments(name, case, convention)
        expected = convention.function(**named)
    except ValueError:
        return ""  # this convention does not allow this geometry
    passed = [np.array(value) if isinstance(value, np.ndarray) else value for value in named.values()]
    try:
        got = function(*passed)
    except BaseException as error:  # including SystemExit
        return _case(name, named, expected, describe_error(error, path))
    for (key, before), after in zip(named.items(), passed, strict=True):
        if isinstance(before, np.ndarray) and not np.array_equal(before, after):
            return _case(name, named, expected, f"modified its argument {key}")
    problem = _difference(RESULTS[name], got, expected)
    return _case(name, named, expected, problem) if problem else ""


def _difference(names: tuple[str, ...], got: Any, expected: Any) -> str:
    """Return what is wrong with the results; an empty string if they are correct."""
    if len(names) == 1:
        got, expected = (got,), (expected,)
    elif not isinstance(got, tuple | list) or len(got) != len(names):
        return f"must return {', '.join(names)}, but returned {type(got).__name__}"
    for name, value, correct in zip(names, got, expected, strict=True):
        try:
            array = np.asarray(value)
        except ValueError:
            return f"{name} must be an array, but is a ragged {type(value).__name__}"
        if array.dtype.kind not in "fiub":
            return f"{name} must be an array of numbers, but is {value!r:.50}"
        if array.shape != correct.shape:
            return f"{name} must have shape {correct.shape}, but has {array.shape}"
        error = np.abs(array - correct)
        if not (error <= RTOL * max(np.abs(correct).max(initial=0.0), 1e-3)).all():
            return f"returned a wrong {name}\n{name} = {_array(array)}"
    return ""


def _case(name: str, named: dict[str, Any], expected: Any, problem: str) -> str:
    lines = [f"{key} = {_value(value)}" for key, value in named.items()]
    call = f"{name}({', '.join(named)})"
    results = (expected,) if len(RESULTS[name]) == 1 else expected
    correct = [f"{key} = {_array(value)}" for key, value in zip(RESULTS[name], results, strict=True)]
    return "\n".join([*lines, f"{call} {problem}", "expected:", *correct])


def _value(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return _array(value)
    return getattr(value, "__name__", None) or repr(value)


def _array(array: np.ndarray) -> str:
    numbers = ", ".join(repr(float(f"{value:.6g}")) for value in array.ravel())
    return f"np.array([{numbers}]).reshape{array.shape}"


def describe_error(error: BaseException, path: str) -> str:
    """Return "raised ..." with the line number in the learner's file."""
    if isinstance(error, SyntaxError):
        return f"is not valid Python: line {error.lineno}: {error.msg}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    where = f" in line {lines[-1]}" if lines else ""
    if isinstance(error, SystemExit):
        return f"ended the program with exit(){where}"
    message = str(error).splitlines()[0] if str(error) else ""
    return f"raised {type(error).__name__}{where}: {message}".rstrip(": ")
