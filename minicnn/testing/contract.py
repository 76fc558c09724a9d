"""The basic contract: the layer builds, both passes run, shapes and dtypes are right."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.parameter import Parameter
from minicnn.plural import counted
from minicnn.testing.layer_under_test import LayerUnderTest, Run, reachable, run
from minicnn.testing.report import fail_check, worst_index


def check_build(target: LayerUnderTest) -> None:
    """Check that the layer builds in both dtypes, and that named_parameters() finds all its weights."""
    try:
        layer = target.built
        target.built32  # noqa: B018
    except Exception as error:
        fail_check(f"build(input_shape) or a forward in eval mode {_describe(error)}")
    try:
        found = [part for part in reachable(layer) if isinstance(part, Parameter)]
    except Exception as error:
        fail_check(f"copy.deepcopy(layer), on which replicas rely, {_describe(error)}")
    known = {id(p) for p in layer.parameters()}
    hidden = sum(id(p) not in known for p in found)
    if hidden:
        fail_check(
            f"named_parameters() does not find {counted(hidden, 'weight')} of the layer",
            hint="a Parameter in a set, or in an object that is not a Layer; use an attribute or a list",
        )


def check_shapes(target: LayerUnderTest) -> None:
    """Check that both passes run for any batch size, y has the built shape and dx the shape of x."""
    for n in (target.batch_size, 1, target.batch_size + 2):
        layer, x = target.fresh(), target.draw(examples=n)
        y = call("forward", layer, x)
        if not isinstance(y, np.ndarray):
            fail_check("forward must return an array", "y", got=type(y).__name__, hint="a missing `return y`")
        if y.shape != (n, *(layer.output_shape or ())):
            expected = f"{(n, *(layer.output_shape or ()))}, the output shape that build found"
            what = f"y has the wrong shape for a batch of {counted(n, 'example')}"
            hint = "a reshape or squeeze that does not keep the batch axis"
            fail_check(what, "y", hint=hint, got=y.shape, expected=expected)
        dy = np.asarray(target.rng.standard_normal(y.shape))
        dx = call("backward", layer.backward, dy)
        if not isinstance(dx, np.ndarray) or dx.shape != x.shape:
            got = dx.shape if isinstance(dx, np.ndarray) else type(dx).__name__
            fail_check(
                f"dx does not have the shape of x, for a batch of {counted(n, 'example')}",
                "dx",
                hint="one sum too many, a missing reshape, or a missing return",
                got=got,
                expected=x.shape,
            )


def check_dtypes(target: LayerUnderTest) -> None:
    """Check that results have the dtype of the input, and nothing is rounded to float32 in float64."""
    runs: dict[Any, Run] = {}
    x, dy = target.draw(), target.draw_dy()
    for dtype in (np.float32, np.float64):
        runs[dtype] = run(target.fresh(dtype), x.astype(dtype), dy.astype(dtype))
        in_eval = target.fresh(dtype).eval()(x.astype(dtype))
        for name, array in (("y", in_eval), ("y", runs[dtype].y), ("dx", runs[dtype].dx)):
            if array.dtype != dtype:
                fail_check(
                    f"{name} does not have the dtype of the input, {np.dtype(dtype)}",
                    name,
                    hint="a fixed dtype, or a float64 NumPy scalar in the arithmetic; take dtypes from x and "
                    "constants from `math`",
                    got=array.dtype,
                )
    hint = "astype(np.float32) or np.zeros(..., np.float32) inside the layer"
    for name, array in runs[np.float64].arrays().items():
        rounded = np.unique(array[array != np.rint(array)])
        if rounded.size > 8 and np.array_equal(rounded, rounded.astype(np.float32)):
            fail_check(f"in float64, the values of {name} are rounded to float32", name, hint=hint)
    rounded = x.astype(np.float32).astype(np.float64)
    single = run(target.fresh(), rounded, dy)
    if (rounded != x).any() and np.array_equal(single.y, runs[np.float64].y) and single.dx.any():
        fail_check("in float64, x is rounded to float32 before it is used", "y", hint=hint)
    if not target.random and sum(_is_coarse(target) for _ in range(3)) > 1:
        fail_check("in float64, small changes of x are lost to rounding in float32", "y", hint=hint)


def _is_coarse(target: LayerUnderTest) -> bool:
    """Return whether most outputs are smooth for large steps, but change in jumps for small ones.

    Kinks and steps of the function itself affect few outputs, and rarely at two of three points.
    """
    x, d = target.draw(), target.draw()
    far, near = 2.0**-17, 2.0**-30

    def evaluate(x: np.ndarray) -> np.ndarray:
        return target.fresh().eval()(x)

    coarse, fine = ((evaluate(x + h * d) - evaluate(x - h * d)) / (2 * h) for h in (far, near))
    rounding = 2.0**12 * np.finfo(np.float64).eps / near  # a generous bound for float64; float32: 2**29
    tolerance = 0.01 * np.abs(coarse) + rounding * np.abs(evaluate(x))
    moving = (coarse != 0) | (fine != 0)
    return bool((np.abs(fine - coarse) > tolerance)[moving].sum() > 0.5 * moving.sum())


def check_float32(target: LayerUnderTest) -> None:
    """Check that float32 gives the results of float64, up to rounding."""
    if target.random:
        return  # the random numbers may differ between the dtypes
    for _ in range(5):
        x, dy = target.draw().astype(np.float32), target.draw_dy().astype(np.float32)
        single = run(target.fresh(np.float32), x, dy).arrays()
        double = run(target.fresh(), x.astype(np.float64), dy.astype(np.float64)).arrays()
        errors = {
            name: float(np.linalg.norm(single[name] - right) / (3e-5 * np.linalg.norm(right) + 1e-5))
            for name, right in double.items()
        }
        name = max(errors, key=lambda name: math.inf if math.isnan(errors[name]) else errors[name])
        if errors[name] <= 1.0:
            return  # otherwise rounding may have moved a value across a kink, so another point is tried
    error = np.abs(single[name] - double[name])
    index = worst_index(np.where(np.isnan(error), np.inf, error))
    facts: dict[str, Any] = {"float32": float(single[name][index]), "float64": float(double[name][index])}
    hint = "a separate code path or a lower precision for float32"
    fail_check("float32 and float64 give different results", name, index, hint, **facts)


def call(what: str, function: Callable[[np.ndarray], Any], argument: np.ndarray) -> Any:
    """Call the layer, and fail with a sentence if it raises."""
    try:
        return function(argument)
    except Exception as error:
        fail_check(f"{what}, given shape {argument.shape}, {_describe(error)}")


def _describe(error: Exception) -> str:
    return f"raised {type(error).__name__}: {error}"
