"""The values that a function of the user holds, found quickly enough to look for changes in every step."""

import contextlib
import operator
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minicnn.parallel.pickling import structure_digest

# Code, and data that cannot be changed in place: the same object is the same value.
_CONSTANT = (
    types.CodeType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.ModuleType,
    type,
    type(None),
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    np.generic,
    np.ufunc,
)


class HeldValues:
    """The values that a function uses: defaults, closure, globals, and those of functions of its module.

    Parameters
    ----------
    function : callable
        A function, a method, or an object.
    """

    def __init__(self, function: Callable) -> None:
        self.function = function
        self.constants: list[Any] = []
        self.digest: bytes | None = b""

    def have_changed(self) -> bool:
        """Return whether there are other values than in the last call, or there may be."""
        known, digest = self.constants, self.digest
        self.constants, others = find_values(self.function)
        self.digest = structure_digest(others) if others else b""
        same = len(known) == len(self.constants) and all(map(operator.is_, known, self.constants))
        return not same or digest is None or digest != self.digest


def find_values(function: Any) -> tuple[list[Any], list[Any]]:
    """Return the constants that a function uses, and what can be changed in place."""
    if isinstance(function, types.MethodType):
        constants, others = [function.__func__], [function.__self__]
    else:
        constants, others = ([function], []) if isinstance(function, types.FunctionType) else ([], [function])
    module = getattr(function, "__module__", None)
    seen = {*map(id, constants)}
    for value in constants:  # grows
        if isinstance(value, types.FunctionType) and value.__module__ == module:
            for held in _held(value):
                if id(held) not in seen:
                    seen.add(id(held))
                    (constants if isinstance(held, _CONSTANT) else others).append(held)
    return constants, others


def _held(function: types.FunctionType) -> Iterator[Any]:
    yield function.__code__
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # an empty cell
            yield cell.cell_contents
    yield from (function.__globals__.get(name) for name in code_names(function.__code__))


def code_names(code: types.CodeType) -> Iterator[str]:
    """Yield the names of globals and attributes that the code uses."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from code_names(constant)
