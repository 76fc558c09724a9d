"""The layer under test, its inputs, and runs of it that are independent of each other.

Every run works on a fresh copy of the same built layer. So a Dropout draws the same mask each time, a
BatchNorm starts from the same running statistics, and no run influences the next one.
"""

import copy
import math
import zlib
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minicnn.layers.base import Layer
from minicnn.testing.contents import reachable
from minicnn.testing.inputs import Inputs, random_inputs, smaller_shapes
from minicnn.testing.passes import trainable
from minicnn.testing.report import Remark, note
from minicnn.testing.tracing import count_lines

LAYOUTS = ("NHWC", "NCHW")
HEAVY = 1e6  # multiplications for one example, from which on some checks try less
LARGE = 2**14  # the same, of input values
SLOW = 1000  # the same, of lines of Python code
GENERATORS = (np.random.Generator, np.random.RandomState)


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
        self.surrogates: dict[
            str, bool
        ] = {}  # arrays, and whether gradients of them are no derivatives on purpose
        self.points = 0  # at which a random layer was looked at in this check
        self.of_shape = ""  # a note on the shape of the inputs, where it is not that of the caller

    def start(self, check: str) -> None:
        """Start a check: its random stream does not depend on which other checks run."""
        self.check, self.drawn, self.points = check, "", 0
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
        return self.given_batch_size or (2 if self.heavy else 3)

    @cached_property
    def heavy(self) -> bool:
        """Whether a forward takes long: many multiplications, large images, or loops in Python."""
        if self.work >= HEAVY or math.prod(self.input_shape) >= LARGE:
            return True
        x, layer = self._inputs("normal", 1, np.random.default_rng(self.seed)), self.fresh().eval()
        return count_lines(lambda: layer(x)) >= SLOW

    @cached_property
    def smaller(self) -> "LayerUnderTest":
        """The layer with the same weights on smaller images, if it is heavy and can be built for them."""
        shapes = smaller_shapes(self.input_shape) if self.heavy and self.inputs is None else ()
        for shape in shapes:
            small = LayerUnderTest(self.layer, shape, self.seed, self.given_batch_size, layout=self.layout)
            if small._resembles(self):
                small.remarks, small.of_shape = self.remarks, f" of shape {shape}, to save time"
                return small
        return self

    def _resembles(self, other: "LayerUnderTest") -> bool:
        """Return whether weights have the same shapes as those of another layer, and outputs as many axes."""
        try:
            weights = [[p.shape for p in each.built.parameters()] for each in (self, other)]
        except Exception:
            return False  # no size for this layer
        one, two = (each.built.output_shape or () for each in (self, other))
        return weights[0] == weights[1] and len(one) == len(two) > 1 and min(one) >= min(2, *two)

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
        streams = generators_of(layer)
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

    # --- inputs -------------------------------------------------------------------------------------------

    def draw(self, kind: str = "normal", examples: int | None = None) -> np.ndarray:
        """Return random float64 inputs of a kind in INPUT_SCALES, or all "negative" or all "positive"."""
        n = self.batch_size if examples is None else examples
        self.drawn = f"{kind if self.inputs is None else 'of `inputs`'}, batch of {n}{self.of_shape}"
        note("inputs {}", self.drawn)
        return self._inputs(kind, n, self.rng)

    def _inputs(self, kind: str, n: int, rng: np.random.Generator) -> np.ndarray:
        return random_inputs(kind, (n, *self.input_shape), rng, self.inputs)

    def draw_dy(self, examples: int | None = None) -> np.ndarray:
        """Return a random dL/dy for a batch of that size."""
        n = self.batch_size if examples is None else examples
        return self.rng.standard_normal((n, *(self.built.output_shape or ())))


def unbuilt(layer: Layer) -> Layer:
    """Mark a layer and those that it holds as not built: one that is built would keep its weights."""
    for part in (layer, *(held for _, held in layer.named_layers())):
        part.input_shape = None
    return layer


def generators_of(layer: Layer) -> list[Any]:
    """Return the random generators that a layer holds, in whatever it holds."""
    return [part for part in reachable(layer) if isinstance(part, GENERATORS)]


def _stream_state(stream: Any) -> str:
    state = stream.bit_generator.state if isinstance(stream, np.random.Generator) else stream.get_state()
    return repr(state)
