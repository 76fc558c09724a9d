"""What the zoo keeps: a broken layer, its bug in one sentence, and the check that must reject it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parameter import Parameter

L = TypeVar("L", bound=type[Layer])


@dataclass(frozen=True)
class Specimen:
    """One broken layer.

    Attributes
    ----------
    layer : type
        Its class; `make()` makes one.
    input_shape : tuple of int
        A shape that brings the bug out.
    check : str
        The check of `check_layer` that must reject it (others may too).
    reference : callable or None
        Makes the layer that it should equal, where no check but "reference" can know.
    """

    layer: type[Layer]
    input_shape: tuple[int, ...]
    check: str
    reference: Callable[[], Layer] | None = None
    arguments: tuple[Any, ...] = field(default=())

    @property
    def name(self) -> str:
        """The class's name."""
        return self.layer.__name__

    @property
    def bug(self) -> str:
        """What is wrong, in one sentence."""
        return " ".join((inspect.getdoc(self.layer) or "").split())

    def make(self) -> Layer:
        """Return a new broken layer."""
        return self.layer(*self.arguments)


ZOO: dict[str, Specimen] = {}


def broken(
    check: str, input_shape: tuple[int, ...], *arguments: Any, reference: Callable[[], Layer] | None = None
) -> Callable[[L], L]:
    """Put the decorated class into the zoo; `arguments` are what it is made with."""

    def register(layer: L) -> L:
        ZOO[layer.__name__] = Specimen(layer, input_shape, check, reference, arguments)
        return layer

    return register


class WithKernel(Layer):
    """For specimens: a 3x3 (or other) kernel of two filters, and a bias."""

    size = (3, 3)
    filters = 2

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Draw the kernel."""
        self.kernel = Parameter(rng.normal(0.0, 0.3, (*self.size, input_shape[-1], self.filters)))
        self.bias = Parameter(np.zeros(self.filters))


class WithMatrix(Layer):
    """For specimens: a dense kernel of four units, and a bias."""

    units = 4

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Draw the kernel."""
        self.kernel = Parameter(rng.normal(0.0, 0.5, (input_shape[-1], self.units)))
        self.bias = Parameter(np.zeros(self.units))
