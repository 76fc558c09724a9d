"""Compare one call of a learner's function with the expected results, and print the case as Python code."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.testing.grade.cases import RESULTS, Geometry, arguments
from minicnn.testing.grade.conventions import Convention
from minicnn.testing.grade.wire import Reply

Call = Callable[[dict[str, Any]], Reply]  # a learner's function, given its arguments by name
RTOL = 1e-6  # relative to the largest expected value; real bugs cause larger errors


def mismatch(name: str, call: Call, convention: Convention, case: Geometry) -> str:
    """Return the case as text if the function returns wrong results, otherwise an empty string."""
    try:
        named = arguments(name, case, convention)
        reply = call(named)
        expected = convention.function(**named)  # afterwards: a function cannot find what does not exist yet
    except ValueError:
        return ""  # this convention does not allow this geometry
    problem = reply.problem or _modified(reply, named) or _difference(RESULTS[name], reply.results, expected)
    return case_text(name, named, problem, expected) if problem else ""


def _modified(reply: Reply, named: dict[str, Any]) -> str:
    arrays = [key for key, value in named.items() if isinstance(value, np.ndarray)]
    return f"modified its argument {arrays[reply.modified]}" if 0 <= reply.modified < len(arrays) else ""


def _difference(names: tuple[str, ...], got: list[Any], expected: Any) -> str:
    """Return what is wrong with the results; an empty string if they are correct."""
    expected = (expected,) if len(names) == 1 else expected
    if len(got) != len(names):
        what = "one result" if len(got) == 1 else f"{len(got)} results"
        return f"must return {', '.join(names)}, but returned {what}"
    for name, array, correct in zip(names, got, expected, strict=True):
        if isinstance(array, str):
            return f"{name} must be an array of numbers, but {array}"
        if array.shape != correct.shape:
            return f"{name} must have shape {correct.shape}, but has {array.shape}"
        with np.errstate(all="ignore"):
            error = np.abs(array.astype(np.float64) - correct)
        if not (error <= RTOL * max(np.abs(correct).max(initial=0.0), 1e-3)).all():
            return f"returned a wrong {name}\n{name} = {_array(array)}"
    return ""


def case_text(name: str, named: dict[str, Any], problem: str, expected: Any = None) -> str:
    """Return a call as Python code, what is wrong with it, and the expected results."""
    lines = [f"{key} = {_value(value)}" for key, value in named.items()]
    lines.append(f"{name}({', '.join(named)}) {problem}")
    if expected is not None:
        results = (expected,) if len(RESULTS[name]) == 1 else expected
        correct = [f"{key} = {_array(value)}" for key, value in zip(RESULTS[name], results, strict=True)]
        lines += ["expected:", *correct]
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return _array(value)
    return getattr(value, "__name__", None) or repr(value)


def _array(array: np.ndarray) -> str:
    numbers = ", ".join(repr(float(f"{value:.6g}")) for value in array.ravel())
    return f"np.array([{numbers}]).reshape{array.shape}"
