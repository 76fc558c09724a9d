"""Test cases for the textbook functions: random geometries, and the arguments of one call.

Geometries are drawn, values come from a seed, so a failing case shrinks to the smallest shape. Values are
small integers or have three digits, so a case can be printed and typed again.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from minicnn import functional
from minicnn.ops.conv import conv2d
from minicnn.ops.padding import Pads, Pair
from minicnn.testing.grade.child import ACTIVATIONS
from minicnn.testing.grade.conventions import Convention

RESULTS = {  # of each function, in order
    "conv_forward": ("A",),
    "pool_forward": ("A",),
    "conv_backward": ("dA_prev", "dW", "db"),
    "pool_backward": ("dA_prev",),
}


_ACTIVATIONS = tuple(ACTIVATIONS.values())


@dataclass(frozen=True)
class Geometry:
    """The shapes and arguments of one call, and a seed for the values."""

    images: int
    size: Pair
    channels: int
    filters: int
    kernel: Pair
    stride: Pair
    padding: str
    mode: str
    activation: int
    whole: bool  # whether the values are integers
    seed: int
    near: bool = False  # whether values of A_prev differ by 1e-3 or less, which makes no tie


def distinguishing_cases(name: str) -> list[Geometry]:
    """Return a few cases in which the known conventions give different results."""
    padding = "valid" if name.startswith("pool") else "same"
    return [
        Geometry(1, (n, n + 1), 1, 1, (k, k), (s, s), padding, "max", 0, True, seed=0)
        for n, k, s in product((4, 5), (2, 3, 4), (1, 2, 3))
    ]


def arguments(name: str, case: Geometry, convention: Convention) -> dict[str, Any]:
    """Return the arguments of one call by name, in order."""
    rng = np.random.default_rng(case.seed)

    def values(*shape: int, low: int = -1) -> np.ndarray:
        if case.whole:
            return rng.integers(low, 3, shape).astype(np.float64)
        return np.round(rng.standard_normal(shape), 3)

    A_prev = values(case.images, *case.size, case.channels, low=0)  # few distinct values, hence many ties
    if case.near:
        A_prev += rng.integers(0, 10, A_prev.shape) / 10_000
    if name.startswith("pool"):
        options: dict[str, Any] = {"kernel_shape": case.kernel, "stride": case.stride, "mode": case.mode}
        if name == "pool_forward":
            return {"A_prev": A_prev, **options}
        dA = values(*functional.pool_forward(A_prev, **options).shape, low=1)
        return {"dA": dA, "A_prev": A_prev, **options}
    W, b = values(*case.kernel, case.channels, case.filters), values(1, 1, 1, case.filters)
    options = {"padding": case.padding, "stride": case.stride}
    if name == "conv_forward":
        return {"A_prev": A_prev, "W": W, "b": b, "activation": _ACTIVATIONS[case.activation], **options}
    dZ = values(*conv2d(A_prev, W, None, case.stride, _pads(case, convention)).shape, low=1)
    return {"dZ": dZ, "A_prev": A_prev, "W": W, "b": b, **options}


def _pads(case: Geometry, convention: Convention) -> Pads:
    if case.padding == "valid":
        return (0, 0), (0, 0)
    if convention.pads is None:
        return functional.same_padding(case.size, case.kernel, case.stride)
    rows, columns = map(convention.pads, case.size, case.kernel, case.stride)
    return rows, columns
