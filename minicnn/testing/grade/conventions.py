"""Known conventions of the textbook functions: what padding "same" means, and which tied maximum gets dA."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn import functional
from minicnn.ops.conv import conv2d, conv2d_backward
from minicnn.ops.padding import Pads, Pair
from minicnn.ops.pool import max_pool2d_backward


@dataclass(frozen=True)
class Convention:
    """One possible definition of a textbook function: its description, and a function that follows it."""

    description: str
    function: Callable[..., Any]
    pads: Callable[[int, int, int], Pair] | None = None  # for padding "same", from size, kernel and stride


def conventions(name: str) -> list[Convention]:
    """Return the known conventions of a function, first that of the textbook and of `functional`."""
    textbook = getattr(functional, name)
    if name == "pool_backward":
        return [
            Convention("every tied maximum gets the gradient (the textbook's convention)", textbook),
            Convention(
                "the first of several tied maxima gets the gradient (as in TensorFlow, PyTorch)", _first
            ),
            Convention("tied maxima share the gradient evenly", _split),
            Convention("the last of several tied maxima gets the gradient", _last),
        ]
    if name == "pool_forward":
        return [Convention("", textbook)]
    padding_rules = {
        "keeps the size for any stride, an odd row or column goes before (the textbook's convention)": None,
        "keeps the size for any stride, an odd row or column goes after": _keep_size_extra_after,
        "gives ceil(n / stride) rows, an odd row goes after (as in TensorFlow)": _ceil_extra_after,
        "gives ceil(n / stride) rows, an odd row goes before": _ceil_extra_before,
        "pads both sides equally, rounded up": _equal_rounded_up,
        "pads both sides equally, rounded down": _equal_rounded_down,
        "pads (k - 1) // 2 on both sides for any stride": lambda n, k, s: ((k - 1) // 2, (k - 1) // 2),
        "pads k // 2 on both sides for any stride": lambda n, k, s: (k // 2, k // 2),
    }
    make = _conv_forward if name == "conv_forward" else _conv_backward
    return [
        Convention(f'padding "same" {rule}', textbook if pads is None else make(pads), pads)
        for rule, pads in padding_rules.items()
    ]


def _conv_forward(pads: Callable[[int, int, int], Pair]) -> Callable[..., Any]:
    def conv_forward(A_prev: Any, W: Any, b: Any, activation: Any, padding: str, stride: Pair) -> Any:
        explicit = _explicit_pads(pads, A_prev, W, stride) if padding == "same" else "valid"
        return activation(conv2d(A_prev, W, b.ravel(), stride, explicit))

    return conv_forward


def _conv_backward(pads: Callable[[int, int, int], Pair]) -> Callable[..., Any]:
    def conv_backward(dZ: Any, A_prev: Any, W: Any, b: Any, padding: str, stride: Pair) -> Any:
        explicit = _explicit_pads(pads, A_prev, W, stride) if padding == "same" else "valid"
        dA_prev, dW, db = conv2d_backward(dZ, A_prev, W, stride, explicit)
        return dA_prev, dW, db.reshape(b.shape)

    return conv_backward


def _explicit_pads(pads: Callable[[int, int, int], Pair], A_prev: Any, W: Any, stride: Pair) -> Pads:
    rows, columns = map(pads, A_prev.shape[1:3], W.shape[:2], stride)
    return rows, columns


def _keep_size_extra_after(n: int, k: int, s: int) -> Pair:
    total = (n - 1) * s + k - n
    return total // 2, total - total // 2


def _ceil_extra_after(n: int, k: int, s: int) -> Pair:
    total = max((-(-n // s) - 1) * s + k - n, 0)
    return total // 2, total - total // 2


def _ceil_extra_before(n: int, k: int, s: int) -> Pair:
    before, after = _ceil_extra_after(n, k, s)
    return after, before


def _equal_rounded_up(n: int, k: int, s: int) -> Pair:
    _, larger = _keep_size_extra_after(n, k, s)
    return larger, larger


def _equal_rounded_down(n: int, k: int, s: int) -> Pair:
    smaller, _ = _keep_size_extra_after(n, k, s)
    return smaller, smaller


def _pool_backward(rule: str) -> Callable[..., np.ndarray]:
    def pool_backward(dA: Any, A_prev: Any, kernel_shape: Pair, stride: Pair, mode: str) -> np.ndarray:
        if mode == "avg":
            return functional.pool_backward(dA, A_prev, kernel_shape, stride, mode)
        return max_pool2d_backward(dA, A_prev, kernel_shape, stride, ties=rule)

    return pool_backward


_first, _split = _pool_backward("first"), _pool_backward("split")


def _last(dA: np.ndarray, A_prev: np.ndarray, kernel_shape: Pair, stride: Pair, mode: str) -> np.ndarray:
    """Apply the rule "first" to the mirrored image, and mirror the gradient back."""
    (kh, kw), (sh, sw) = kernel_shape, stride
    rows, columns = (dA.shape[1] - 1) * sh + kh, (dA.shape[2] - 1) * sw + kw
    dx = np.zeros(A_prev.shape)
    covered = A_prev[:, :rows, :columns][:, ::-1, ::-1]
    dx[:, :rows, :columns] = _first(dA[:, ::-1, ::-1], covered, kernel_shape, stride, mode)[:, ::-1, ::-1]
    return dx
