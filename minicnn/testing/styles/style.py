"""The entries of the collection of right layers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from minicnn.layers.base import Layer

L = TypeVar("L", bound=type[Layer])


@dataclass(frozen=True)
class Style:
    """One right layer.

    Attributes
    ----------
    layer : type
        The class; `make()` returns an instance.
    input_shape : tuple of int
        Shape of one example.
    arguments : tuple
        Arguments of the class.
    remark : str
        A part of the only remark that `check_layer` makes, or "" for none.
    inputs : callable or None
        The argument of `check_layer`, for a layer that is not defined for all inputs.
    """

    layer: type[Layer]
    input_shape: tuple[int, ...]
    arguments: tuple[Any, ...] = ()
    remark: str = ""
    inputs: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray] | None = None

    def make(self) -> Layer:
        """Return a new instance of the layer."""
        return self.layer(*self.arguments)


STYLES: dict[str, Style] = {}


def right(
    input_shape: tuple[int, ...], *arguments: Any, remark: str = "", inputs: Any = None
) -> Callable[[L], L]:
    """Return a decorator that adds a class, with its constructor's arguments, to the collection."""

    def register(layer: L) -> L:
        name = ", ".join([*map(repr, arguments), "x".join(map(str, input_shape))])
        STYLES[f"{layer.__name__}({name})"] = Style(layer, input_shape, arguments, remark, inputs)
        return layer

    return register
