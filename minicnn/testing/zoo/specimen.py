"""The entries of the zoo: broken layers, each with its bug and the check that rejects it."""

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
        The class; `make()` returns an instance.
    input_shape : tuple of int
        An input shape that reveals the bug.
    check : str
        The first check of `check_layer` that rejects the layer.
    reference : callable or None
        Returns a correct layer, where only the check "reference" can find the bug.
    arguments : tuple
        Arguments of the class.
    cause : str
        A regular expression that the usual cause in the first block of the report matches.
    """

    layer: type[Layer]
    input_shape: tuple[int, ...]
    check: str
    reference: Callable[[], Layer] | None = None
    arguments: tuple[Any, ...] = field(default=())
    cause: str = ""

    @property
    def name(self) -> str:
        """Name of the class."""
        return self.layer.__name__

    @property
    def bug(self) -> str:
        """The bug, in one sentence."""
        return " ".join((inspect.getdoc(self.layer) or "").split())

    def make(self) -> Layer:
        """Return a new instance of the broken layer."""
        return self.layer(*self.arguments)


ZOO: dict[str, Specimen] = {}


def broken(
    check: str,
    input_shape: tuple[int, ...],
    *arguments: Any,
    reference: Callable[[], Layer] | None = None,
    cause: str = "",
) -> Callable[[L], L]:
    """Return a decorator that adds a class, with its constructor's arguments, to the zoo."""

    def register(layer: L) -> L:
        ZOO[layer.__name__] = Specimen(layer, input_shape, check, reference, arguments, cause)
        return layer

    return register


class WithKernel(Layer):
    """Base class: a kernel with two filters, 3x3 by default, and a bias."""

    size = (3, 3)
    filters = 2

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Draw the kernel."""
        self.kernel = Parameter(rng.normal(0.0, 0.3, (*self.size, input_shape[-1], self.filters)))
        self.bias = Parameter(np.zeros(self.filters))


class WithMatrix(Layer):
    """Base class: a dense kernel with four units, and a bias."""

    units = 4

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Draw the kernel."""
        self.kernel = Parameter(rng.normal(0.0, 0.5, (input_shape[-1], self.units)))
        self.bias = Parameter(np.zeros(self.units))
