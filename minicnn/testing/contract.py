"""The first things: the layer builds, both passes run, and shapes and dtypes are kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.parameter import Parameter
from minicnn.testing.layer_under_test import LayerUnderTest, Run, reachable, run
from minicnn.testing.report import fail, worst


def check_build(subject: LayerUnderTest) -> None:
    """Check that the layer builds, in both dtypes, and every weight that it holds is found."""
    try:
        layer = subject.built
        subject.built32  # noqa: B018
    except Exception as error:
        fail(f"build(input_shape) and a forward in eval mode must work: {_told(error)}")
    try:
        found = [part for part in reachable(layer) if isinstance(part, Parameter)]
    except Exception as error:
        fail(f"copying the layer must work, since replicas are copies: {_told(error)}")
    known = {id(p) for p in layer.parameters()}
    hidden = sum(id(p) not in known for p in found)
    if hidden:
        fail(
            f"all weights must be found by named_parameters(), but {hidden} are not",
            hint="a Parameter in a set, or in an object that is no Layer; hold it in an attribute or a list",
        )


def check_shapes(subject: LayerUnderTest) -> None:
    """Check that both passes run, for any batch size; y has the built shape, dx that of x."""
    for n in (subject.batch_size, 1, subject.batch_size + 2):
        layer, x = subject.fresh(), subject.draw(examples=n)
        y = call("forward", layer, x)
        if not isinstance(y, np.ndarray):
            fail("forward must return an array", "y", got=type(y).__name__)
        if y.shape != (n, *(layer.output_shape or ())):
            expected = f"{(n, *(layer.output_shape or ()))}, as for the example of zeros in build"
            fail(f"with {n} examples y must keep its shape", "y", got=y.shape, expected=expected)
        dy = np.asarray(subject.rng.standard_normal(y.shape))
        dx = call("backward", layer.backward, dy)
        if not isinstance(dx, np.ndarray) or dx.shape != x.shape:
            got = dx.shape if isinstance(dx, np.ndarray) else type(dx).__name__
            fail(
                f"with {n} examples dx must have the shape of x: nothing may be left to broadcasting",
                "dx",
                hint="a sum too many, a missing reshape, or a missing return",
                got=got,
                expected=x.shape,
            )


def check_dtypes(subject: LayerUnderTest) -> None:
    """Check that results have the input's dtype; in float64 nothing was rounded to float32 on the way."""
    runs: dict[Any, Run] = {}
    x, dy = subject.draw(), subject.draw_dy()
    for dtype in (np.float32, np.float64):
        runs[dtype] = run(subject.fresh(dtype), x.astype(dtype), dy.astype(dtype))
        calm = subject.fresh(dtype).eval()(x.astype(dtype))
        for name, array in (("y", calm), ("y", runs[dtype].y), ("dx", runs[dtype].dx)):
            if array.dtype != dtype:
                fail(
                    f"with inputs of {np.dtype(dtype)} the results must have that dtype too",
                    name,
                    hint="a dtype written down in the layer, or a NumPy scalar of float64 in the arithmetic; "
                    "take constants from `math` and dtypes from x",
                    got=array.dtype,
                )
    hint = "astype(np.float32), or np.zeros(..., np.float32), inside"
    for name, array in runs[np.float64].arrays().items():
        rounded = np.unique(array[array != np.rint(array)])
        if rounded.size > 8 and np.array_equal(rounded, rounded.astype(np.float32)):
            fail("in float64 all digits must be computed, and these are float32 numbers", name, hint=hint)
    rounded = x.astype(np.float32).astype(np.float64)
    single = run(subject.fresh(), rounded, dy)
    if (rounded != x).any() and np.array_equal(single.y, runs[np.float64].y) and single.dx.any():
        fail("in float64 y must depend on all digits of x, not on those of float32 only", "y", hint=hint)
    if not subject.random and sum(_is_coarse(subject) for _ in range(3)) > 1:
        fail("in float64 a small change of x must not be lost in rounding to float32", "y", hint=hint)


def _is_coarse(subject: LayerUnderTest) -> bool:
    """Say whether most outputs go up in steps, seen from near, which from further off go up a slope.

    A kink or a step in between is one of few, and hardly there at two of three points.
    """
    x, d = subject.draw(), subject.draw()
    far, near = 2.0**-17, 2.0**-30

    def run_on(images: np.ndarray) -> np.ndarray:
        return subject.fresh().eval()(images)

    slope, steps = ((run_on(x + h * d) - run_on(x - h * d)) / (2 * h) for h in (far, near))
    rounding = 2.0**12 * np.finfo(np.float64).eps / near  # of float64, with much to spare; float32's is 2**29
    room = 0.01 * np.abs(slope) + rounding * np.abs(run_on(x))
    moving = (slope != 0) | (steps != 0)
    return bool((np.abs(steps - slope) > room)[moving].sum() > 0.5 * moving.sum())


def check_float32(subject: LayerUnderTest) -> None:
    """Check that in float32 the same numbers come out as in float64, up to rounding."""
    if subject.random:
        return  # it may draw other numbers in float32
    for _ in range(5):
        x, dy = subject.draw().astype(np.float32), subject.draw_dy().astype(np.float32)
        single = run(subject.fresh(np.float32), x, dy).arrays()
        double = run(subject.fresh(), x.astype(np.float64), dy.astype(np.float64)).arrays()
        errors = {
            name: float(np.linalg.norm(single[name] - right) / (3e-5 * np.linalg.norm(right) + 1e-5))
            for name, right in double.items()
        }
        name = max(errors, key=lambda name: math.inf if math.isnan(errors[name]) else errors[name])
        if errors[name] <= 1.0:
            return  # else rounding may have carried a value over a kink: try another point
    error = np.abs(single[name] - double[name])
    index = worst(np.where(np.isnan(error), np.inf, error))
    facts: dict[str, Any] = {"float32": float(single[name][index]), "float64": float(double[name][index])}
    fail("float32 must give the numbers of float64, up to rounding", name, index, **facts)


def call(what: str, function: Callable[[np.ndarray], Any], argument: np.ndarray) -> Any:
    """Call the layer, and fail with a sentence if it raises."""
    try:
        return function(argument)
    except Exception as error:
        fail(f"{what} must work, given shape {argument.shape}: {_told(error)}")


def _told(error: Exception) -> str:
    return f"it raised {type(error).__name__}: {error}"
