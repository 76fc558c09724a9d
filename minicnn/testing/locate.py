"""From "the gradient is wrong along this direction" to the element that is worst, and the usual cause."""

from __future__ import annotations

import math

import numpy as np

from minicnn.testing.finite_differences import Point, Verdict, directions, unit
from minicnn.testing.layer_under_test import INPUT, gradient_name
from minicnn.testing.report import Failure

BLOCK = 256  # elements compared one by one


def locate(point: Point, name: str, rng: np.random.Generator) -> Failure | None:
    """Return what is wrong with one gradient at the element where it is worst; None if none is wrong alone.

    Halves of the array are compared along random directions, and the worse half is halved again, until
    few enough elements are left to compare each.
    """
    value, gradient = point.values[name], point.gradients[name]
    block = np.arange(value.size)
    while block.size > BLOCK:
        block = max(np.array_split(block, 2), key=lambda half: _excess(point, name, half, rng))
    slopes = np.array([point.slope(name, _one(value, i)) for i in block])
    analytic, numeric, tolerance = slopes.T / unit(value)
    error = np.abs(analytic - numeric)
    wrong = ~(error <= tolerance)
    order = np.argsort(np.where(np.isnan(error), -np.inf, -error))
    for k in [k for k in order if wrong[k]][:8]:
        verdict = point.judge(name, _one(value, block[k]))
        if verdict in (Verdict.WRONG, Verdict.OUTSIDE):
            kink = ", nor between the slopes beside the kink there" if verdict is Verdict.OUTSIDE else ""
            return Failure(
                "",
                f"the gradient {_label(name)} must be the slope of the output, and is not{kink}",
                gradient_name(name),
                tuple(int(i) for i in np.unravel_index(block[k], value.shape)),
                {
                    "analytic": float(analytic[k]),
                    "numeric": float(numeric[k]),
                    "wrong": f"{wrong.sum()} of the {block.size} elements compared, of {gradient.size}",
                },
                usual_cause(analytic, numeric, wrong, len(point.dy), of_input=name == INPUT),
            )
    return None


def usual_cause(
    analytic: np.ndarray, numeric: np.ndarray, wrong: np.ndarray, batch: int, of_input: bool = True
) -> str:
    """Return what usually lies behind such differences between elements of a gradient.

    >>> usual_cause(np.array([-1.0, 2.0]), np.array([1.0, -2.0]), np.array([True, True]), batch=3)
    'the sign'
    """
    if not np.isfinite(numeric).all():
        return "an output that is not finite; a layer that is defined for some inputs only needs `inputs=`"
    if not np.isfinite(analytic).all():
        return "a division by zero, or a power or logarithm at its edge"
    a, n = analytic[wrong], numeric[wrong]
    if not a.any():
        return "it stays zero: never computed, or `add_grad` or a `+=` was forgotten"
    if np.max(np.abs(a - n)) < 1e-6 * np.max(np.abs(n)):
        return "too little precision: something inside is float32"
    if wrong.sum() == 1 and wrong.size > 2:
        return "one element only: an index, or an edge"
    ratio = float(np.vdot(a, n) / np.vdot(n, n)) if n.any() else math.nan
    if not np.allclose(a, ratio * n, rtol=1e-4, atol=1e-7 * np.max(np.abs(n))):
        if of_input:
            return "a term of the derivative left out, a kernel flipped, `=` for `+=` where windows overlap"
        return "a term of the derivative left out, an axis not summed over, an array transposed"
    if math.isclose(ratio, -1, rel_tol=1e-4):
        return "the sign"
    if batch > 1 and any(math.isclose(ratio, c, rel_tol=1e-4) for c in (batch, 1 / batch)):
        return "a mean over the batch in one place, and a sum in the other"
    return f"a constant factor: the gradient is {ratio:.4g} times what it must be"


def _excess(point: Point, name: str, indices: np.ndarray, rng: np.random.Generator) -> float:
    d = np.zeros(point.values[name].size)
    d[indices] = directions(point.values[name], rng, sparse=False).ravel()[indices]
    analytic, numeric, tolerance = point.slope(name, d.reshape(point.values[name].shape))
    error = abs(analytic - numeric)
    return error / max(tolerance, 1e-300) if math.isfinite(error) else math.inf


def _one(value: np.ndarray, index: int) -> np.ndarray:
    d = np.zeros(value.shape)
    d.flat[index] = unit(value)
    return d


def _label(name: str) -> str:
    return "with respect to the input" if name == INPUT else f"of the weight {name!r}"
