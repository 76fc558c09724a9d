"""Whose array is whose: arguments are borrowed, and results are given away."""

from __future__ import annotations

import numpy as np

from minicnn.layers.base import Layer
from minicnn.testing.contract import call
from minicnn.testing.layer_under_test import LayerUnderTest, Run, backward, results, run
from minicnn.testing.report import fail, require_all_equal, require_equal


def check_borrowed(subject: LayerUnderTest) -> None:
    """Check that x and dy are not written, and that read-only and strided arrays serve as well."""
    x, dy = subject.draw(), subject.draw_dy()
    expected = run(subject.fresh(), x, dy)
    layer, x_given, dy_given = subject.fresh(), x.copy(), dy.copy()
    layer(x_given)
    hint = "an operator like `*=` or `dy[mask] = 0` on the argument itself: work on a copy"
    require_equal(x_given, x, "forward must not write into x", "x", hint, rtol=0.0)
    backward(layer, dy_given)
    require_equal(dy_given, dy, "backward must not write into dy", "dy", hint, rtol=0.0)
    require_equal(x_given, x, "backward must not write into x", "x", hint, rtol=0.0)
    for kind, change in {
        "read-only": _read_only,
        "non-contiguous": _strided,
        "transposed": _transposed,
    }.items():
        layer = subject.fresh()
        y = call(f"forward with a {kind} x", layer, change(x))
        dx = call(f"backward with a {kind} dy", layer.backward, change(dy))
        got = Run(y, dx, {name: p.grad for name, p in layer.named_parameters()}).arrays()
        require_all_equal(got, expected.arrays(), f"{kind} arguments must give the same result")


def check_aliasing(subject: LayerUnderTest) -> None:
    """Check that results share memory with nothing, and that no later call changes them."""
    x, dy = subject.draw(), subject.draw_dy()
    expected = run(subject.fresh(), x, dy)
    layer, x_given, dy_given = subject.fresh(), x.copy(), dy.copy()
    y = layer(x_given)
    _refuse_sharing("y", y, {"x": x_given, **_weights(layer)})
    y_before = y.copy()
    dx = backward(layer, dy_given)
    _refuse_sharing("dx", dx, {"x": x_given, "dy": dy_given, "y": y, **_weights(layer)})
    dx_before = dx.copy()
    layer(subject.draw())
    backward(layer, subject.draw_dy())
    scratch = "a buffer that the layer keeps and returns: return a copy of it"
    require_equal(y, y_before, "a later call must not change an earlier result", "y", scratch, rtol=0.0)
    require_equal(dx, dx_before, "a later call must not change an earlier result", "dx", scratch, rtol=0.0)

    for name, array in (("y", y), ("dx", dx)):
        if not array.flags.writeable:
            hint = "np.broadcast_to and the like give a view that cannot be written: return a copy of it"
            fail(f"the caller may write into {name}, which is read-only", name, hint=hint)
    layer = subject.fresh()
    layer(x.copy())[...] = 1e3
    hint = "the cache holds the returned array itself, or a view of it"
    for written in ("y", "dx"):
        message = f"the caller may write into {written}, and backward must not notice"
        require_all_equal(results(layer, dy), expected.arrays(), message, hint)
        layer.zero_grad()
        backward(layer, dy.copy())[...] = 1e3
        layer.zero_grad()


def _weights(layer: Layer) -> dict[str, np.ndarray]:
    named = dict(layer.named_parameters())
    gradients = {f"the gradient of {name!r}": p.grad for name, p in named.items()}
    return {**{f"the weight {name!r}": p.value for name, p in named.items()}, **gradients}


def _refuse_sharing(name: str, array: np.ndarray, others: dict[str, np.ndarray]) -> None:
    for other, its in others.items():
        if np.may_share_memory(array, its):
            hint = "a view or the array itself is returned: return a copy"
            fail(f"{name} must be an array of its own, and it shares memory with {other}", name, hint=hint)


def _read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


def _strided(array: np.ndarray) -> np.ndarray:
    """Return the same values, every second element of a larger array, along the last axis."""
    wide = np.empty((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2], wide[..., 1::2] = array, np.nan
    return wide[..., ::2]


def _transposed(array: np.ndarray) -> np.ndarray:
    """Return the same values, laid out with the examples innermost."""
    return np.asfortranarray(array)
