"""The usual cause of a wrong gradient, guessed from the analytic and the numeric values of its elements.

Each function of `CAUSES` looks for the traces of one kind of bug, and returns a sentence or "". The first
that finds something names the cause.
"""

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np

from minicnn.testing.evidence import CLOSE, Evidence, axis_names

MAX_TERMS = 9  # whose subsets are tried


def usual_cause(evidence: Evidence) -> str:
    """Return the bug that usually causes such differences.

    >>> a, n = np.array([-1.0, 2.0]), np.array([1.0, -2.0])
    >>> usual_cause(Evidence(a, n, np.array([True, True]), n, n, of_input=False))
    'wrong sign'
    """
    return next(filter(None, (cause(evidence) for cause in CAUSES)), "")


def _not_finite(e: Evidence) -> str:
    if not np.isfinite(e.numeric).all():
        return "the output is not finite; if the layer is not defined for all inputs, pass `inputs=`"
    if not np.isfinite(e.analytic).all():
        return "a division by zero, or a power or logarithm at the edge of its domain"
    return ""


def _low_precision(e: Evidence) -> str:
    a, n = e.analytic[e.wrong], e.numeric[e.wrong]
    close = np.abs(a - n).max() < 1e-6 * np.abs(n).max()
    return "low precision: something is computed in float32" if close else ""


def _zeros(e: Evidence) -> str:
    if e.analytic[e.wrong].any():
        return ""
    where = e.where()
    if where:
        return f"the gradient is zero{where}: a wrong threshold, or a branch that is not computed"
    return "the wrong elements are zero: not computed, or an `add_grad` or `+=` is missing"


def _single(e: Evidence) -> str:
    if e.wrong.sum() == 1 and e.wrong.size > 2 and not e.where():
        return "a single element is wrong: an index, or a border case"
    return ""


def _sign(e: Evidence) -> str:
    a, n = e.analytic[e.wrong], e.numeric[e.wrong]
    return f"wrong sign{e.where()}" if np.allclose(a, -n, rtol=1e-4, atol=1e-7 * e.size) else ""


def _factor(e: Evidence) -> str:
    a, n = e.analytic[e.wrong], e.numeric[e.wrong]
    if not n.any() or (n.size == 1 and e.wrong.size > 2):
        return ""
    ratio, batch = float(np.vdot(a, n) / np.vdot(n, n)), len(e.dy)
    if not np.allclose(a, ratio * n, rtol=1e-4, atol=1e-7 * e.size):
        return ""
    if np.abs(a - ratio * n).max() > 0.01 * np.abs(a - n).max():
        return ""  # near 1, where any factor is close
    if batch > 1 and _is(ratio, batch):
        return "a mean over the batch in place of a sum, or the reverse"
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


def _of_examples(e: Evidence) -> str:
    """Return the cause if the first example is right and the others are not."""
    if e.of_input and not e.elementwise and len(e.wrong) > 2:
        right = [i for i, rows in enumerate(e.wrong) if not rows.any()]
        if right == [0]:
            return "only the first example is right: its positions or values are used for all examples"
    return ""


def _permuted(e: Evidence) -> str:
    """Return the cause if backward returned the right values in other places."""
    axes = range(1 if e.of_input else 0, e.numeric.ndim)
    for k in (1, 2):
        for some in itertools.combinations(axes, k):
            if e.is_analytic(np.flip(e.numeric, some)):
                return (
                    "the right values in reverse order: a flipped kernel or array, or a wrong order of axes"
                )
    for i, j in itertools.combinations(axes, 2):
        if e.is_analytic(e.numeric.swapaxes(i, j)):
            return "the right values with two axes swapped: a transposed array"
    for axis, shift in itertools.product(axes, (1, -1)):
        if _is_shifted(e, shift, axis):
            return "the right values, shifted by one: a slice or a crop with an offset that is wrong by one"
    start = 1 if e.of_input else 0
    rows = [array.reshape(*array.shape[:start], -1) for array in (e.analytic, e.numeric)]
    if e.close(*(np.sort(array, axis=-1) for array in rows)):
        return "the right values in wrong places: a reshape, transpose or split with another order of axes"
    return ""


def _is_shifted(e: Evidence, shift: int, axis: int) -> bool:
    """Return whether the gradient is shifted by one, whatever is at the border."""
    inside = slice(1, None) if shift > 0 else slice(None, -1)
    analytic, moved = (np.moveaxis(a, axis, 0)[inside] for a in (e.analytic, np.roll(e.numeric, shift, axis)))
    return len(moved) > 1 and e.close(analytic, moved)


def _factors(e: Evidence) -> str:
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


def _partial_sums(e: Evidence) -> str:
    """Return the cause if backward adds the terms of some outputs only."""
    if e.parts is None:
        return ""
    for axis in range(1 if e.of_input else 0, e.dy.ndim):
        slices = np.moveaxis(e.parts, e.analytic.ndim + axis, 0)
        sums = slices.reshape(len(slices), *e.analytic.shape, -1).sum(axis=-1)
        for index, which in ((0, "first"), (-1, "last")):
            if len(slices) > 1 and e.is_analytic(sums[index]):
                names = axis_names(e.dy.ndim)
                name = names[axis] if axis < len(names) else "index"
                return (
                    f"only the {which} {name} counts: a missing sum over {name}s, or `=` for `+=` in a loop"
                )
    if e.of_input and e.value.shape == e.dy.shape and not e.elementwise:
        own = np.diag(e.parts.reshape(e.value.size, -1)).reshape(e.value.shape)
        if e.is_analytic(own):
            return "only the diagonal of the Jacobian counts, although outputs depend on other inputs too"
    return _subset_sums(e, e.parts.sum(axis=-1)) or _subset_sums(e, e.parts)


def _subset_sums(e: Evidence, parts: np.ndarray) -> str:
    """Return the cause if each wrong element is the sum of some of its terms, of which it has a few."""
    flat = parts.reshape(*e.analytic.shape, -1)[e.wrong]
    terms = (flat != 0).sum(axis=-1)
    if terms.max() > MAX_TERMS or (terms < 2).mean() > 0.5:
        return ""
    for values, analytic in zip(flat, e.analytic[e.wrong], strict=True):
        some = values[values != 0]
        subsets = np.array(list(itertools.product((0, 1), repeat=some.size))) @ some
        if np.abs(subsets - analytic).min() > e.tolerance:
            return ""
    return "only some of the terms count: `=` for `+=` where windows overlap, or a forgotten term"


def _extra(e: Evidence) -> str:
    """Return the cause if most wrong elements get a gradient although no output depends on them."""
    extra = e.wrong & (e.numeric == 0) & (e.analytic != 0)
    if extra.sum() < 0.5 * e.wrong.sum():
        return ""
    what = "backward passes a gradient to elements on which the output does not depend"
    return f"{what}{e.where()}: a mask, a bound or the choice of a maximum is ignored"


def _ranges(e: Evidence) -> str:
    where = e.where()
    if where:
        return f"the derivative is wrong{where}: a bound, a threshold or a branch that backward ignores"
    if e.elementwise:
        return (
            "the derivative of this elementwise function is wrong: a missing term or factor, a wrong argument"
        )
    return ""


def _statistics(e: Evidence) -> str:
    """Return the cause if the gradient must vanish along a direction, and does not."""
    for axes in _sets_of_axes(e.numeric.ndim) if e.of_input else [(0,)] * (e.numeric.ndim > 1):
        if math.prod(e.numeric.shape[a] for a in axes) < 2:
            continue
        for weights in (1.0, e.value, e.value - e.value.mean(axis=axes, keepdims=True)):
            numeric, analytic = ((g * weights).sum(axis=axes) for g in (e.numeric, e.analytic))
            scale = float(np.abs(e.numeric * weights).sum(axis=axes).max())
            if np.abs(numeric).max() < 2e-2 * scale and np.abs(analytic).max() > 0.1 * scale:
                return (
                    "a mean, variance or norm is taken for a constant, or the gradient through it has a "
                    "wrong factor"
                )
    return ""


def _sets_of_axes(ndim: int) -> Iterator[tuple[int, ...]]:
    others: dict[int, list[tuple[int, ...]]] = {
        2: [(0,)],
        3: [(1,), (0, 1), (1, 2)],
        4: [(1, 2), (0, 1, 2), (1, 2, 3), (0,)],
    }
    yield from [(ndim - 1,), *others.get(ndim, [])]


def _shortcut(e: Evidence) -> str:
    missing = e.numeric - e.analytic
    if e.of_input and missing.shape == e.dy.shape:
        ratio = float(np.vdot(missing, e.dy) / np.vdot(e.dy, e.dy))
        if np.abs(missing - ratio * e.dy).max() <= e.tolerance and abs(ratio) > CLOSE:
            return f"the missing term is {ratio:.3g} dy: a shortcut, or another direct path, is forgotten"
    return ""


def _is_local(e: Evidence) -> bool:
    """Return whether no output of an image depends on all pixels."""
    if e.parts is None or e.numeric.ndim != 4:
        return False
    axes = tuple(range(8))
    return not (e.parts != 0).any(axis=(*axes[:1], *axes[2:5], *axes[6:])).all()


def _general(e: Evidence) -> str:
    windows = "windows at another place (padding, strides, dilation)"
    if not e.of_input and not e.block_of_input:
        if e.value.ndim > 2 and e.dy.ndim == 4:
            return f"{windows}, a missing mask or sum over an axis, or an array not transposed"
        return "a missing term, path, factor or mask, a missing sum over an axis, or an array not transposed"
    if e.dy.ndim == 4 and not e.curved and (e.block_of_input or _is_local(e)):
        return f"a flipped kernel, {windows}, another layout, or a wrong factor in some windows"
    return "a missing term: a path from x to y that backward leaves out, or a wrong factor in one of several"


CAUSES: tuple[Callable[[Evidence], str], ...] = (
    _not_finite,
    _low_precision,
    _zeros,
    _single,
    _sign,
    _factor,
    _of_examples,
    _permuted,
    _factors,
    _partial_sums,
    _extra,
    _ranges,
    _statistics,
    _shortcut,
    _general,
)
