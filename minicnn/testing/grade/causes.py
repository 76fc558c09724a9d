"""Usual mistakes in the textbook functions: each as a function that makes it.

A mistake is told only if it explains every result of the learner's function, in all cases.
"""

from collections.abc import Callable
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np

from minicnn import functional
from minicnn.testing.grade import mistaken
from minicnn.testing.grade.cases import RESULTS
from minicnn.testing.grade.conventions import Convention


def causes(name: str) -> list[Convention]:
    """Return the usual mistakes in a function."""
    return [Convention(text, function) for text, function in _CAUSES[name].items()]


def _flipped(W: np.ndarray) -> np.ndarray:
    return W[::-1, ::-1]


def _identity(Z: np.ndarray) -> np.ndarray:
    return Z


def _conv_forward(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[..., Any]:
    """Return the function with changed arguments."""
    return lambda **named: functional.conv_forward(**named | change(named))


def _conv_backward(change: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with changed results; `change` gets them, and the arguments by name."""
    return lambda **named: change(*functional.conv_backward(**named), **named)


def _divided(*which: str) -> Callable[..., Any]:
    def change(*gradients: Any, dZ: Any, **_: Any) -> Any:
        names = RESULTS["conv_backward"]
        return tuple(g / len(dZ) if name in which else g for name, g in zip(names, gradients, strict=True))

    return _conv_backward(change)


def _kernel_flipped(dA: Any, dW: Any, db: Any, **named: Any) -> Any:
    return functional.conv_backward(**named | {"W": _flipped(named["W"])})[0], dW, db


def _reordered(order: tuple[int, ...]) -> Callable[..., Any]:
    return _conv_backward(lambda *gradients, **_: tuple(gradients[i] for i in order))


def _pool_forward(reduce: Callable[[np.ndarray, str], Any]) -> Callable[..., Any]:
    return partial(mistaken.pool_forward, reduce=reduce)


def _pool_backward(share: Callable[..., Any]) -> Callable[..., Any]:
    return partial(mistaken.pool_backward, share=share)


def _max(window: np.ndarray, mode: str = "max") -> Any:
    return window.max(axis=(1, 2))


def _mean(window: np.ndarray, mode: str = "avg") -> Any:
    return window.mean(axis=(1, 2))


def _share(window: Any, gradient: Any, mode: str) -> Any:
    """Return the gradient of a window, as it should be."""
    return (
        (window == window.max()) * gradient
        if mode == "max"
        else np.full(window.shape, gradient / window.size)
    )


_SWAPPED = {
    f"the results are swapped: it returns {', '.join(RESULTS['conv_backward'][i] for i in order)}": (
        _reordered(order)
    )
    for order in permutations(range(3))
    if order != (0, 1, 2)
}
_CAUSES: dict[str, dict[str, Callable[..., Any]]] = {
    "conv_forward": {
        "the kernel is flipped: the exercise wants W as it is (cross-correlation)": (
            _conv_forward(lambda n: {"W": _flipped(n["W"])})
        ),
        "the bias b is not added": _conv_forward(lambda n: {"b": 0 * n["b"]}),
        "the activation is not applied": _conv_forward(lambda n: {"activation": _identity}),
        "the bias b is added after the activation": (
            lambda **n: functional.conv_forward(**n | {"b": 0 * n["b"]}) + n["b"]
        ),
        "the strides are swapped: `stride` is (vertical, horizontal)": (
            _conv_forward(lambda n: {"stride": n["stride"][::-1]})
        ),
        "`padding` is ignored": _conv_forward(lambda n: {"padding": "valid"}),
    },
    "conv_backward": {
        "1/m is left in: gradients are sums over the images": _divided("dA_prev", "dW", "db"),
        "1/m is left in dW and db: they are sums over the images": _divided("dW", "db"),
        "1/m is left in dW: it is a sum over the images": _divided("dW"),
        "1/m is left in db: it is a sum over the images": _divided("db"),
        **_SWAPPED,
        "the kernel is flipped in dA_prev": _conv_backward(_kernel_flipped),
        "dW is flipped": _conv_backward(lambda dA, dW, db, **_: (dA, _flipped(dW), db)),
        "`=` instead of `+=` in dA_prev: windows overlap, and their gradients add up": (
            partial(mistaken.conv_backward, assigned="dA_prev")
        ),
        "`=` instead of `+=` in dW: the gradients of all windows add up": (
            partial(mistaken.conv_backward, assigned="dW")
        ),
        "`=` instead of `+=` in dA_prev and dW: the gradients of all windows add up": (
            partial(mistaken.conv_backward, assigned="dA_prev, dW")
        ),
        "the padding is not cut off dA_prev, which must have the shape of A_prev": (
            partial(mistaken.conv_backward, cut=False)
        ),
        "keepdims=True is missing in db, which must have the shape of b": (
            _conv_backward(lambda dA, dW, db, **_: (dA, dW, db.ravel()))
        ),
        "db is a mean: it must be the sum over images, rows and columns": (
            _conv_backward(lambda dA, dW, db, dZ, **_: (dA, dW, dZ.mean(axis=(0, 1, 2), keepdims=True)))
        ),
    },
    "pool_forward": {
        "the strides are swapped: `stride` is (vertical, horizontal)": (
            lambda **n: functional.pool_forward(**n | {"stride": n["stride"][::-1]})
        ),
        'mode "avg" is not divided by the size of the window': (
            _pool_forward(lambda w, mode: _max(w) if mode == "max" else w.sum(axis=(1, 2)))
        ),
        "`mode` is ignored: it always takes the maximum": _pool_forward(_max),
        "`mode` is ignored: it always takes the mean": _pool_forward(_mean),
        "the maximum begins at 0: a window may be negative everywhere": (
            _pool_forward(lambda w, mode: np.maximum(_max(w), 0) if mode == "max" else _mean(w))
        ),
    },
    "pool_backward": {
        "`=` instead of `+=`: windows overlap, and their gradients add up": (
            partial(mistaken.pool_backward, share=_share, assigned=True)
        ),
        'mode "avg" is not divided by the size of the window': (
            _pool_backward(lambda w, g, mode: _share(w, g * (w.size if mode == "avg" else 1), mode))
        ),
        "`mode` is ignored: it always takes the maximum": _pool_backward(lambda w, g, _: _share(w, g, "max")),
        "`mode` is ignored: it always takes the mean": _pool_backward(lambda w, g, _: _share(w, g, "avg")),
        "values near the maximum are taken for ties: only equal ones are ties": (
            _pool_backward(lambda w, g, m: (w > w.max() - 1e-3) * g if m == "max" else _share(w, g, m))
        ),
        "1/m is left in: the gradient is not divided by the number of images": (
            lambda **n: functional.pool_backward(**n) / len(n["A_prev"])
        ),
    },
}
