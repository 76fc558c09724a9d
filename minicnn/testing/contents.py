"""What a layer or another object holds: its parts at any depth, and the values in its class bodies."""

import copy
from types import FunctionType
from typing import Any

from minicnn.layers.base import Layer


def reachable(obj: Any) -> list[Any]:
    """Return every object that an object holds, at any depth: those that a deep copy of it copies."""
    memo: dict[int, Any] = {}
    copy.deepcopy(obj, memo)
    return memo.get(id(memo), [])  # deepcopy keeps the originals alive there


def class_values(kind: type[Layer]) -> list[Any]:
    """Return the values in the bodies of a layer's class and its bases, up to `Layer`."""
    bases = kind.__mro__[: kind.__mro__.index(Layer)]
    return [value for base in bases for value in vars(base).values()]


def global_values(kind: type[Layer]) -> list[Any]:
    """Return the values at module level that the methods of a layer's class and its bases name."""
    functions = [getattr(value, "__func__", value) for value in class_values(kind)]
    return [
        function.__globals__[name]
        for function in functions
        if isinstance(function, FunctionType)
        for name in function.__code__.co_names
        if name in function.__globals__
    ]
