"""Analytic gradients compared with finite differences of the outputs, with a rule for kinks.

Along a direction d, the derivative of the loss <y, dy> must be <gradient, d>. One random direction shifts all
elements of an array at once and costs two forwards, whatever the size of the array. Only if that comparison
fails does the search continue: first whether the differences can be trusted, then which element is wrong.

A kink is a point where the derivative jumps, such as the zero of a ReLU or two equal maxima in a pooling
window. A difference whose step crosses a kink is no derivative, and the gradient may still be right. So a
disagreement counts only if differences with shrinking steps converge to another value. If they do not
converge, another point is tried; if no point helps, the gradient must lie between the one-sided derivatives.
"""

import copy
from collections.abc import Mapping
from enum import Enum

import numpy as np

from minicnn.layers.base import Layer
from minicnn.testing.layer_under_test import LayerUnderTest
from minicnn.testing.passes import INPUT, gradient_name, run, trainable
from minicnn.testing.report import note

STEP = 2.0**-17  # near the cube root of the rounding error, where a central difference is most accurate
RTOL = 1e-9  # relative to the size of the gradient along the direction
LARGEST = 1e300  # whose products with steps, and sums of these, are still finite
MAX_STEP = 8.0  # of large inputs, where functions are no smoother than elsewhere
EPS = float(np.finfo(np.float64).eps)
LEVELS = (
    9,
    14,
)  # of the steps of an extrapolation: large ones are more accurate, small ones cross fewer kinks
DRAWS = 6  # of a random layer, at different points
AT_ONCE = 2**20  # number of input values in a batch of shifted examples
Direction = Mapping[str, np.ndarray]  # a step for each of some arrays


class Comparison(Enum):
    """Result of comparing a gradient with finite differences along one direction."""

    MATCH = "the derivatives agree"
    MISMATCH = "the derivatives differ"
    KINK = "not differentiable, the gradient lies between the one-sided derivatives"
    OUTSIDE = "not differentiable, the gradient does not lie between the one-sided derivatives"


class EvaluationPoint:
    """A batch `x` and a gradient `dy`, with the layer's output and gradients there.

    All outputs are those of copies of the layer, or of the layer itself if it is `steady`, a function of x
    and the weights alone. Where examples are `independent`, some of them can be looked at alone.
    """

    def __init__(
        self, layer: Layer, x: np.ndarray, dy: np.ndarray, steady: bool = False, independent: bool = False
    ) -> None:
        self.layer, self.dy, self.steady, self.independent = layer, dy, steady, independent
        self.values = {INPUT: x, **{name: p.value for name, p in trainable(layer)}}
        self.run = run(copy.deepcopy(layer), x, dy)
        self.y = self.run.y
        self.gradients = {INPUT: self.run.dx, **self.run.dweights}
        # The terms of a vanishing gradient cancel, as in that of a bias before a batch normalisation.
        self.floor = 256 * EPS * float(np.linalg.norm(dy) + np.linalg.norm(self.y * dy))

    @classmethod
    def of(cls, target: LayerUnderTest, x: np.ndarray, dy: np.ndarray) -> "EvaluationPoint":
        """Return the point at `x` and `dy` of the layer under test.

        Copies of a random layer draw the same numbers, so at each point some are drawn before.
        """
        layer = target.fresh()
        if target.random:
            for _ in range(target.points % DRAWS):
                layer(x.copy())
            target.points += 1
        return cls(layer, x, dy, target.steady, target.independent)

    @property
    def finite(self) -> bool:
        """Whether the output and all gradients are finite, and far enough from infinity to be compared."""
        return all(bool((np.abs(array) < LARGEST).all()) for array in (self.y, *self.gradients.values()))

    def of_example(self, i: int) -> "EvaluationPoint":
        """Return the point of one example alone, for steps in the input; examples must be independent."""
        point, one = copy.copy(self), slice(i, i + 1)
        point.values, point.gradients = {INPUT: self.values[INPUT][one]}, {INPUT: self.run.dx[one]}
        point.y, point.dy = self.y[one], self.dy[one]
        return point

    def shifted_output(self, d: Direction, h: float) -> np.ndarray:
        """Return the output after each array was shifted by `h` times its step."""
        x, layer = self.values[INPUT], self.layer if self.steady else copy.deepcopy(self.layer)
        weights = {name: p for name, p in layer.named_parameters() if name in d}
        before = {name: p.value.copy() for name, p in weights.items()}
        for name, p in weights.items():
            p.value = before[name] + h * d[name]
        y = layer(x + h * d[INPUT] if INPUT in d else x.copy()).copy()
        for name, p in weights.items():
            p.value = before[name]
        return y

    def central_difference(self, d: Direction, h: float) -> tuple[np.ndarray, float]:
        """Return the central difference of the output along `d`, and the rounding error of <it, dy>."""
        plus, minus = self.shifted_output(d, h), self.shifted_output(d, -h)
        return (plus - minus) / (2 * h), _noise(plus, minus, self.dy, h)

    def analytic_terms(self, d: Direction) -> np.ndarray:
        """Return the terms of the derivative along `d` by the gradients that backward returned."""
        return np.concatenate([(self.gradients[name] * step).ravel() for name, step in d.items()])

    def directional_derivatives(self, d: Direction) -> tuple[float, float, float]:
        """Return the analytic and the numeric derivative along `d`, and how far they may differ."""
        return self.derivatives_and_terms(d)[0]

    def derivatives_and_terms(self, d: Direction) -> tuple[tuple[float, float, float], np.ndarray]:
        """Return the same, and the terms of the numeric derivative, one for each output."""
        analytic = self.analytic_terms(d)
        difference, noise = self.central_difference(d, STEP)
        terms = difference * self.dy
        numeric = float(np.vdot(difference, self.dy))
        return (float(analytic.sum()), numeric, self._tolerance(analytic, noise)), terms

    def derivatives_of_elements(
        self, elements: np.ndarray, step: float
    ) -> list[tuple[tuple[float, float, float], np.ndarray]]:
        """Return `derivatives_and_terms` for a step in each of some elements of an independent input.

        The terms are those of the example of the element: no other one has any. A batch has an example for
        each step up or down, so that a few forwards do for all elements.
        """
        x, found = self.values[INPUT], []
        size = x[0].size
        for part in np.array_split(elements, -(-2 * elements.size * size // AT_ONCE)):
            examples = part // size
            up, down = x[examples], x[examples]
            up.reshape(len(part), -1)[np.arange(len(part)), part % size] += STEP * step
            down.reshape(len(part), -1)[np.arange(len(part)), part % size] -= STEP * step
            outputs = self.layer(np.concatenate([up, down]))
            for i, plus, minus in zip(part, outputs[: len(part)], outputs[len(part) :], strict=True):
                terms = (plus - minus) / (2 * STEP) * self.dy[i // size]
                analytic = self.gradients[INPUT].ravel()[i : i + 1] * step
                tolerance = self._tolerance(analytic, _noise(plus, minus, self.dy[i // size], STEP))
                found.append(((float(analytic[0]), float(terms.sum()), tolerance), terms))
        return found

    def _tolerance(self, analytic: np.ndarray, noise: float) -> float:
        size = float(np.linalg.norm(analytic))
        return (RTOL * size if np.isfinite(size) else 0.0) + 16 * noise + self.floor

    def agrees(self, d: Direction) -> bool:
        """Return whether the gradients equal central differences along `d`, by the cheapest comparison."""
        analytic, numeric, tolerance = self.directional_derivatives(d)
        numbers = (", ".join(map(gradient_name, d)), analytic, numeric, tolerance)
        note("{}: analytic {:.10g}, numeric {:.10g} along a direction, tolerance {:.2g}", *numbers)
        return abs(analytic - numeric) <= tolerance

    def compare(self, d: Direction) -> Comparison:
        """Compare the gradients with finite differences along `d`."""
        if self.agrees(d):
            return Comparison.MATCH
        terms = self.analytic_terms(d)
        analytic, scale = float(terms.sum()), float(np.linalg.norm(terms))
        if not np.isfinite(scale):
            return Comparison.MISMATCH
        between = []
        for level in LEVELS:
            numeric, error, noise = self._richardson(d, level)
            inside, width = self.between_one_sided(d, 2.0 ** -(level + 11))
            between.append(inside)
            size, slack = max(scale, abs(numeric)), 64 * noise + self.floor
            # At an exact kink central differences converge too, to the mean of the one-sided derivatives:
            # hence the width, which where the function is only curved vanishes with the step.
            if error <= 1e-7 * size + slack and width <= 1e-3 * size + slack:
                close = abs(analytic - numeric) <= RTOL * scale + 4 * error + slack
                return Comparison.MATCH if close else Comparison.MISMATCH
        return Comparison.KINK if between[0] else Comparison.OUTSIDE

    def between_one_sided(self, d: Direction, h: float = 2.0**-20) -> tuple[bool, float]:
        """Return whether the gradient lies between the one-sided derivatives, and how far these differ."""
        right = self.dy * (self.shifted_output(d, h) - self.y) / h
        left = self.dy * (self.y - self.shifted_output(d, -h)) / h
        terms = self.analytic_terms(d)
        rounding = 64 * EPS / h * np.linalg.norm(self.y * self.dy)
        slack = 1e-6 * np.linalg.norm(terms) + rounding + self.floor
        low, high = np.minimum(left, right).sum(), np.maximum(left, right).sum()
        return bool(low - slack <= terms.sum() <= high + slack), float(high - low)

    def is_curved(self, d: Direction) -> bool:
        """Return whether most outputs bend along `d`: a function with kinks alone bends at these only."""
        h = 2.0**-9
        plus, minus = self.shifted_output(d, h), self.shifted_output(d, -h)
        bent = np.abs(plus + minus - 2 * self.y) > 1e-6 * np.abs(plus - minus) + 1e-12 * np.abs(self.y)
        return bool(bent.mean() > 0.5)

    def _richardson(self, d: Direction, first: int) -> tuple[float, float, float]:
        """Return the derivative by Richardson extrapolation, its estimated error, and its rounding error.

        The largest of four steps is 2**-first.
        """
        row: list[np.ndarray] = []
        for level in range(4):
            before, h = row, 2.0 ** -(first + level)
            difference, noise = self.central_difference(d, h)
            row = [difference]
            for order, coarser in enumerate(before, start=1):
                row.append(row[-1] + (row[-1] - coarser) / (4**order - 1))
        error = np.abs(row[-1] - row[-2]) + np.abs(row[-1] - before[-1])
        return float(np.vdot(row[-1], self.dy)), float(np.vdot(error, np.abs(self.dy))), noise


def _noise(plus: np.ndarray, minus: np.ndarray, dy: np.ndarray, h: float) -> float:
    """Return the rounding error of a central difference; outputs that are equal contribute none."""
    return float(np.linalg.norm((np.abs(plus) * dy)[plus != minus])) * EPS / h


def step_size(value: np.ndarray) -> float:
    """Return the scale of a step in an array: its root mean square, but at most MAX_STEP, and 1 for zeros."""
    return min(float(np.sqrt(np.mean(np.square(value)))), MAX_STEP) or 1.0 if value.size else 1.0


def random_direction(value: np.ndarray, rng: np.random.Generator, sparse: bool) -> np.ndarray:
    """Return a random direction: a step of either sign in every element, or in about an eighth of them."""
    signs = rng.integers(0, 2, value.shape) * 2.0 - 1.0
    if sparse and value.size > 1:
        keep = rng.random(value.shape) < 0.125
        keep.flat[rng.integers(value.size)] = True
        signs *= keep
    return signs * step_size(value)
