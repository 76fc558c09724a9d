"""Backward against itself: twice, on a sum of gradients, after another forward, without dx."""

from __future__ import annotations

import numpy as np

from minicnn.testing.report import require_equal
from minicnn.testing.subject import Subject, backward, run, trainable


def check_linearity(subject: Subject) -> None:
    """Check that backward is linear in dy: gradients of a sum are sums of gradients."""
    x, one, two = subject.draw(), subject.draw_dy(), subject.draw_dy()
    first, second, both = (run(subject.fresh(), x, dy) for dy in (one, two, 2.0 * one - 0.5 * two))
    for name, got in both.arrays().items():
        if name != "y":
            expected = 2.0 * first.arrays()[name] - 0.5 * second.arrays()[name]
            hint = "something other than dy is added, dy is clipped, or rounded to float32"
            # Not relative to a gradient that vanishes because what it adds up cancels.
            scale = 0.1 * float(np.abs(one).max(initial=0.0))
            require_equal(got, expected, "backward must be linear in dy", name, hint, 1e-11, scale)


def check_accumulation(subject: Subject) -> None:
    """Check that a second backward gives the same dx and adds its gradients, and weights stay as they are."""
    x, dy, another_dy = subject.draw(), subject.draw_dy(), subject.draw_dy()
    once = run(subject.fresh(), x, dy)
    layer = subject.fresh()
    before = {name: p.value.copy() for name, p in trainable(layer)}
    layer(x.copy())
    backward(layer, dy.copy())
    again = backward(layer, dy.copy())
    for name, p in trainable(layer):
        hint = "an update belongs to the optimizer, `optimizer.step(model.parameters())`"
        require_equal(p.value, before[name], "forward and backward must not change weights", name, hint, 0.0)
    hint = "backward writes into its cache, or draws random numbers of its own"
    require_equal(again, once.dx, "a second backward must return the same dx", "dx", hint)
    for name, p in layer.named_parameters():
        hint = "the gradient is assigned, where `add_grad` (or +=) must add it"
        require_equal(p.grad, 2 * once.dweights[name], "a second gradient must be added", f"d{name}", hint)
    other, expected = backward(layer, another_dy.copy()), run(subject.fresh(), x, another_dy)
    hint = "something of the first dy is kept"
    require_equal(other, expected.dx, "another dy must get its own dx", "dx", hint)


def check_cache(subject: Subject) -> None:
    """Check that a second forward makes the old cache unusable: backward never works with old values."""
    hint = (
        "values of the first forward are kept, in an attribute of the layer's own or in part; use self.cache"
    )
    for mode, what in ((True, "a second forward"), (False, "a forward in eval mode")):
        second, dy = subject.draw(), subject.draw_dy()
        results = []
        for _ in range(2):
            layer = subject.fresh()
            layer(subject.draw())
            layer.train(mode)(second.copy())
            try:
                results.append(backward(layer, dy.copy()))
            except Exception:
                if mode:
                    raise
                break  # it refuses, as it should
        else:
            message = f"after {what} backward must not use the values of the forward before"
            require_equal(results[0], results[1], message, "dx", hint)
    if not subject.random:
        layer, x, dy = subject.fresh(), subject.draw(examples=2), subject.draw_dy(examples=2)
        layer(subject.draw(examples=5))
        got, expected = run(layer, x, dy), run(subject.fresh(), x, dy)
        message = "a forward with another batch size must leave no trace in the next"
        require_equal(got.dx, expected.dx, message, "dx", hint)


def check_needs_dx(subject: Subject) -> None:
    """Check that without dx (the first layer of a net needs none) weights get the same gradients."""
    x, dy = subject.draw(), subject.draw_dy()
    expected = run(subject.fresh(), x, dy)
    layer = subject.fresh()
    layer.needs_dx = False
    layer(x.copy())
    layer.backward(dy.copy())
    for name, p in layer.named_parameters():
        message = "with needs_dx = False weights must get the same gradients"
        require_equal(p.grad, expected.dweights[name], message, f"d{name}")
