"""What a layer or another object holds: its parts at any depth, and the values in its class bodies."""

import copy
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
