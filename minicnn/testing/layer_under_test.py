"""The layer under test, its inputs, and runs of it that are independent of each other.

Every run works on a fresh copy of the same built layer. So a Dropout draws the same mask each time, a
BatchNorm starts from the same running statistics, and no run influences the next one.
"""

import copy
import math
import zlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minicnn.layers.base import Layer
from minicnn.testing.contents import reachable
from minicnn.testing.passes import trainable
from minicnn.testing.report import Remark, note

# Wide inputs reach bounds such as that of a ReLU6, small ones reach thresholds close to zero.
INPUT_SCALES = {"normal": 1.0, "wide": 8.0, "small": 0.1, "tens": 30.0, "hundreds": 300.0}
LARGE_SHIFT = 1e4  # added to one example, large enough for exp to overflow or underflow
LAYOUTS = ("NHWC", "NCHW")
HEAVY = 1e6  # from so many multiplications on, for one example, some checks try less
GENERATORS = (np.random.Generator, np.random.RandomState)
Inputs = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


class LayerUnderTest:
    """A layer, its input shape and the source of its inputs; the parameters are those of `check_layer`."""

    def __init__(
        self,
        layer: Layer,
        input_shape: tuple[int, ...],
        seed: int = 0,
        batch_size: int | None = None,
        inputs: Inputs | None = None,
        reference: Any = None,
        layout: str | None = None,
    ) -> None:
        self.layer, self.input_shape, self.seed = layer, input_shape, seed
        self.given_batch_size, self.inputs, self.reference, self.layout = (
            batch_size,
            inputs,
            reference,
            layout,
        )
        self.rng = np.random.default_rng(seed)
        self.check = ""
        self.remarks: list[Remark] = []
        self.likely_layouts: list[str] = []  # found out by the check of geometry
        self.receptive_fields: dict[int, np.ndarray] = {}  # of each axis, found out by the same check
        self.drawn = ""  # what the last batch of inputs is like

    def start(self, check: str) -> None:
        """Start a check: its random stream does not depend on which other checks run."""
        self.check, self.drawn = check, ""
        self.rng = np.random.default_rng([self.seed, zlib.crc32(check.encode())])

    def remark(self, what: str) -> None:
        """Record a remark, once."""
        remark = Remark(self.check, what)
        if remark not in self.remarks:
            self.remarks.append(remark)

    # --- layers -------------------------------------------------------------------------------------------

    def build(self, seed: int | None = None, dtype: DTypeLike = np.float64, layer: Any = None) -> Layer:
        """Return a copy of the layer, or of another layer, built from a seed."""
        copied = unbuilt(copy.deepcopy(self.layer if layer is None else layer))
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
        return self.copied(self._trained if dtype == np.float64 else self._trained32)

    @cached_property
    def _trained(self) -> Layer:
        return copy.deepcopy(self.built).train()

    @cached_property
    def _trained32(self) -> Layer:
        return copy.deepcopy(self.built32).train()

    @staticmethod
    def copied(layer: Layer) -> Layer:
        """Return a deep copy; what cannot change is not copied, which takes half of the time."""
        fixed = (layer.dtype, layer.input_shape, layer.output_shape)
        return copy.deepcopy(layer, {id(part): part for part in fixed})

    @cached_property
    def work(self) -> float:
        """About how many multiplications a forward makes for one example."""
        output = self.built.output_shape or (1,)
        weights = sum(math.prod(p.shape) for p in self.built.parameters())
        positions = math.prod(output) / max(min(output[0], output[-1]), 1)
        return math.prod(self.input_shape) + math.prod(output) + positions * weights

    @cached_property
    def batch_size(self) -> int:
        """Number of examples in a batch: that of the caller, or 3, or 2 for a heavy layer."""
        return self.given_batch_size or (3 if self.work < HEAVY else 2)

    @cached_property
    def steady(self) -> bool:
        """Whether forward is a function of x and the weights alone: one copy serves all calls."""
        return not (self.random or self.has_statistics)

    @cached_property
    def independent(self) -> bool:
        """Whether changing one example leaves the outputs of the others as they are, bit for bit."""
        if not self.steady:
            return False
        layer, x = self.fresh(), self._inputs("normal", 2, np.random.default_rng(self.seed))
        before = layer(x.copy()).copy()
        x[0] = self._inputs("wide", 2, np.random.default_rng(self.seed + 1))[0]
        return np.array_equal(layer(x)[1], before[1], equal_nan=True)

    @cached_property
    def random(self) -> bool:
        """Whether training mode is random: a generator of the layer moves, or the output does not repeat."""
        layer, rng = self.fresh(), np.random.default_rng(self.seed)
        streams = [part for part in reachable(layer) if isinstance(part, GENERATORS)]
        before = [_stream_state(stream) for stream in streams]
        x = self._inputs("normal", self.batch_size, rng)
        first = layer(x.copy()).copy()
        layer.backward(rng.standard_normal((self.batch_size, *(self.built.output_shape or ()))))
        second = layer(x.copy())
        moved = [_stream_state(stream) for stream in streams] != before
        return moved or not np.array_equal(first, second, equal_nan=True)

    @cached_property
    def batch_dependent(self) -> bool:
        """Whether the layer, or one that it holds, declares `batch_dependent`."""
        layers = (self.built, *(layer for _, layer in self.built.named_layers()))
        return any(layer.batch_dependent for layer in layers)

    @cached_property
    def has_statistics(self) -> bool:
        """Whether the layer holds weights that no optimizer updates, such as running averages."""
        return any(not p.trainable for p in self.built.parameters())

    @cached_property
    def smallest_batch(self) -> int:
        """1, or 2 for a layer of batch statistics that refuses a single example in training mode."""
        x = self._inputs("normal", 1, np.random.default_rng(self.seed))
        if not self.batch_dependent:
            return 1
        try:
            self.fresh().eval()(x.copy())
            self.fresh()(x.copy())
        except ValueError:
            return 2
        except Exception:
            return 1  # an error to be reported
        return 1

    @cached_property
    def straight_through(self) -> bool:
        """Whether outputs are steps, and dx is the slope of the staircase: a straight-through estimator."""
        if self.random or self.batch_dependent or self.built.input_shape != self.built.output_shape:
            return False
        rng = np.random.default_rng(self.seed)
        x = self._inputs("normal", max(self.batch_size, 256 // max(math.prod(self.input_shape), 1)), rng)
        layer = self.fresh()
        y, dy = layer(x.copy()).copy(), rng.standard_normal(x.shape)
        dx = layer.backward(dy.copy())
        signs = rng.choice([-1.0, 1.0], x.shape)
        near = [self.fresh()(x + h * signs) for h in (2.0**-17, -(2.0**-17))]
        if dx is None or not dx.any() or np.mean([a == y for a in near]) < 0.98 or np.ptp(y) == 0:
            return False
        slope = (self.fresh()(x + signs) - self.fresh()(x - signs)) / (2 * signs)
        error = np.abs(dx - dy * slope).mean()
        if not (((dx == 0) | (dx == dy)).all() or error <= 0.2 * np.abs(dy * slope).mean()):
            return False
        self.remark("dx is that of a straight-through estimator: outputs are steps, whose derivative is 0")
        return True

    # --- inputs -------------------------------------------------------------------------------------------

    def draw(self, kind: str = "normal", examples: int | None = None) -> np.ndarray:
        """Return random float64 inputs of a kind in INPUT_SCALES, or all "negative" or all "positive"."""
        n = self.batch_size if examples is None else examples
        self.drawn = f"{kind}, batch of {n}" if self.inputs is None else f"of `inputs`, batch of {n}"
        note("inputs {}", self.drawn)
        return self._inputs(kind, n, self.rng)

    def _inputs(self, kind: str, n: int, rng: np.random.Generator) -> np.ndarray:
        shape = (n, *self.input_shape)
        if self.inputs is not None:
            return _users_inputs(self.inputs, rng, shape)
        x = rng.standard_normal(shape)
        if kind in INPUT_SCALES:
            return INPUT_SCALES[kind] * x
        x = np.abs(x) + 0.1
        return -x if kind == "negative" else x

    def draw_dy(self, examples: int | None = None) -> np.ndarray:
        """Return a random dL/dy for a batch of that size."""
        n = self.batch_size if examples is None else examples
        return self.rng.standard_normal((n, *(self.built.output_shape or ())))


def unbuilt(layer: Layer) -> Layer:
    """Mark a layer and those that it holds as not built: one that is built would keep its weights."""
    for part in (layer, *(held for _, held in layer.named_layers())):
        part.input_shape = None
    return layer


class InputsError(ValueError):
    """The function `inputs` of the caller raised, or returned an array of another shape."""


def _users_inputs(function: Inputs, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    try:
        x = np.asarray(function(rng, shape), np.float64)
    except Exception as error:
        raise InputsError(f"`inputs` raised {type(error).__name__} for shape {shape}: {error}") from error
    if x.shape != shape:
        raise InputsError(f"`inputs` must return an array of shape {shape}, got {x.shape}")
    return x


def _stream_state(stream: Any) -> str:
    state = stream.bit_generator.state if isinstance(stream, np.random.Generator) else stream.get_state()
    return repr(state)
