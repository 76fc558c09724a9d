"""Copies of a layer: replicas, other instances, saved weights, pickles, and its repr."""

import copy
import inspect
import io
import pickle
import sys
from typing import Any

import numpy as np

from minicnn.testing.layer_under_test import LayerUnderTest, unbuilt
from minicnn.testing.passes import gradient_name, gradients_of, run, run_backward
from minicnn.testing.report import SAME, fail_check, require_all_equal, require_equal
from minicnn.testing.tracing import run_between_lines


def check_replicas(target: LayerUnderTest) -> None:
    """Check that a replica shares only the values of weights, and another instance shares nothing."""
    (x, other_x), (dy, other_dy) = ((draw(), draw()) for draw in (target.draw, target.draw_dy))
    expected, other_expected = run(target.fresh(), x, dy), run(target.fresh(), other_x, other_dy)
    hint = "a list, dict or array in the class body, or a closure that holds the layer"
    if target.has_statistics:
        hint += "; or backward reads a running average, which a forward changes: keep its value in self.cache"
    for kind in ("replica", "second instance"):
        layer = target.fresh()
        other = layer.replica() if kind == "replica" else target.fresh()
        pairs = zip(layer.named_parameters(), other.named_parameters(), strict=True)
        for (name, first), (_, second) in pairs:
            if np.may_share_memory(first.grad, second.grad):
                fail_check(f"a {kind} shares gradients with the layer", gradient_name(name), hint=hint)
            if np.may_share_memory(first.value, second.value) != (kind == "replica"):
                verb = "does not share" if kind == "replica" else "shares"
                fail_check(f"a {kind} {verb} the values of weights", name, hint=hint)
        layer(x.copy())
        other(other_x.copy())
        got, others = gradients_of(layer, dy), gradients_of(other, other_dy)
        message = f"running a {kind} changes the results of the layer"
        require_all_equal(got, expected.arrays(), message, hint)
        if not target.random:  # a random layer has its own stream
            message = f"running the layer changes the results of a {kind}"
            require_all_equal(others, other_expected.arrays(), message, hint)
    _check_statistics_of_others(target)
    _check_threads(target)
    _check_default_arguments(target, x, dy)


def _check_statistics_of_others(target: LayerUnderTest) -> None:
    """Check that training another instance does not change the outputs of this one in eval mode."""
    other, x = target.fresh(), target.draw()
    before = target.fresh().eval()(x.copy())
    for _ in range(2):
        other(target.draw())
        run_backward(other, target.draw_dy())
    message = "training another instance changes the outputs of the layer in eval mode"
    hint = "state in the class, in a closure or at module level; make it an attribute, a Parameter"
    require_equal(target.fresh().eval()(x.copy()), before, message, "y", hint)


def _check_threads(target: LayerUnderTest) -> None:
    """Check that a replica that runs in another thread, between any two lines, changes no results."""
    if target.random:
        return  # a replica draws other numbers
    n = target.smallest_batch
    (x, other_x), (dy, other_dy) = (
        (draw(examples=n), draw(examples=n)) for draw in (target.draw, target.draw_dy)
    )
    expected = run(target.fresh(), x, dy).arrays()
    layer = target.fresh()
    other = layer.replica()
    got = run_between_lines(lambda: run(layer, x, dy), lambda: run(other, other_x, other_dy)).arrays()
    message = "a replica that runs in another thread at the same time changes the results"
    hint = "a buffer in the class, in a closure or at module level; make it an attribute or a local variable"
    require_all_equal(got, expected, message, hint)


def _check_default_arguments(target: LayerUnderTest, x: np.ndarray, dy: np.ndarray) -> None:
    arguments = inspect.signature(type(target.layer)).parameters.values()
    defaults = [(a.name, a.default) for a in arguments if isinstance(a.default, list | dict | set)]
    copies = {id(default): copy.deepcopy(default) for _, default in defaults}
    layer = unbuilt(copy.deepcopy(target.layer, dict(copies)))  # holds the copy wherever it held the default
    run(layer.build(target.input_shape, rng=target.seed, dtype=np.float64).train(), x, dy)
    for name, default in defaults:
        if repr(copies[id(default)]) != repr(default):
            hint = f"a default is shared by all instances; use `{name}=None`, and make a new one in __init__"
            fail_check(f"the layer changes the default of its argument `{name}`", hint=hint)


def check_weights(target: LayerUnderTest) -> None:
    """Check that weights are the whole state: another layer with the same ones gives the same output."""
    layer = target.fresh()
    for _ in range(2):
        layer(target.draw())
        run_backward(layer, target.draw_dy())
    other = target.build(seed=target.seed + 1)
    saved = {name: p.value.copy() for name, p in layer.named_parameters()}
    named = dict(other.named_parameters())
    if saved.keys() != named.keys():
        fail_check(f"the names of weights differ from build to build: {[*saved]} and {[*named]}")
    for name, value in saved.items():
        named[name].value = value
    x = target.draw()
    hint = "state in a plain attribute; make it a Parameter, with trainable=False if it is not learned"
    message = "another layer with the same weights gives a different output in eval mode"
    require_equal(other.eval()(x.copy()), layer.eval()(x.copy()), message, "y", hint, SAME)


def check_pickling(target: LayerUnderTest) -> None:
    """Check that the layer can be pickled, and the unpickled layer gives the same output."""
    layer, x = target.fresh().eval(), target.draw()
    buffer = io.BytesIO()
    pickler, unpickler = _Pickler(buffer), pickle.Unpickler(buffer)
    try:
        pickler.dump(layer)
        buffer.seek(0)
        unpickler.persistent_load = pickler.local.__getitem__  # type: ignore[method-assign]
        copied = unpickler.load()
    except Exception as error:
        hint = "a lambda or an open file in an attribute; use a named function at module level"
        fail_check(f"the layer cannot be pickled: {type(error).__name__}: {error}", hint=hint)
    require_equal(copied(x.copy()), layer(x.copy()), "the unpickled layer gives a different output", "y")


def check_repr(target: LayerUnderTest) -> None:
    """Check that `repr` works before and after build, and names the class."""
    for state, layer in (("unbuilt", target.layer), ("built", target.built)):
        try:
            text = repr(layer)
        except Exception as error:
            hint = "the weights do not exist before build"
            fail_check(f"repr of the {state} layer raised {type(error).__name__}: {error}", hint=hint)
        if type(layer).__name__ not in text:
            fail_check(f"repr does not name the class {type(layer).__name__}", got=text)


class _Pickler(pickle.Pickler):
    """A pickler that also accepts classes that cannot be imported, such as those defined inside a test."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self.local: dict[str, type] = {}

    def persistent_id(self, obj: Any) -> str | None:
        if not isinstance(obj, type):
            return None
        found: Any = sys.modules.get(obj.__module__)
        for part in obj.__qualname__.split("."):
            found = getattr(found, part, None)
        if found is obj:
            return None
        key = str(len(self.local))
        self.local[key] = obj
        return key
