"""Causes that show in the terms of a gradient, one for each output: those that backward leaves out."""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from minicnn.testing.causes.evidence import CLOSE, Evidence, axis_names

MAX_TERMS = 9  # whose subsets are tried


def partial_sums(e: Evidence) -> str:
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


def statistics(e: Evidence) -> str:
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


def shortcut(e: Evidence) -> str:
    """Return the cause if what is missing is a multiple of dy."""
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


def general(e: Evidence) -> str:
    """Return what may be wrong where nothing more is known."""
    windows = "windows at another place (padding, strides, dilation)"
    if not e.of_input and not e.block_of_input:
        if e.value.ndim > 2 and e.dy.ndim == 4:
            return f"{windows}, a missing mask or sum over an axis, or an array not transposed"
        return "a missing term, path, factor or mask, a missing sum over an axis, or an array not transposed"
    if e.reaches((0,)):
        return "a missing or wrong term: outputs of other examples depend on x too (statistics, a mixing)"
    pointwise = e.value.ndim == 4 and e.parts is not None and not (e.reaches((1,)) or e.reaches((2,)))
    if e.dy.ndim == 4 and not e.curved and not pointwise and (e.block_of_input or _is_local(e)):
        return f"a flipped kernel, {windows}, another layout, or a wrong factor in some windows"
    return "a missing term: a path from x to y that backward leaves out, or a wrong factor in one of several"
