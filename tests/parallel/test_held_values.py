import threading
import types

import numpy as np
import pytest

from minicnn.parallel.held_values import HeldValues


class Settings:
    """An object with an attribute."""

    rate = 1

    def __init__(self):
        self.factor = 1

    def loss(self):
        return self.factor


def make(source, **names):
    """Return the function `loss` of a module that has this source and these globals."""
    module = types.ModuleType("users")
    vars(module).update(names)
    exec(source, vars(module))
    return module.loss, module


CASES = {
    "global": ("def loss(): return FACTOR", {"FACTOR": 1}, lambda m: setattr(m, "FACTOR", 2)),
    "function": (
        "def other(): return FACTOR\ndef loss(): return other()",
        {"FACTOR": 1},
        lambda m: setattr(m, "FACTOR", 2),
    ),
    "inner": ("def loss(): return [F for _ in x], (lambda: F)", {"F": 1}, lambda m: setattr(m, "F", 2)),
    "default": ("def loss(x=1): pass", {}, lambda m: setattr(m.loss, "__defaults__", (2,))),
    "keyword": ("def loss(*, x=1): pass", {}, lambda m: setattr(m.loss, "__kwdefaults__", {"x": 2})),
    "code": ("def loss(): return 1", {}, lambda m: setattr(m.loss, "__code__", CODE)),
    "list": ("def loss(): return F[0]", {"F": [1]}, lambda m: m.F.append(2)),
    "array": ("def loss(): return F[0]", {"F": np.ones(3)}, lambda m: m.F.fill(2)),
    "object": ("def loss(): return F.factor", {"F": Settings()}, lambda m: setattr(m.F, "factor", 2)),
    "deleted": ("def loss(): return FACTOR", {"FACTOR": 1}, lambda m: delattr(m, "FACTOR")),
    "closure": (
        "def outer():\n    x = 1\n    def loss(): return x\n    return loss\nloss = outer()",
        {},
        lambda m: setattr(m.loss.__closure__[0], "cell_contents", 2),
    ),
}
CODE = (lambda: 2).__code__


@pytest.mark.parametrize("kind", CASES)
def test_each_change_is_noticed_once(kind):
    source, names, change = CASES[kind]
    loss, module = make(source, **names)
    values = HeldValues(loss)
    assert values.have_changed()  # the first call
    assert not values.have_changed()
    change(module)
    assert values.have_changed()
    assert not values.have_changed()


def test_methods_and_objects_hold_their_attributes():
    settings = Settings()
    for function in (settings.loss, settings):
        values = HeldValues(function)
        values.have_changed()
        assert not values.have_changed()
        settings.factor += 1
        assert values.have_changed()


def test_what_cannot_be_compared_may_have_changed():
    loss, _ = make("def loss(): return lock", lock=threading.Lock())
    values = HeldValues(loss)
    assert values.have_changed()
    assert values.have_changed()


def test_a_function_that_refers_to_itself_and_to_an_empty_cell():
    def loss():
        return loss, later

    values = HeldValues(loss)
    assert values.have_changed()
    assert not values.have_changed()
    later = 1
    assert values.have_changed()
    assert loss() == (loss, later)
