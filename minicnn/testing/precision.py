"""float32 compared with float64, and finite results for all inputs."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn.testing.inputs import INPUT_SCALES, LARGE_SHIFT
from minicnn.testing.layer_under_test import LayerUnderTest
from minicnn.testing.passes import run, trainable
from minicnn.testing.report import fail_check, worst_index

EPS32 = float(np.finfo(np.float32).eps)
OFFSET = 1000.0  # added to all inputs: the difference of two large squares loses all digits there


def check_float32(target: LayerUnderTest) -> None:
    """Check that float32 gives the results of float64, up to rounding."""
    for kind in ("normal", "tens", "offset") if target.inputs is None else ("normal",):
        worst: tuple[str, np.ndarray, np.ndarray] | None = None
        for _ in range(5):
            worst = _compare_dtypes(target, kind)
            if worst is None:
                break  # otherwise rounding may have moved a value across a kink, so another point is tried
        if worst is not None:
            name, single, double = worst
            error = np.abs(single - double)
            index = worst_index(np.where(np.isnan(error), np.inf, error))
            facts: dict[str, Any] = {"float32": float(single[index]), "float64": float(double[index])}
            hint = "a separate code path or a lower precision for float32"
            if kind == "offset":
                hint = "a difference of large squares, mean(x**2) - mean(x)**2; use the mean of (x - mean)**2"
            fail_check("float32 and float64 give different results", name, index, hint, **facts)


def _compare_dtypes(target: LayerUnderTest, kind: str) -> tuple[str, np.ndarray, np.ndarray] | None:
    """Return name, float32 and float64 of the array that differs most, or None if rounding explains it."""
    x = target.draw(kind if kind in INPUT_SCALES else "normal") + (OFFSET if kind == "offset" else 0.0)
    if kind == "offset":
        target.drawn = target.drawn.replace("normal", f"{OFFSET:g} + normal")
    x, dy = x.astype(np.float32), target.draw_dy().astype(np.float32)
    single = run(target.fresh(np.float32), x, dy).arrays()
    double = run(target.fresh(), x.astype(np.float64), dy.astype(np.float64)).arrays()
    if kind == "offset":  # the terms of gradients may cancel there in a right layer
        single, double = {"y": single["y"]}, {"y": double["y"]}
    if target.random and _distance(single["y"], double["y"]) > min(0.02, 0.1 * _noise(target, x)):
        return None  # the random numbers may differ between the dtypes
    if kind != "normal" and not all(np.isfinite(a).all() for a in (*single.values(), *double.values())):
        return None  # left to the check "finite"
    errors = {
        name: float(np.linalg.norm(single[name] - right) / (3e-5 * np.linalg.norm(right) + 1e-5))
        for name, right in double.items()
    }
    name = max(errors, key=lambda name: math.inf if math.isnan(errors[name]) else errors[name])
    if errors[name] <= 1.0:
        return None
    rounding = _effect_of_rounding(target, x.astype(np.float64), dy.astype(np.float64), double)
    relative = 3e-5 + (_error_of_means(x) if kind == "offset" else 0.0)
    for name in sorted(errors, key=errors.__getitem__, reverse=True):
        error = float(np.linalg.norm(single[name] - double[name]))
        if not error <= 64 * rounding[name] + relative * np.linalg.norm(double[name]) + 1e-5:
            return name, single[name], double[name]
    return None


def _error_of_means(x: np.ndarray) -> float:
    """Return the relative error of a normalization of each example, whose mean is a rounded number.

    It shifts all features alike, which no change of x shows. A difference of squares is far worse.
    """
    spread = float(x.std(axis=1).min()) if x.ndim == 2 and x.shape[1] > 1 else math.inf
    return min(2 * EPS32 * OFFSET / max(spread, EPS32), 0.02)


def _effect_of_rounding(
    target: LayerUnderTest, x: np.ndarray, dy: np.ndarray, exact: dict[str, np.ndarray]
) -> dict[str, float]:
    """Return how much each result changes if inputs and weights change by the rounding error of float32.

    This is the size of what was added up: a sum of large terms that cancel has few digits left.
    """
    found = dict.fromkeys(exact, 0.0)
    for _ in range(3):
        layer = target.fresh()
        changed = [array * (1 + EPS32 * target.rng.uniform(-1, 1, array.shape)) for array in (x, dy)]
        for _, p in trainable(layer):
            p.value = p.value * (1 + EPS32 * target.rng.uniform(-1, 1, p.shape))
        results = run(layer, *changed).arrays()
        for name in found:
            found[name] = max(found[name], float(np.linalg.norm(results[name] - exact[name])))
    return found


def _noise(target: LayerUnderTest, x: np.ndarray) -> float:
    """Return how far the outputs of two forwards are apart, which draw different numbers."""
    layer, x = target.fresh(), x.astype(np.float64)
    return _distance(layer(x).copy(), layer(x))


def _distance(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.linalg.norm(one - two) / (np.linalg.norm(two) + 1e-30))


def check_finite(target: LayerUnderTest) -> None:
    """Check that results are finite for large inputs, constant ones and zeros, in both dtypes.

    A function that is infinite by right, such as exp, grows to the largest numbers before. One that is not
    defined for all inputs, such as log, has `inputs`.
    """
    if target.inputs is not None:
        return
    dy = target.draw_dy()
    for label, base, x in _extreme_inputs(target):
        target.drawn = f"{label}, batch of {len(x)}"
        single = _results(target, x, dy, np.float32)
        if all(np.isfinite(array).all() for array in single.values()):
            continue  # float64, with its wider range and finer steps, is finite there too
        for dtype in (np.float64, np.float32):
            results = single if dtype == np.float32 else _results(target, x, dy, dtype)
            wrong = {name: ~np.isfinite(array) for name, array in results.items()}
            name = next((name for name, places in wrong.items() if places.any()), None)
            if name is None or _grows_without_bound(target, base, x, dy, dtype):
                continue
            index = worst_index(wrong[name])
            where = "" if dtype == np.float64 else " in float32"
            got = float(results[name][index])
            hint = "exp overflows, then inf / inf; subtract the maximum of the row, or use exp(-abs(x))"
            if math.isinf(got):
                hint = "exp or a power overflows, or a division by zero"
            if got == -math.inf:
                hint = "the logarithm of what was rounded to 0: combine it with exp, as in log-sum-exp"
            if not label.startswith(("tens", "hundreds", "an example")):
                hint = "0 / 0: divide by something that is never 0, such as sqrt(variance + eps)"
            mode = ", in eval mode" if name == "y in eval" else ""
            short = name.removesuffix(" in eval")
            what = f"{short} is not finite{where}, where {_WHERE[label]}{mode}"
            fail_check(what, short, index, hint, got=got)


_WHERE = {
    "tens": "inputs are in the tens",
    "hundreds": "inputs are in the hundreds",
    "an example + 1e4": "inputs are near 1e4",
    "an example - 1e4": "inputs are near -1e4",
    "all zero": "all inputs are 0",
    "all one half": "all inputs are 0.5",
    "one example of zeros": "an example is all zeros",
    "one vector of zeros": "a pixel is zero in all channels",
}


def _extreme_inputs(target: LayerUnderTest) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield a label, moderate inputs, and extreme ones."""
    n = target.batch_size
    for kind in ("tens", "hundreds"):
        x = target.draw(kind)
        yield kind, 0.01 * x, x
    for sign, shift in (("+", LARGE_SHIFT), ("-", -LARGE_SHIFT)):
        x = target.draw()
        shifted = x.copy()
        shifted[0] += shift
        yield f"an example {sign} 1e4", x, shifted
    for label, level in (("all zero", 0.0), ("all one half", 0.5)):
        x = np.full((n, *target.input_shape), level)
        yield label, x, x
    x = target.draw()
    x[-1] = 0.0
    yield "one example of zeros", x, x
    if len(target.input_shape) > 1:
        x = target.draw()
        x.reshape(n, -1, x.shape[-1])[:, target.rng.integers(math.prod(x.shape[1:-1]))] = 0.0
        yield "one vector of zeros", x, x


def _results(target: LayerUnderTest, x: np.ndarray, dy: np.ndarray, dtype: Any) -> dict[str, np.ndarray]:
    found = run(target.fresh(dtype), x.astype(dtype), dy.astype(dtype)).arrays()
    if target.steady:
        return found  # eval mode gives the same, which the check "modes" holds
    return {**found, "y in eval": target.fresh(dtype).eval()(x.astype(dtype))}


def _grows_without_bound(
    target: LayerUnderTest, base: np.ndarray, x: np.ndarray, dy: np.ndarray, dtype: Any
) -> bool:
    """Return whether the largest finite result between the two inputs is near the largest number."""
    low, high, largest = 0.0, 1.0, 0.0
    for _ in range(30):
        middle = (low + high) / 2
        arrays = _results(target, base + middle * (x - base), dy, dtype).values()
        if all(np.isfinite(array).all() for array in arrays):
            low, largest = middle, max(float(np.abs(array).max(initial=0.0)) for array in arrays)
        else:
            high = middle
    return largest > math.sqrt(float(np.finfo(dtype).max))
