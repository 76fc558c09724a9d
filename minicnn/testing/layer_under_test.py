"""The layer under test, seen as functions without memory.

Every run works on a fresh copy of the same built layer: so a Dropout draws the same mask each time, a
BatchNorm starts from the same running statistics, and a run leaves no trace in the next one.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from minicnn.layers.base import Layer
from minicnn.testing.report import fail

# Bounds as that of a ReLU6, and thresholds beside zero, are seen only by inputs of that size.
SPREAD = {"normal": 1.0, "wide": 8.0, "small": 0.1}
INPUT = ""  # the input's name among those of the weights, which may be called x
Inputs = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


class Run(NamedTuple):
    """What one forward and one backward gave."""

    y: np.ndarray
    dx: np.ndarray
    dweights: dict[str, np.ndarray]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all three by the names that reports use: y, dx, dkernel ..."""
        return {"y": self.y, "dx": self.dx, **{gradient_name(w): g for w, g in self.dweights.items()}}


class LayerUnderTest:
    """A layer under test, and where its inputs come from.

    Parameters are those of `check_layer`.
    """

    def __init__(
        self,
        layer: Layer,
        input_shape: tuple[int, ...],
        seed: int = 0,
        batch_size: int = 3,
        inputs: Inputs | None = None,
        reference: Any = None,
    ) -> None:
        self.layer, self.input_shape, self.seed = layer, input_shape, seed
        self.batch_size, self.inputs, self.reference = batch_size, inputs, reference
        self.rng = np.random.default_rng(seed)

    def reseed(self, check: str) -> None:
        """Start the random stream of one check, the same whichever other checks run."""
        self.rng = np.random.default_rng([self.seed, zlib.crc32(check.encode())])

    # --- layers -------------------------------------------------------------------------------------------

    def build(self, seed: int | None = None, dtype: DTypeLike = np.float64, layer: Any = None) -> Layer:
        """Return a new copy of the layer (or of another), built from a seed."""
        made = copy.deepcopy(self.layer if layer is None else layer)
        return made.build(self.input_shape, rng=self.seed if seed is None else seed, dtype=dtype)

    @cached_property
    def built(self) -> Layer:
        """The layer in float64, at weights that hide no bug, as a bias of 0 and a scale of 1 would."""
        layer, rng = self.build(), np.random.default_rng(self.seed)
        for _, parameter in trainable(layer):
            value = parameter.value
            moved = value * rng.uniform(0.5, 1.5, value.shape)
            parameter.value = np.where(value == 0, 0.3 * rng.standard_normal(value.shape), moved)
        return layer

    @cached_property
    def built32(self) -> Layer:
        """The same layer in float32."""
        layer = self.build(dtype=np.float32)
        layer.set_weights(self.built.get_weights())
        return layer

    def fresh(self, dtype: DTypeLike = np.float64) -> Layer:
        """Return a copy of the built layer, in training mode."""
        return copy.deepcopy(self.built if dtype == np.float64 else self.built32).train()

    @cached_property
    def random(self) -> bool:
        """Whether forward in training draws random numbers: it holds a generator, or does not repeat."""
        layer, x = self.fresh(), self.draw()
        generators = np.random.Generator | np.random.RandomState
        if any(isinstance(part, generators) for part in reachable(layer)):
            return True
        return not np.array_equal(layer(x), layer(x), equal_nan=True)

    # --- inputs -------------------------------------------------------------------------------------------

    def draw(self, kind: str = "normal", examples: int | None = None) -> np.ndarray:
        """Return random inputs in float64, of a kind in SPREAD, or only "negative" or "positive" ones."""
        shape = (self.batch_size if examples is None else examples, *self.input_shape)
        if self.inputs is not None:
            return np.asarray(self.inputs(self.rng, shape), np.float64)
        x = self.rng.standard_normal(shape)
        if kind in SPREAD:
            return SPREAD[kind] * x
        x = np.abs(x) + 0.1
        return -x if kind == "negative" else x

    def draw_dy(self, examples: int | None = None) -> np.ndarray:
        """Return a random gradient for the output of such a batch."""
        n = self.batch_size if examples is None else examples
        return self.rng.standard_normal((n, *(self.built.output_shape or ())))


def gradient_name(name: str) -> str:
    """Return how reports call the gradient of a weight, or of INPUT."""
    if name in ("x", "y"):
        return f"d({name!r})"  # a weight's; dx and dy are those of the input and the output
    return f"d{name}" if name != INPUT else "dx"


def run(layer: Layer, x: np.ndarray, dy: np.ndarray) -> Run:
    """Run forward and backward on copies of `x` and `dy`, and return copies of what came out."""
    y = layer(x.copy()).copy()
    dx = backward(layer, dy.copy()).copy()
    return Run(y, dx, {name: p.grad.copy() for name, p in layer.named_parameters()})


def backward(layer: Layer, dy: np.ndarray) -> np.ndarray:
    """Return what the layer's backward returns, which must be an array."""
    dx = layer.backward(dy)
    if not isinstance(dx, np.ndarray):
        fail("backward must return dL/dx, an array", "dx", got=type(dx).__name__, hint="a missing `return`")
    return dx


def results(layer: Layer, dy: np.ndarray) -> dict[str, np.ndarray]:
    """Run backward on a copy of `dy`; return copies of dx and of all gradients that weights have then."""
    dx = backward(layer, dy.copy()).copy()
    dweights = {gradient_name(name): p.grad.copy() for name, p in layer.named_parameters()}
    return {"dx": dx, **dweights}


def trainable(layer: Layer) -> list[tuple[str, Any]]:
    """Return (name, parameter) for the weights that an optimizer would change."""
    return [(name, p) for name, p in layer.named_parameters() if p.trainable]


def reachable(layer: Layer) -> list[Any]:
    """Return every object that copying the layer copies: all that it holds, wherever it stands."""
    memo: dict[int, Any] = {}
    copy.deepcopy(layer, memo)
    return memo.get(id(memo), [])  # where `copy` keeps the originals alive
