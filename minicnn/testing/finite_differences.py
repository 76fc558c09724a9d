"""Analytic gradients against differences of the outputs, and what to make of kinks.

Along a direction d, the loss <y, dy> must grow as <gradient, d> says. One random direction moves all
elements of an array at once and costs two forwards, whatever the array's size. Only where that fails
does the search go on: first whether the differences can be trusted, then where the wrong element is.

A kink is a point where the slope jumps: the zero of a ReLU, two equal maxima in a pooling window. If a
step crosses one, the difference is no derivative, and the gradient may be right all the same. So a
disagreement counts only if differences with shrinking steps converge, and to something else; where they do
not, the point is moved. Where it never helps, the gradient must lie between the one-sided slopes.
"""

from __future__ import annotations

import copy
from enum import Enum

import numpy as np

from minicnn.layers.base import Layer
from minicnn.testing.layer_under_test import INPUT, run, trainable

STEP = 2.0**-17  # near the cube root of the rounding error, where a central difference is most exact
RTOL = 1e-9  # of the gradient's size along the direction
EPS = float(np.finfo(np.float64).eps)


class Verdict(Enum):
    """What a comparison along one direction showed."""

    RIGHT = "right"
    WRONG = "wrong"
    KINK = "kink: between the one-sided slopes"
    OUTSIDE = "not smooth, and not between the one-sided slopes"


class Point:
    """A batch `x`, a gradient `dy`, and what the layer says about its slopes there."""

    def __init__(self, layer: Layer, x: np.ndarray, dy: np.ndarray) -> None:
        self.layer, self.dy = layer, dy
        self.values = {INPUT: x, **{name: p.value for name, p in trainable(layer)}}
        self.ran = run(copy.deepcopy(layer), x, dy)
        self.y = self.ran.y
        self.gradients = {INPUT: self.ran.dx, **self.ran.dweights}
        # Gradients that vanish, as that of a bias before a batch normalisation, are sums that cancel.
        self.floor = 256 * EPS * float(np.linalg.norm(dy) + np.linalg.norm(self.y * dy))

    def moved(self, name: str, shift: np.ndarray) -> np.ndarray:
        """Return the outputs with one array moved by `shift`."""
        layer, x = copy.deepcopy(self.layer), self.values[INPUT]
        if name == INPUT:
            return layer(x + shift)
        parameter = dict(layer.named_parameters())[name]
        parameter.value = parameter.value + shift
        return layer(x.copy())

    def central(self, name: str, d: np.ndarray, h: float) -> tuple[np.ndarray, float]:
        """Return the central difference of the outputs along `d`, and the rounding error of <it, dy>."""
        plus, minus = self.moved(name, h * d), self.moved(name, -h * d)
        # Outputs that did not move at all carry no rounding error into the difference.
        noise = np.linalg.norm((np.abs(plus) * self.dy)[plus != minus]) * EPS / h
        return (plus - minus) / (2 * h), float(noise)

    def slope(self, name: str, d: np.ndarray) -> tuple[float, float, float]:
        """Return the slope along `d` by the gradient, and by difference, and how far apart they may be."""
        product = self.gradients[name] * d
        difference, noise = self.central(name, d, STEP)
        tolerance = RTOL * float(np.linalg.norm(product)) + 16 * noise + self.floor
        return float(product.sum()), float(np.vdot(difference, self.dy)), tolerance

    def judge(self, name: str, d: np.ndarray) -> Verdict:
        """Compare along direction `d`."""
        analytic, numeric, tolerance = self.slope(name, d)
        if abs(analytic - numeric) <= tolerance:
            return Verdict.RIGHT
        scale = float(np.linalg.norm(self.gradients[name] * d))
        if not np.isfinite(scale):
            return Verdict.WRONG
        numeric, doubt, noise = self._extrapolated(name, d)
        inside, width = self.between(name, d)
        size, room = max(scale, abs(numeric)), 64 * noise + self.floor
        # At an exact kink central differences converge too, to the mean of two slopes: the width tells.
        if doubt <= 1e-7 * size + room and width <= 1e-3 * size + room:
            close = abs(analytic - numeric) <= RTOL * scale + 4 * doubt + room
            return Verdict.RIGHT if close else Verdict.WRONG
        return Verdict.KINK if inside else Verdict.OUTSIDE

    def between(self, name: str, d: np.ndarray) -> tuple[bool, float]:
        """Say whether the gradient lies between the slopes to both sides, and how far these are apart."""
        h = 2.0**-20
        right = self.dy * (self.moved(name, h * d) - self.y) / h
        left = self.dy * (self.y - self.moved(name, -h * d)) / h
        product = self.gradients[name] * d
        room = 1e-6 * np.linalg.norm(product) + 64 * EPS / h * np.linalg.norm(self.y * self.dy)
        low, high = np.minimum(left, right).sum(), np.maximum(left, right).sum()
        return bool(low - room <= product.sum() <= high + room), float(high - low)

    def _extrapolated(self, name: str, d: np.ndarray) -> tuple[float, float, float]:
        """Return the slope by Richardson's extrapolation, how far to doubt it, and its rounding error."""
        row: list[np.ndarray] = []
        for level in range(4):
            before, h = row, 2.0 ** -(9 + level)
            difference, noise = self.central(name, d, h)
            row = [difference]
            for order, coarser in enumerate(before, start=1):
                row.append(row[-1] + (row[-1] - coarser) / (4**order - 1))
        doubt = np.abs(row[-1] - row[-2]) + np.abs(row[-1] - before[-1])
        return float(np.vdot(row[-1], self.dy)), float(np.vdot(doubt, np.abs(self.dy))), noise


def unit(value: np.ndarray) -> float:
    """Return the size of a step of one in an array: its values' root mean square, or 1 if they are zero."""
    return float(np.sqrt(np.mean(np.square(value)))) or 1.0 if value.size else 1.0


def directions(value: np.ndarray, rng: np.random.Generator, sparse: bool) -> np.ndarray:
    """Return a random direction: +-1 for every element, or for about an eighth of them."""
    signs = rng.integers(0, 2, value.shape) * 2.0 - 1.0
    if sparse and value.size > 1:
        keep = rng.random(value.shape) < 0.125
        keep.flat[rng.integers(value.size)] = True
        signs *= keep
    return signs * unit(value)
