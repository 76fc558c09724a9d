"""The element of a wrong gradient with the largest error, and where the wrong elements are."""

import math
from typing import Any

import numpy as np

from minicnn.testing.causes import Evidence, axis_names, usual_cause
from minicnn.testing.finite_differences import Comparison, EvaluationPoint, random_direction, step_size
from minicnn.testing.passes import INPUT, gradient_name
from minicnn.testing.report import Failure

BLOCK = 512  # number of elements that are compared one by one, with few outputs
FEW = 64  # the same, with many outputs
TERMS = 2**22  # most terms of the derivatives of these elements, one for each output


def locate(point: EvaluationPoint, name: str, rng: np.random.Generator) -> Failure | None:
    """Return the failure at the element with the largest error; None if each element by itself is right.

    The halves of the array are compared along random directions. The worse half is halved again until the
    rest is small enough to compare each element.
    """
    value = point.values[name]
    block = np.arange(value.size)
    limit = min(BLOCK, max(FEW, TERMS // point.y.size))
    while block.size > limit:
        block = max(np.array_split(block, 2), key=lambda half: _relative_error(point, name, half, rng))
    found = _derivatives(point, name, block)
    analytic, numeric, tolerance = np.array([numbers for numbers, _ in found]).T / step_size(value)
    error = np.abs(analytic - numeric)
    wrong = ~(error <= tolerance)
    order = np.argsort(np.where(np.isnan(error), -np.inf, -error))
    for k in [k for k in order if wrong[k]][:8]:
        comparison = point.compare({name: _unit_vector(value, block[k])})
        if comparison in (Comparison.MISMATCH, Comparison.OUTSIDE):
            index = tuple(int(i) for i in np.unravel_index(block[k], value.shape))
            facts: dict[str, Any] = {"analytic": float(analytic[k]), "numeric": float(numeric[k])}
            if name == INPUT:
                facts["x there"] = f"{value[index]:.6g}"
            compared = f"{block.size} elements"
            if block.size < value.size:
                compared = f"{block.size} compared elements ({value.size} in total)"
            facts["wrong"] = f"{wrong.sum()} of {compared}"
            whole = block.size == value.size
            parts = np.array([terms for _, terms in found]) / step_size(value)
            evidence = _evidence(point, name, block, (analytic, numeric, wrong), parts)
            only = where_wrong(evidence.wrong, name == INPUT) if whole else ""
            if only:
                facts["only"] = only
            return Failure(
                "", _describe(name, comparison), gradient_name(name), index, facts, usual_cause(evidence)
            )
    return None


def _derivatives(point: EvaluationPoint, name: str, block: np.ndarray) -> list[tuple[tuple, np.ndarray]]:
    """Return the derivatives for each element of a block, and their terms, one for each output."""
    value = point.values[name]
    if name != INPUT or not point.independent:
        return [point.derivatives_and_terms({name: _unit_vector(value, i)}) for i in block]
    found = []
    for i, (numbers, terms) in zip(
        block, point.derivatives_of_elements(block, step_size(value)), strict=True
    ):
        of_all = np.zeros(point.y.shape)
        of_all[i // value[0].size] = terms
        found.append((numbers, of_all))
    return found


def _evidence(
    point: EvaluationPoint, name: str, block: np.ndarray, arrays: tuple, parts: np.ndarray
) -> Evidence:
    """Return what is known of the elements of a block, with the shape of the array if it has all elements."""
    value = point.values[name]
    elementwise = name == INPUT and value.shape == point.dy.shape
    if elementwise:
        flat = parts.reshape(len(block), -1).copy()
        flat[np.arange(len(block)), block] = 0
        elementwise = not flat.any()
    analytic, numeric, wrong = arrays
    curved = point.is_curved({name: random_direction(value, np.random.default_rng(0), sparse=False)})
    fewer = _ratio_of_fewer(point, name)
    if block.size == value.size:
        analytic, numeric, wrong = (array.reshape(value.shape) for array in arrays)
        parts = parts.reshape(*value.shape, *point.dy.shape)
        arrays = (analytic, numeric, wrong, value, point.dy)
        return Evidence(*arrays, name == INPUT, elementwise, curved, parts, fewer=fewer)
    dy = point.dy.ravel()[block] if elementwise else point.dy
    return Evidence(
        analytic,
        numeric,
        wrong,
        value.ravel()[block],
        dy,
        False,
        elementwise,
        curved,
        block_of_input=name == INPUT,
        fewer=fewer,
    )


def _ratio_of_fewer(point: EvaluationPoint, name: str) -> float | None:
    """Return by which factor a derivative is wrong in a batch without the first example, if it has one."""
    x, dy = point.values[INPUT][1:], point.dy[1:]
    try:
        fewer = EvaluationPoint(point.layer, x, dy)
        d = random_direction(fewer.values[name], np.random.default_rng(0), sparse=False)
        analytic, numeric, tolerance = fewer.directional_derivatives({name: d})
    except Exception:
        return None  # a layer that needs more examples, or that fails now
    return analytic / numeric if abs(numeric) > 1e4 * tolerance else None


def where_wrong(wrong: np.ndarray, of_input: bool) -> str:
    """Return "in the last row" and the like if all wrong elements share an index along one axis.

    >>> where_wrong(np.array([[False, False], [True, True]]), of_input=True)
    'for example 1'
    """
    if wrong.all() or not wrong.any():
        return ""
    known = axis_names(wrong.ndim) if of_input else ()
    for axis, size in enumerate(wrong.shape):
        others = tuple(a for a in range(wrong.ndim) if a != axis)
        (indices,) = np.nonzero(wrong.any(axis=others))
        if size < 2 or len(indices) > 1 or wrong.sum() < 2:
            continue
        index = int(indices[0])
        # A few elements may share an index by chance, but hardly that of a border.
        chance = float(size) ** (1 - int(wrong.sum()))
        if chance > (0.1 if index in (0, size - 1) else 0.01) and not wrong.take(index, axis).all():
            continue
        if axis >= len(known):
            return f"at index {index} of axis {axis}"
        if axis == 0:
            return f"for example {index}"
        place = {0: "first", size - 1: "last"}.get(index)
        return f"in the {place} {known[axis]}" if place else f"in {known[axis]} {index}"
    return ""


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
    analytic, numeric, tolerance = point.directional_derivatives({name: d.reshape(value.shape)})
    error = abs(analytic - numeric)
    return error / max(tolerance, 1e-300) if math.isfinite(error) else math.inf


def _unit_vector(value: np.ndarray, index: int) -> np.ndarray:
    d = np.zeros(value.shape)
    d.flat[index] = step_size(value)
    return d
