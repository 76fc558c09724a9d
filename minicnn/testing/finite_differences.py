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
from enum import Enum

import numpy as np

from minicnn.layers.base import Layer
from minicnn.testing.layer_under_test import INPUT, gradient_name, run, trainable
from minicnn.testing.report import note

STEP = 2.0**-17  # near the cube root of the rounding error, where a central difference is most accurate
RTOL = 1e-9  # relative to the size of the gradient along the direction
MAX_STEP = 8.0  # of large inputs, where functions are no smoother than elsewhere
EPS = float(np.finfo(np.float64).eps)


class Comparison(Enum):
    """Result of comparing a gradient with finite differences along one direction."""

    MATCH = "the derivatives agree"
    MISMATCH = "the derivatives differ"
    KINK = "not differentiable, the gradient lies between the one-sided derivatives"
    OUTSIDE = "not differentiable, the gradient does not lie between the one-sided derivatives"


class EvaluationPoint:
    """A batch `x` and a gradient `dy`, with the layer's output and gradients there.

    All outputs are those of copies of the layer, or of the layer itself if it is `steady`, a function of x
    and the weights alone.
    """

    def __init__(self, layer: Layer, x: np.ndarray, dy: np.ndarray, steady: bool = False) -> None:
        self.layer, self.dy, self.steady = layer, dy, steady
        self.values = {INPUT: x, **{name: p.value for name, p in trainable(layer)}}
        self.run = run(copy.deepcopy(layer), x, dy)
        self.y = self.run.y
        self.gradients = {INPUT: self.run.dx, **self.run.dweights}
        # The terms of a vanishing gradient cancel, as in that of a bias before a batch normalisation.
        self.floor = 256 * EPS * float(np.linalg.norm(dy) + np.linalg.norm(self.y * dy))

    @property
    def finite(self) -> bool:
        """Whether the output and all gradients are finite."""
        return all(np.isfinite(array).all() for array in (self.y, *self.gradients.values()))

    def shifted_output(self, name: str, shift: np.ndarray) -> np.ndarray:
        """Return the output after one array was shifted by `shift`."""
        x, layer = self.values[INPUT], self.layer if self.steady else copy.deepcopy(self.layer)
        if name == INPUT:
            return layer(x + shift).copy()
        parameter = dict(layer.named_parameters())[name]
        before = parameter.value.copy()
        parameter.value = before + shift
        y = layer(x.copy()).copy()
        parameter.value = before
        return y

    def central_difference(self, name: str, d: np.ndarray, h: float) -> tuple[np.ndarray, float]:
        """Return the central difference of the output along `d`, and the rounding error of <it, dy>."""
        plus, minus = self.shifted_output(name, h * d), self.shifted_output(name, -h * d)
        # Outputs that are equal contribute no rounding error to the difference.
        noise = np.linalg.norm((np.abs(plus) * self.dy)[plus != minus]) * EPS / h
        return (plus - minus) / (2 * h), float(noise)

    def directional_derivatives(self, name: str, d: np.ndarray) -> tuple[float, float, float]:
        """Return the analytic and the numeric derivative along `d`, and how far they may differ."""
        return self.derivatives_and_terms(name, d)[0]

    def derivatives_and_terms(
        self, name: str, d: np.ndarray
    ) -> tuple[tuple[float, float, float], np.ndarray]:
        """Return the same, and the terms of the numeric derivative, one for each output."""
        product = self.gradients[name] * d
        difference, noise = self.central_difference(name, d, STEP)
        tolerance = RTOL * float(np.linalg.norm(product)) + 16 * noise + self.floor
        terms = difference * self.dy
        return (float(product.sum()), float(np.vdot(difference, self.dy)), tolerance), terms

    def compare(self, name: str, d: np.ndarray) -> Comparison:
        """Compare the gradient with finite differences along `d`."""
        analytic, numeric, tolerance = self.directional_derivatives(name, d)
        numbers = (gradient_name(name), analytic, numeric, tolerance)
        note("{}: analytic {:.10g}, numeric {:.10g} along a direction, tolerance {:.2g}", *numbers)
        if abs(analytic - numeric) <= tolerance:
            return Comparison.MATCH
        scale = float(np.linalg.norm(self.gradients[name] * d))
        if not np.isfinite(scale):
            return Comparison.MISMATCH
        numeric, error, noise = self._richardson(name, d)
        inside, width = self.between_one_sided(name, d)
        size, slack = max(scale, abs(numeric)), 64 * noise + self.floor
        # At an exact kink central differences converge too, to the mean of the one-sided derivatives: hence
        # the width.
        if error <= 1e-7 * size + slack and width <= 1e-3 * size + slack:
            close = abs(analytic - numeric) <= RTOL * scale + 4 * error + slack
            return Comparison.MATCH if close else Comparison.MISMATCH
        return Comparison.KINK if inside else Comparison.OUTSIDE

    def between_one_sided(self, name: str, d: np.ndarray) -> tuple[bool, float]:
        """Return whether the gradient lies between the one-sided derivatives, and how far these differ."""
        h = 2.0**-20
        right = self.dy * (self.shifted_output(name, h * d) - self.y) / h
        left = self.dy * (self.y - self.shifted_output(name, -h * d)) / h
        product = self.gradients[name] * d
        slack = 1e-6 * np.linalg.norm(product) + 64 * EPS / h * np.linalg.norm(self.y * self.dy)
        low, high = np.minimum(left, right).sum(), np.maximum(left, right).sum()
        return bool(low - slack <= product.sum() <= high + slack), float(high - low)

    def _richardson(self, name: str, d: np.ndarray) -> tuple[float, float, float]:
        """Return the derivative by Richardson extrapolation, its estimated error, and its rounding error."""
        row: list[np.ndarray] = []
        for level in range(4):
            before, h = row, 2.0 ** -(9 + level)
            difference, noise = self.central_difference(name, d, h)
            row = [difference]
            for order, coarser in enumerate(before, start=1):
                row.append(row[-1] + (row[-1] - coarser) / (4**order - 1))
        error = np.abs(row[-1] - row[-2]) + np.abs(row[-1] - before[-1])
        return float(np.vdot(row[-1], self.dy)), float(np.vdot(error, np.abs(self.dy))), noise


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
