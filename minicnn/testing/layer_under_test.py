"""The layer under test, its inputs, and runs of it that are independent of each other.

Every run works on a fresh copy of the same built layer. So a Dropout draws the same mask each time, a
BatchNorm starts from the same running statistics, and no run influences the next one.
"""

import copy
import zlib
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from minicnn.layers.base import Layer
from minicnn.testing.report import fail_check

# Wide inputs reach bounds such as that of a ReLU6, small ones reach thresholds close to zero.
INPUT_SCALES = {"normal": 1.0, "wide": 8.0, "small": 0.1}
INPUT = ""  # key of the input beside the names of the weights, one of which may be "x"
Inputs = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


class Run(NamedTuple):
    """The results of one forward and one backward."""

    y: np.ndarray
    dx: np.ndarray
    dweights: dict[str, np.ndarray]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays under the names that reports use: y, dx, dkernel ..."""
        return {"y": self.y, "dx": self.dx, **{gradient_name(w): g for w, g in self.dweights.items()}}


class LayerUnderTest:
    """A layer, its input shape and the source of its inputs; the parameters are those of `check_layer`."""

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
        """Restart the random stream for one check, so that it does not depend on which other checks run."""
        self.rng = np.random.default_rng([self.seed, zlib.crc32(check.encode())])

    # --- layers -------------------------------------------------------------------------------------------

    def build(self, seed: int | None = None, dtype: DTypeLike = np.float64, layer: Any = None) -> Layer:
        """Return a copy of the layer, or of another layer, built from a seed."""
        copied = copy.deepcopy(self.layer if layer is None else layer)
        return copied.build(self.input_shape, rng=self.seed if seed is None else seed, dtype=dtype)

    @cached_property
    def built(self) -> Layer:
        """The layer in float64, with perturbed weights: a bias of 0 or a scale of 1 would hide bugs."""
        layer, rng = self.build(), np.random.default_rng(self.seed)
        for _, parameter in trainable(layer):
            value = parameter.value
            perturbed = value * rng.uniform(0.5, 1.5, value.shape)
            parameter.value = np.where(value == 0, 0.3 * rng.standard_normal(value.shape), perturbed)
        return layer

    @cached_property
    def built32(self) -> Layer:
        """The layer in float32, with the same weights."""
        layer = self.build(dtype=np.float32)
        layer.set_weights(self.built.get_weights())
        return layer

    def fresh(self, dtype: DTypeLike = np.float64) -> Layer:
        """Return a copy of the built layer, in training mode."""
        return copy.deepcopy(self.built if dtype == np.float64 else self.built32).train()

    @cached_property
    def random(self) -> bool:
        """Whether forward in training mode is random: the layer holds a generator, or two calls differ."""
        layer, x = self.fresh(), self.draw()
        generators = np.random.Generator | np.random.RandomState
        if any(isinstance(part, generators) for part in reachable(layer)):
            return True
        return not np.array_equal(layer(x), layer(x), equal_nan=True)

    # --- inputs -------------------------------------------------------------------------------------------

    def draw(self, kind: str = "normal", examples: int | None = None) -> np.ndarray:
        """Return random float64 inputs of a kind in INPUT_SCALES, or all "negative" or all "positive"."""
        shape = (self.batch_size if examples is None else examples, *self.input_shape)
        if self.inputs is not None:
            return np.asarray(self.inputs(self.rng, shape), np.float64)
        x = self.rng.standard_normal(shape)
        if kind in INPUT_SCALES:
            return INPUT_SCALES[kind] * x
        x = np.abs(x) + 0.1
        return -x if kind == "negative" else x

    def draw_dy(self, examples: int | None = None) -> np.ndarray:
        """Return a random dL/dy for a batch of that size."""
        n = self.batch_size if examples is None else examples
        return self.rng.standard_normal((n, *(self.built.output_shape or ())))


def gradient_name(name: str) -> str:
    """Return the name that reports use for the gradient of a weight or of INPUT."""
    if name in ("x", "y"):
        return f"d({name!r})"  # of a weight; dx and dy belong to the input and the output
    return f"d{name}" if name != INPUT else "dx"


def run(layer: Layer, x: np.ndarray, dy: np.ndarray) -> Run:
    """Run forward and backward on copies of `x` and `dy`, and return copies of the results."""
    y = layer(x.copy()).copy()
    dx = run_backward(layer, dy.copy()).copy()
    return Run(y, dx, {name: p.grad.copy() for name, p in layer.named_parameters()})


def run_backward(layer: Layer, dy: np.ndarray) -> np.ndarray:
    """Run backward and return dx; fail if it is not an array."""
    dx = layer.backward(dy)
    if not isinstance(dx, np.ndarray):
        hint = "a missing `return dx`"
        fail_check("backward must return an array, dL/dx", "dx", got=type(dx).__name__, hint=hint)
    return dx


def gradients_of(layer: Layer, dy: np.ndarray) -> dict[str, np.ndarray]:
    """Run backward on a copy of `dy`; return copies of dx and of the accumulated gradients of all weights."""
    dx = run_backward(layer, dy.copy()).copy()
    dweights = {gradient_name(name): p.grad.copy() for name, p in layer.named_parameters()}
    return {"dx": dx, **dweights}


def trainable(layer: Layer) -> list[tuple[str, Any]]:
    """Return (name, parameter) for each weight that an optimizer updates."""
    return [(name, p) for name, p in layer.named_parameters() if p.trainable]


def reachable(layer: Layer) -> list[Any]:
    """Return every object that the layer holds, at any depth: those that a deep copy of it copies."""
    memo: dict[int, Any] = {}
    copy.deepcopy(layer, memo)
    return memo.get(id(memo), [])  # deepcopy keeps the originals alive there
