"""The basic contract: the layer builds, both passes run, shapes and dtypes are right."""

import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parameter import Parameter
from minicnn.plural import counted
from minicnn.testing.adapters.adapted import Adapted
from minicnn.testing.contents import class_values, reachable
from minicnn.testing.layer_under_test import GENERATORS, LayerUnderTest
from minicnn.testing.passes import Run, run, trainable
from minicnn.testing.report import fail_check


def check_build(target: LayerUnderTest) -> None:
    """Check that the layer builds in both dtypes, and that named_parameters() finds all its weights."""
    try:
        layer = target.built
        target.built32  # noqa: B018
    except Exception as error:
        what = f"build(input_shape) or a forward in eval mode {_describe(error)}"
        fail_check(what, hint=_hint_on_the_cache(error))
    try:
        parts = reachable(layer)
    except Exception as error:
        fail_check(f"copy.deepcopy(layer), on which replicas rely, {_describe(error)}")
    values = class_values(type(layer))
    in_class = [part for part in values if isinstance(part, Parameter | Layer | np.random.Generator)]
    if in_class:
        what = f"the class holds a {type(in_class[0]).__name__}, which all its instances share"
        fail_check(what, hint="it was made in the class body; make it in init_params")
    groups: tuple[tuple[Any, list[Any], str], ...] = (
        (Parameter, layer.parameters(), "named_parameters() does not find {weight}"),
        (Layer, [held for _, held in layer.named_layers()], "train() and eval() do not reach {child layer}"),
        (GENERATORS, layer.generators(), "generators() does not find {random generator}"),
    )
    for kind, known, what in groups[: 2 if isinstance(target.layer, Adapted) else None]:
        found = {id(part) for part in parts if isinstance(part, kind)} - {id(layer)}
        hidden = len(found - {id(part) for part in known})
        if hidden:
            start, name = what.rstrip("}").split("{")
            hint = "it is in a set, or in an object that is not a Layer; use an attribute, a list or a dict"
            fail_check(f"{start}{counted(hidden, name)} of the layer", hint=hint)


def check_shapes(target: LayerUnderTest) -> None:
    """Check that both passes run for any batch size, y has the built shape and dx the shape of x."""
    if target.smallest_batch > 1:
        target.remark("a batch of one example is refused in training mode")
    for n in (target.batch_size, target.smallest_batch, target.batch_size + 2):
        layer, x = target.fresh(), target.draw(examples=n)
        y = call("forward", layer, x)
        if not isinstance(y, np.ndarray):
            fail_check("forward must return an array", "y", got=type(y).__name__, hint="a missing `return y`")
        if not y.size:
            what = f"y has no elements, its shape is {y.shape}"
            fail_check(what, "y", hint="an input shape that is too small for the layer")
        if y.shape != (n, *(layer.output_shape or ())):
            expected = f"{(n, *(layer.output_shape or ()))}, the output shape that build found"
            what = f"y has the wrong shape for a batch of {counted(n, 'example')}"
            hint = "a reshape or squeeze that does not keep the batch axis"
            fail_check(what, "y", hint=hint, got=y.shape, expected=expected)
        dy = np.asarray(target.rng.standard_normal(y.shape))
        dx = call("backward", layer.backward, dy)
        if not isinstance(dx, np.ndarray) or dx.shape != x.shape:
            got = dx.shape if isinstance(dx, np.ndarray) else type(dx).__name__
            hint = "one sum too many, a missing reshape, or a missing return"
            if isinstance(dx, np.ndarray) and not dx.size:
                hint = "a crop by 0: `dx[:, p:-p]` is empty where p is 0; use `dx[:, p : p + height]`"
            fail_check(
                f"dx does not have the shape of x, for a batch of {counted(n, 'example')}",
                "dx",
                hint=hint,
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
            if array.dtype == dtype:
                continue
            if isinstance(target.layer, Adapted) and array.dtype == np.float64:
                target.remark(
                    f"{name} is float64 for an x of float32: right in code that computes in float64"
                )
                continue
            hint = (
                "a fixed dtype, or a float64 NumPy scalar in the arithmetic; take dtypes from x and "
                "constants from `math`"
            )
            what = f"{name} does not have the dtype of the input, {np.dtype(dtype)}"
            fail_check(what, name, hint=hint, got=array.dtype)
    hint = "astype(np.float32) or np.zeros(..., np.float32) inside the layer"
    for name, array in runs[np.float64].arrays().items():
        if _looks_single(array):
            fail_check(f"in float64, the values of {name} are rounded to float32", name, hint=hint)
    rounded = x.astype(np.float32).astype(np.float64)
    single = run(target.fresh(), rounded, dy)
    if (rounded != x).any() and np.array_equal(single.y, runs[np.float64].y) and single.dx.any():
        # The outputs of a quantizer hardly ever change, those of a layer that rounds its input do here.
        changed = target.fresh()(x * (1 + 2.0**-20))
        if not np.array_equal(changed, single.y):
            fail_check("in float64, x is rounded to float32 before it is used", "y", hint=hint)
    arrays = ("x", "the weights") if trainable(target.built) else ("x",)
    for moved in arrays if not target.random else ():
        if sum(_is_coarse(target, moved) for _ in range(3)) > 1:
            what = f"in float64, small changes of {moved} are lost to rounding in float32"
            fail_check(what, "y", hint=hint)


def _looks_single(array: np.ndarray) -> bool:
    """Return whether all values are float32 numbers, and many of them use all digits that these have.

    The values of a quantizer have few digits, and so has the rounding noise of a gradient that vanishes.
    """
    values = np.unique(array[np.isfinite(array) & (array != np.rint(array))])
    if values.size <= 8 or not np.array_equal(values, values.astype(np.float32)):
        return False
    digits = (np.frexp(values)[0] * 2.0**21) % 1 != 0  # more than 21 significant bits
    return bool(digits.mean() > 0.25)


def _is_coarse(target: LayerUnderTest, moved: str = "x") -> bool:
    """Return whether most outputs are smooth for large steps, but change in jumps for small ones.

    The steps are in x or in the weights. Kinks and steps of the function itself affect few outputs, and
    rarely at two of three points.
    """
    n = target.smallest_batch
    x, dx = target.draw(examples=n), target.draw(examples=n)
    weights = [p.value for _, p in trainable(target.built)]
    steps = [target.rng.standard_normal(value.shape) * np.std(value) for value in weights]
    far, near = 2.0**-17, 2.0**-30

    def evaluate(h: float) -> np.ndarray:
        layer = target.fresh().eval()
        if moved == "x":
            return layer(x + h * dx)
        for (_, p), step in zip(trainable(layer), steps, strict=True):
            p.value += h * step
        return layer(x)

    coarse, fine = ((evaluate(h) - evaluate(-h)) / (2 * h) for h in (far, near))
    rounding = 2.0**12 * np.finfo(np.float64).eps / near  # a generous bound for float64; float32: 2**29
    tolerance = 0.01 * np.abs(coarse) + rounding * np.abs(evaluate(0.0))
    jumps = np.abs(fine) > 1000 * np.abs(coarse)  # of the function itself
    moving = ((coarse != 0) | (fine != 0)) & ~jumps
    return bool((np.abs(fine - coarse) > tolerance)[moving].sum() > 0.5 * moving.sum())


def call(what: str, function: Callable[[np.ndarray], Any], argument: np.ndarray) -> Any:
    """Call the layer, and fail with a sentence if it raises."""
    try:
        return function(argument)
    except Exception as error:
        hint = "a missing sum over an axis, or one too many" if "`grad` must have" in str(error) else ""
        fail_check(f"{what}, given shape {argument.shape}, {_describe(error)}", hint=hint)


def _hint_on_the_cache(error: Exception) -> str:
    """Return the cause if forward read `self.cache`, which only training mode fills."""
    frames = traceback.extract_tb(error.__traceback__)[-2:]
    if [frame.name for frame in frames] == ["forward", "cache"]:
        return "forward reads self.cache, which is filled in training mode only; use a local variable"
    return ""


def _describe(error: Exception) -> str:
    return f"raised {type(error).__name__}: {error}"
