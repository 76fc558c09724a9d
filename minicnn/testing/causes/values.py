"""Causes that show in the values themselves: not finite, zero, imprecise, or wrong by a factor."""

import itertools
import math

import numpy as np

from minicnn.testing.causes.evidence import Evidence


def not_finite(e: Evidence) -> str:
    """Return the cause if a gradient is not finite."""
    if not np.isfinite(e.numeric).all():
        return "the output is not finite; if the layer is not defined for all inputs, pass `inputs=`"
    if not np.isfinite(e.analytic).all():
        return "a division by zero, or a power or logarithm at the edge of its domain"
    return ""


def low_precision(e: Evidence) -> str:
    """Return the cause if all errors are as small as the rounding of float32."""
    a, n = e.analytic[e.wrong], e.numeric[e.wrong]
    close = np.abs(a - n).max() < 1e-6 * np.abs(n).max()
    return "low precision: something is computed in float32" if close else ""


def zeros(e: Evidence) -> str:
    """Return the cause if the wrong elements are zero."""
    if e.analytic[e.wrong].any():
        return ""
    where = e.where()
    if where:
        return f"the gradient is zero{where}: a wrong threshold, or a branch that is not computed"
    return "the wrong elements are zero: not computed, or an `add_grad` or `+=` is missing"


def single(e: Evidence) -> str:
    """Return the cause if one element alone is wrong."""
    if e.wrong.sum() == 1 and e.wrong.size > 2 and not e.where():
        return "a single element is wrong: an index, or a border case"
    return ""


def sign(e: Evidence) -> str:
    """Return the cause if the gradient has the wrong sign."""
    a, n = e.analytic[e.wrong], e.numeric[e.wrong]
    return f"wrong sign{e.where()}" if np.allclose(a, -n, rtol=1e-4, atol=1e-7 * e.size) else ""


def factor(e: Evidence) -> str:
    """Return the cause if the gradient is wrong by one factor."""
    a, n = e.analytic[e.wrong], e.numeric[e.wrong]
    if not n.any() or (n.size == 1 and e.wrong.size > 2):
        return ""
    ratio, batch = float(np.vdot(a, n) / np.vdot(n, n)), len(e.dy)
    if not np.allclose(a, ratio * n, rtol=1e-4, atol=1e-7 * e.size):
        return ""
    if np.abs(a - ratio * n).max() > 0.01 * np.abs(a - n).max():
        return ""  # near 1, where any factor is close
    if batch > 1 and _is(ratio, batch) and (e.fewer is None or _is(e.fewer, batch - 1)):
        return "a mean over the batch in place of a sum, or the reverse"
    if e.wrong.size == 1 and e.fewer is not None and not math.isclose(e.fewer, ratio, rel_tol=1e-4):
        return ""  # of a single element, any error is a factor
    shape = (*(e.value.shape[1:] if e.of_input else e.value.shape), *e.dy.shape[1:])
    sizes = {math.prod(some) for k in (1, 2, 3) for some in itertools.combinations(shape, k)}
    known = next((size for size in sorted(sizes) if size > 1 and _is(ratio, size)), None)
    count = round(ratio * batch)
    if not known and not e.of_input and 1 < count < 64 and math.isclose(count, ratio * batch, rel_tol=1e-5):
        return f"a fixed batch size of {count} in place of the number of examples, {batch}"
    digits = 4 if abs(ratio - 1) > 0.01 else 8
    factor = f"a constant factor: the gradient is {ratio:.{digits}g} times the correct one{e.where()}"
    return factor + (f"; a mean over {known} elements in place of a sum, or the reverse" if known else "")


def _is(ratio: float, number: int) -> bool:
    return any(math.isclose(ratio, c, rel_tol=1e-4) for c in (number, 1 / number))


def factors(e: Evidence) -> str:
    """Return the cause if the gradient is wrong by a factor that differs between examples or channels."""
    if e.elementwise or e.numeric.ndim < 2:
        return ""
    last = e.numeric.ndim - 1
    kept = {"example": (0,), "channel": (last,), "example and channel": (0, last)}
    for name, axes in kept.items() if e.of_input else [("unit", (last,))]:
        others = tuple(a for a in range(e.numeric.ndim) if a not in axes)
        if math.prod(e.numeric.shape[a] for a in others) < 2:
            continue
        square = (e.numeric**2).sum(axis=others, keepdims=True)
        ratio = (e.analytic * e.numeric).sum(axis=others, keepdims=True) / np.where(square == 0, 1, square)
        if e.is_analytic(ratio * e.numeric):
            what = f"a factor that differs for each {name}"
            return f"{what}: a scale, a norm or a deviation is forgotten, or not that of forward"
    return ""
