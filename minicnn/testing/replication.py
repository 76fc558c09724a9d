"""Copies of a layer: replicas, a second layer of its class, saved weights, a pickle, and its repr."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import sys
from typing import Any

import numpy as np

from minicnn.testing.layer_under_test import LayerUnderTest, backward, gradient_name, results, run
from minicnn.testing.report import SAME, fail, require_all_equal, require_equal


def check_replicas(subject: LayerUnderTest) -> None:
    """Check that a replica shares the weights' values and nothing else, and two layers nothing at all."""
    (x, other_x), (dy, other_dy) = ((draw(), draw()) for draw in (subject.draw, subject.draw_dy))
    expected, other_expected = run(subject.fresh(), x, dy), run(subject.fresh(), other_x, other_dy)
    hint = "a list, dict or array in the class's body, or a function that remembers its layer"
    for kind in ("replica", "second layer"):
        layer = subject.fresh()
        other = layer.replica() if kind == "replica" else subject.fresh()
        pairs = zip(layer.named_parameters(), other.named_parameters(), strict=True)
        for (name, mine), (_, its) in pairs:
            if np.may_share_memory(mine.grad, its.grad):
                fail(f"a {kind} must have gradients of its own", gradient_name(name), hint=hint)
            if np.may_share_memory(mine.value, its.value) != (kind == "replica"):
                share = "share the weights' values" if kind == "replica" else "have weights of its own"
                fail(f"a {kind} must {share}", name, hint=hint)
        layer(x.copy())
        other(other_x.copy())
        got, others = results(layer, dy), results(other, other_dy)
        message = f"running a {kind} must not change this layer's results"
        require_all_equal(got, expected.arrays(), message, hint)
        if not subject.random:  # a random one has a stream of its own
            message = f"a {kind} must give its own results"
            require_all_equal(others, other_expected.arrays(), message, hint)
    _refuse_changed_defaults(subject, x, dy)


def _refuse_changed_defaults(subject: LayerUnderTest, x: np.ndarray, dy: np.ndarray) -> None:
    arguments = inspect.signature(type(subject.layer)).parameters.values()
    defaults = [(a.name, a.default) for a in arguments if isinstance(a.default, list | dict | set)]
    twins = {id(default): copy.deepcopy(default) for _, default in defaults}
    layer = copy.deepcopy(subject.layer, dict(twins))  # holds a twin where it holds the default itself
    run(layer.build(subject.input_shape, rng=subject.seed, dtype=np.float64).train(), x, dy)
    for name, default in defaults:
        if repr(twins[id(default)]) != repr(default):
            hint = (
                f"a default is made once for all layers of the class: `{name}=None`, and a new one each time"
            )
            fail(f"the default of the argument `{name}` must not be changed", hint=hint)


def check_weights(subject: LayerUnderTest) -> None:
    """Check that the weights are all that training changes: copied into another layer they bring it over."""
    layer = subject.fresh()
    for _ in range(2):
        layer(subject.draw())
        backward(layer, subject.draw_dy())
    other = subject.build(seed=subject.seed + 1)
    saved = {name: p.value.copy() for name, p in layer.named_parameters()}
    named = dict(other.named_parameters())
    if saved.keys() != named.keys():
        fail(f"weights must have the same names in every build, got {[*saved]} and {[*named]}")
    for name, value in saved.items():
        named[name].value = value
    x = subject.draw()
    hint = (
        "state in a plain attribute: make it a Parameter, with trainable=False if no optimizer may change it"
    )
    message = "a layer with the same weights must give the same output in eval mode"
    require_equal(other.eval()(x.copy()), layer.eval()(x.copy()), message, "y", hint, SAME)


def check_pickling(subject: LayerUnderTest) -> None:
    """Check that the layer can be pickled and gives the same output afterwards."""
    layer, x = subject.fresh().eval(), subject.draw()
    buffer = io.BytesIO()
    pickler, unpickler = _Pickler(buffer), pickle.Unpickler(buffer)
    try:
        pickler.dump(layer)
        buffer.seek(0)
        unpickler.persistent_load = pickler.local.__getitem__  # type: ignore[method-assign]
        copied = unpickler.load()
    except Exception as error:
        hint = (
            "a lambda or an open file in an attribute; use a function with a name, at the top of its module"
        )
        fail(f"the layer must be picklable; {type(error).__name__}: {error}", hint=hint)
    require_equal(copied(x.copy()), layer(x.copy()), "an unpickled layer must give the same output", "y")


def check_repr(subject: LayerUnderTest) -> None:
    """Check that `repr` works, before and after build, and names the class."""
    for state, layer in (("unbuilt", subject.layer), ("built", subject.built)):
        try:
            text = repr(layer)
        except Exception as error:
            fail(f"repr of the {state} layer must work; it raised {type(error).__name__}: {error}")
        if type(layer).__name__ not in text:
            fail(f"repr must name the class {type(layer).__name__}", got=text)


class _Pickler(pickle.Pickler):
    """Pickle, but let classes pass that no import would find, such as those defined in a test."""

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
