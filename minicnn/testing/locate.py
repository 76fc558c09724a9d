"""Find the element of a wrong gradient with the largest error, and guess the usual cause."""

import math

import numpy as np

from minicnn.testing.finite_differences import Comparison, EvaluationPoint, random_direction, step_size
from minicnn.testing.layer_under_test import INPUT, gradient_name
from minicnn.testing.report import Failure

BLOCK = 256  # number of elements that are compared one by one


def locate(point: EvaluationPoint, name: str, rng: np.random.Generator) -> Failure | None:
    """Return the failure at the element with the largest error; None if each element by itself is right.

    The halves of the array are compared along random directions. The worse half is halved again until the
    rest is small enough to compare each element.
    """
    value = point.values[name]
    block = np.arange(value.size)
    while block.size > BLOCK:
        block = max(np.array_split(block, 2), key=lambda half: _relative_error(point, name, half, rng))
    derivatives = np.array([point.directional_derivatives(name, _unit_vector(value, i)) for i in block])
    analytic, numeric, tolerance = derivatives.T / step_size(value)
    error = np.abs(analytic - numeric)
    wrong = ~(error <= tolerance)
    order = np.argsort(np.where(np.isnan(error), -np.inf, -error))
    for k in [k for k in order if wrong[k]][:8]:
        comparison = point.compare(name, _unit_vector(value, block[k]))
        if comparison in (Comparison.MISMATCH, Comparison.OUTSIDE):
            compared = f"{block.size} elements"
            if block.size < value.size:
                compared = f"{block.size} compared elements ({value.size} in total)"
            return Failure(
                "",
                _describe(name, comparison),
                gradient_name(name),
                tuple(int(i) for i in np.unravel_index(block[k], value.shape)),
                {
                    "analytic": float(analytic[k]),
                    "numeric": float(numeric[k]),
                    "wrong": f"{wrong.sum()} of {compared}",
                },
                usual_cause(analytic, numeric, wrong, len(point.dy), of_input=name == INPUT),
            )
    return None


def usual_cause(
    analytic: np.ndarray, numeric: np.ndarray, wrong: np.ndarray, batch: int, of_input: bool = True
) -> str:
    """Return the bug that usually causes such differences between the elements of a gradient.

    >>> usual_cause(np.array([-1.0, 2.0]), np.array([1.0, -2.0]), np.array([True, True]), batch=3)
    'wrong sign'
    """
    if not np.isfinite(numeric).all():
        return "the output is not finite; if the layer is not defined for all inputs, pass `inputs=`"
    if not np.isfinite(analytic).all():
        return "a division by zero, or a power or logarithm at the edge of its domain"
    a, n = analytic[wrong], numeric[wrong]
    if not a.any():
        return "the wrong elements are zero: not computed, or an `add_grad` or `+=` is missing"
    if np.max(np.abs(a - n)) < 1e-6 * np.max(np.abs(n)):
        return "low precision: something is computed in float32"
    if wrong.sum() == 1 and wrong.size > 2:
        return "a single element is wrong: an index, or a border case"
    ratio = float(np.vdot(a, n) / np.vdot(n, n)) if n.any() else math.nan
    if not np.allclose(a, ratio * n, rtol=1e-4, atol=1e-7 * np.max(np.abs(n))):
        if of_input:
            return "a missing term of the derivative, a flipped kernel, `=` for `+=` where windows overlap"
        return "a missing term of the derivative, a missing sum over an axis, a transposed array"
    if math.isclose(ratio, -1, rel_tol=1e-4):
        return "wrong sign"
    if batch > 1 and any(math.isclose(ratio, c, rel_tol=1e-4) for c in (batch, 1 / batch)):
        return "a mean over the batch in place of a sum, or the reverse"
    return f"a constant factor: the gradient is {ratio:.4g} times the correct one"


def _describe(name: str, comparison: Comparison) -> str:
    label = "with respect to the input" if name == INPUT else f"of the weight {name!r}"
    kink = ", and is not between the one-sided derivatives either" if comparison is Comparison.OUTSIDE else ""
    return f"the gradient {label} differs from finite differences of the output{kink}"


def _relative_error(
    point: EvaluationPoint, name: str, indices: np.ndarray, rng: np.random.Generator
) -> float:
    """Return the error along a random direction in some elements, relative to its tolerance."""
    value = point.values[name]
    d = np.zeros(value.size)
    d[indices] = random_direction(value, rng, sparse=False).ravel()[indices]
    analytic, numeric, tolerance = point.directional_derivatives(name, d.reshape(value.shape))
    error = abs(analytic - numeric)
    return error / max(tolerance, 1e-300) if math.isfinite(error) else math.inf


def _unit_vector(value: np.ndarray, index: int) -> np.ndarray:
    d = np.zeros(value.shape)
    d.flat[index] = step_size(value)
    return d
