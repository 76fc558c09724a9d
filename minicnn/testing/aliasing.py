"""Ownership of arrays: arguments belong to the caller, and so do results once they are returned."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.testing.adapters.adapted import Adapted
from minicnn.testing.contract import call
from minicnn.testing.layer_under_test import LayerUnderTest
from minicnn.testing.passes import Run, gradients_of, run, run_backward
from minicnn.testing.report import CheckFailed, fail_check, require_all_equal, require_equal

_ORDER_HINT = "the order of the elements in memory is used, as by ravel(order='K') or by strides"


def check_borrowed(target: LayerUnderTest) -> None:
    """Check that x and dy are not written to, and that read-only and strided arrays are accepted."""
    x, dy = target.draw(), target.draw_dy()
    expected = run(target.fresh(), x, dy)
    layer, x_given, dy_given = target.fresh(), x.copy(), dy.copy()
    layer(x_given)
    hint = "an in-place operation such as `*=` or `dy[mask] = 0` on the argument; work on a copy"
    require_equal(x_given, x, "forward writes into x", "x", hint, rtol=0.0)
    run_backward(layer, dy_given)
    require_equal(dy_given, dy, "backward writes into dy", "dy", hint, rtol=0.0)
    require_equal(x_given, x, "backward writes into x", "x", hint, rtol=0.0)
    for kind, change in {
        "read-only": _read_only,
        "non-contiguous": _strided,
        "transposed": _transposed,
    }.items():
        layer = target.fresh()
        y = call(f"forward with a {kind} x", layer, change(x))
        dx = call(f"backward with a {kind} dy", layer.backward, change(dy))
        got = Run(y, dx, {name: p.grad for name, p in layer.named_parameters()}).arrays()
        require_all_equal(got, expected.arrays(), f"{kind} arguments give different results", _ORDER_HINT)


def check_aliasing(target: LayerUnderTest) -> None:
    """Check that results share no memory with other arrays, and that later calls do not change them."""
    x, dy = target.draw(), target.draw_dy()
    layer, x_given, dy_given = target.fresh(), x.copy(), dy.copy()
    y = layer(x_given)
    _require_own_memory(target, "y", y, {"x": x_given, **_weights(layer)})
    y_before = y.copy()
    dx = run_backward(layer, dy_given)
    _require_own_memory(target, "dx", dx, {"x": x_given, "dy": dy_given, "y": y, **_weights(layer)})
    dx_before = dx.copy()
    layer(target.draw())
    run_backward(layer, target.draw_dy())
    hint = "the layer returns a buffer that it reuses; return a copy"
    require_equal(y, y_before, "a later call changes a y that was returned before", "y", hint, rtol=0.0)
    require_equal(dx, dx_before, "a later call changes a dx that was returned before", "dx", hint, rtol=0.0)
    for name, array in (("y", y), ("dx", dx)):
        if not array.flags.writeable:
            hint = "np.broadcast_to and the like return a read-only view; return a copy"
            fail_check(f"{name} is read-only, but callers may write into it", name, hint=hint)
    _check_writes_by_the_caller(target, x, dy)


def _check_writes_by_the_caller(target: LayerUnderTest, x: np.ndarray, dy: np.ndarray) -> None:
    """Check that backward does not depend on what the caller writes into y and dx."""
    expected = run(target.fresh(), x, dy)
    layer = target.fresh()
    layer(x.copy())[...] = 1e3
    hint = "the cache holds the returned array or a view of it; cache a copy"
    for written in ("y", "dx"):
        message = f"writing into the returned {written} changes what backward returns"
        try:
            require_all_equal(gradients_of(layer, dy), expected.arrays(), message, hint)
        except CheckFailed:
            if written != "y" or not isinstance(target.layer, Adapted):
                raise
            target.remark(f"{message}: right where nobody else writes into it")
            return
        layer.zero_grad()
        run_backward(layer, dy.copy())[...] = 1e3
        layer.zero_grad()


def _weights(layer: Layer) -> dict[str, np.ndarray]:
    named = dict(layer.named_parameters())
    gradients = {f"the gradient of {name!r}": p.grad for name, p in named.items()}
    return {**{f"the weight {name!r}": p.value for name, p in named.items()}, **gradients}


def _require_own_memory(
    target: LayerUnderTest, name: str, array: np.ndarray, others: dict[str, np.ndarray]
) -> None:
    for other, values in others.items():
        if np.may_share_memory(array, values):
            if isinstance(target.layer, Adapted) and other in ("x", "dy"):
                target.remark(f"{name} is {other}, or a view of it: right where nobody else writes into it")
                continue
            hint = "the array itself or a view of it is returned; return a copy"
            fail_check(f"{name} shares memory with {other}", name, hint=hint)


def _read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


def _strided(array: np.ndarray) -> np.ndarray:
    """Return the same values as every second element of a larger array, along the last axis."""
    wide = np.empty((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2], wide[..., 1::2] = array, np.nan
    return wide[..., ::2]


def _transposed(array: np.ndarray) -> np.ndarray:
    """Return the same values in Fortran order: the batch axis is contiguous."""
    return np.asfortranarray(array)
