"""Causes that show in where values are: moved, or wrong in some places or for some inputs only."""

import itertools

import numpy as np

from minicnn.testing.causes.evidence import Evidence


def of_examples(e: Evidence) -> str:
    """Return the cause if the first example is right and the others are not."""
    if e.of_input and not e.elementwise and len(e.wrong) > 2:
        right = [i for i, rows in enumerate(e.wrong) if not rows.any()]
        chance = (1 - e.wrong[1:].mean()) ** e.wrong[0].size  # that no element of the first one is wrong
        if right == [0] and chance < 1e-3:
            return "only the first example is right: its positions or values are used for all examples"
    return ""


def permuted(e: Evidence) -> str:
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
        if _is_shifted(e, {axis: shift}):
            return "the right values, shifted by one: a slice or a crop with an offset that is wrong by one"
    for some in itertools.combinations(axes, 2):
        for shifts in itertools.product(range(-3, 4), repeat=2):
            if any(shifts) and _is_shifted(e, dict(zip(some, shifts, strict=True))):
                by = max(map(abs, shifts))
                what = f"the right values, shifted by {by}"
                return f"{what}: padding that is cropped at the wrong side, or a slice with a wrong offset"
    start = 1 if e.of_input else 0
    rows = [array.reshape(*array.shape[:start], -1) for array in (e.analytic, e.numeric)]
    if e.close(*(np.sort(array, axis=-1) for array in rows)):
        return "the right values in wrong places: a reshape, transpose or split with another order of axes"
    return ""


def _is_shifted(e: Evidence, shifts: dict[int, int]) -> bool:
    """Return whether the gradient is shifted along some axes, whatever is at the border."""
    inside = [slice(None)] * e.numeric.ndim
    for axis, shift in shifts.items():
        inside[axis] = slice(max(shift, 0), e.numeric.shape[axis] + min(shift, 0))
    moved = np.roll(e.numeric, tuple(shifts.values()), tuple(shifts))[tuple(inside)]
    return all(moved.shape[axis] > 1 for axis in shifts) and e.close(e.analytic[tuple(inside)], moved)


def extra(e: Evidence) -> str:
    """Return the cause if most wrong elements get a gradient although no output depends on them."""
    extra = e.wrong & (e.numeric == 0) & (e.analytic != 0)
    if extra.sum() < 0.5 * e.wrong.sum():
        return ""
    what = "backward passes a gradient to elements on which the output does not depend"
    return f"{what}{e.where()}: a mask, a bound or the choice of a maximum is ignored"


def ranges(e: Evidence) -> str:
    """Return the cause if each output depends on one input, perhaps wrong for a range of inputs only."""
    where = e.where()
    if where:
        return f"the derivative is wrong{where}: a bound, a threshold or a branch that backward ignores"
    if e.elementwise:
        return (
            "the derivative of this elementwise function is wrong: a missing term or factor, a wrong argument"
        )
    return ""
