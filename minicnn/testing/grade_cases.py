"""Cases for the textbook functions: drawn geometries, what each function must return, known conventions.

Shapes and arguments are drawn, values come from a seed: so a failing case shrinks to the smallest shape.
Values are small integers, or have three digits, so that a case can be printed and typed again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from minicnn import functional
from minicnn.ops.conv import conv2d, conv2d_backward
from minicnn.ops.padding import Pads, Pair
from minicnn.ops.pool import max_pool2d_backward

RESULTS = {  # of each function, in order
    "conv_forward": ("A",),
    "pool_forward": ("A",),
    "conv_backward": ("dA_prev", "dW", "db"),
    "pool_backward": ("dA_prev",),
}


def identity(Z: np.ndarray) -> np.ndarray:
    """Return Z: no activation."""
    return Z


def relu(Z: np.ndarray) -> np.ndarray:
    """Return the positive part."""
    return np.maximum(Z, 0)


ACTIVATIONS: tuple[Callable[[np.ndarray], np.ndarray], ...] = (identity, relu, np.tanh)


@dataclass(frozen=True)
class Geometry:
    """All that decides one call: shapes, arguments, and a seed for the values."""

    images: int
    size: Pair
    channels: int
    filters: int
    kernel: Pair
    stride: Pair
    padding: str
    mode: str
    activation: int
    whole: bool  # values are integers
    seed: int


@dataclass(frozen=True)
class Convention:
    """How one function may be defined: in words, and as a function that is right by that definition."""

    words: str
    function: Callable[..., Any]
    pads: Callable[[int, int, int], Pair] | None = None  # of "same": size, kernel, stride


def conventions(name: str) -> list[Convention]:
    """Return the known conventions of a function: the textbook's first, which is ours."""
    ours = getattr(functional, name)
    if name == "pool_backward":
        return [
            Convention("every tied maximum gets the gradient (the textbook's convention)", ours),
            Convention("the first of several tied maxima gets the gradient (as TensorFlow, PyTorch)", _first),
            Convention("tied maxima share the gradient evenly", _split),
            Convention("the last of several tied maxima gets the gradient", _last),
        ]
    if name == "pool_forward":
        return [Convention("", ours)]
    words = {
        "keeps the size for any stride, the odd row or column before (the textbook's convention)": None,
        "keeps the size for any stride, the odd row or column after": _keep_after,
        "has ceil(n / stride) rows, the odd one after (as TensorFlow)": _ceil_after,
        "has ceil(n / stride) rows, the odd one before": _ceil_before,
        "pads both sides alike, rounded up": _both_up,
        "pads both sides alike, rounded down": _both_down,
        "pads (k - 1) // 2 on both sides, whatever the stride": lambda n, k, s: ((k - 1) // 2, (k - 1) // 2),
        "pads k // 2 on both sides, whatever the stride": lambda n, k, s: (k // 2, k // 2),
    }
    made = _forward if name == "conv_forward" else _backward
    return [
        Convention(f'padding "same" {text}', ours if pads is None else made(pads), pads)
        for text, pads in words.items()
    ]


def telling(name: str) -> list[Geometry]:
    """Return a few cases in which the known conventions differ from each other."""
    padding = "valid" if name.startswith("pool") else "same"
    return [
        Geometry(1, (n, n + 1), 1, 1, (k, k), (s, s), padding, "max", 0, True, seed=0)
        for n, k, s in product((4, 5), (2, 3, 4), (1, 2, 3))
    ]


def arguments(name: str, case: Geometry, convention: Convention) -> dict[str, Any]:
    """Return the arguments of one call, by their names and in their order."""
    rng = np.random.default_rng(case.seed)

    def values(*shape: int, low: int = -1) -> np.ndarray:
        if case.whole:
            return rng.integers(low, 3, shape).astype(np.float64)
        return np.round(rng.standard_normal(shape), 3)

    A_prev = values(case.images, *case.size, case.channels, low=0)  # few different ones: many ties
    if name.startswith("pool"):
        given: dict[str, Any] = {"kernel_shape": case.kernel, "stride": case.stride, "mode": case.mode}
        if name == "pool_forward":
            return {"A_prev": A_prev, **given}
        dA = values(*functional.pool_forward(A_prev, **given).shape, low=1)
        return {"dA": dA, "A_prev": A_prev, **given}
    W, b = values(*case.kernel, case.channels, case.filters), values(1, 1, 1, case.filters)
    given = {"padding": case.padding, "stride": case.stride}
    if name == "conv_forward":
        return {"A_prev": A_prev, "W": W, "b": b, "activation": ACTIVATIONS[case.activation], **given}
    dZ = values(*conv2d(A_prev, W, None, case.stride, _pads(case, convention)).shape, low=1)
    return {"dZ": dZ, "A_prev": A_prev, "W": W, "b": b, **given}


def _pads(case: Geometry, convention: Convention) -> Pads:
    if case.padding == "valid":
        return (0, 0), (0, 0)
    if convention.pads is None:
        return functional.same_padding(case.size, case.kernel, case.stride)
    rows, columns = map(convention.pads, case.size, case.kernel, case.stride)
    return rows, columns


def _forward(pads: Callable[[int, int, int], Pair]) -> Callable[..., Any]:
    def conv_forward(A_prev: Any, W: Any, b: Any, activation: Any, padding: str, stride: Pair) -> Any:
        explicit = _explicit(pads, A_prev, W, stride) if padding == "same" else "valid"
        return activation(conv2d(A_prev, W, b.ravel(), stride, explicit))

    return conv_forward


def _backward(pads: Callable[[int, int, int], Pair]) -> Callable[..., Any]:
    def conv_backward(dZ: Any, A_prev: Any, W: Any, b: Any, padding: str, stride: Pair) -> Any:
        explicit = _explicit(pads, A_prev, W, stride) if padding == "same" else "valid"
        dA_prev, dW, db = conv2d_backward(dZ, A_prev, W, stride, explicit)
        return dA_prev, dW, db.reshape(b.shape)

    return conv_backward


def _explicit(pads: Callable[[int, int, int], Pair], A_prev: Any, W: Any, stride: Pair) -> Pads:
    rows, columns = map(pads, A_prev.shape[1:3], W.shape[:2], stride)
    return rows, columns


def _keep_after(n: int, k: int, s: int) -> Pair:
    total = (n - 1) * s + k - n
    return total // 2, total - total // 2


def _ceil_after(n: int, k: int, s: int) -> Pair:
    total = max((-(-n // s) - 1) * s + k - n, 0)
    return total // 2, total - total // 2


def _ceil_before(n: int, k: int, s: int) -> Pair:
    before, after = _ceil_after(n, k, s)
    return after, before


def _both_up(n: int, k: int, s: int) -> Pair:
    _, more = _keep_after(n, k, s)
    return more, more


def _both_down(n: int, k: int, s: int) -> Pair:
    less, _ = _keep_after(n, k, s)
    return less, less


def _ties(rule: str) -> Callable[..., np.ndarray]:
    def pool_backward(dA: Any, A_prev: Any, kernel_shape: Pair, stride: Pair, mode: str) -> np.ndarray:
        if mode == "avg":
            return functional.pool_backward(dA, A_prev, kernel_shape, stride, mode)
        return max_pool2d_backward(dA, A_prev, kernel_shape, stride, ties=rule)

    return pool_backward


_first, _split = _ties("first"), _ties("split")


def _last(dA: np.ndarray, A_prev: np.ndarray, kernel_shape: Pair, stride: Pair, mode: str) -> np.ndarray:
    """Return the first rule's gradient of the mirrored image, mirrored back."""
    (kh, kw), (sh, sw) = kernel_shape, stride
    rows, columns = (dA.shape[1] - 1) * sh + kh, (dA.shape[2] - 1) * sw + kw
    dx = np.zeros(A_prev.shape)
    seen = A_prev[:, :rows, :columns][:, ::-1, ::-1]
    dx[:, :rows, :columns] = _first(dA[:, ::-1, ::-1], seen, kernel_shape, stride, mode)[:, ::-1, ::-1]
    return dx
