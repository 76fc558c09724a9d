"""Backward against itself: twice, on a sum of gradients, after another forward, without dx."""

from __future__ import annotations

import numpy as np

from minicnn.testing.layer_under_test import LayerUnderTest, backward, gradient_name, results, run, trainable
from minicnn.testing.report import fail, require_all_equal, require_equal


def check_linearity(subject: LayerUnderTest) -> None:
    """Check that backward is linear in dy: gradients of a sum are sums of gradients."""
    x, one, two = subject.draw(), subject.draw_dy(), subject.draw_dy()

    def gradients(dy: np.ndarray) -> dict[str, np.ndarray]:
        layer = subject.fresh()
        layer(x.copy())
        return results(layer, dy)

    first, second, both = map(gradients, (one, two, 2.0 * one - 0.5 * two))
    # Not relative to a gradient that vanishes because what it adds up cancels.
    tolerance = {"rtol": 1e-11, "scale": 0.1 * float(np.abs(one).max(initial=0.0))}
    hint = "something other than dy is added, dy is clipped, or rounded to float32"
    expected = {name: 2.0 * first[name] - 0.5 * second[name] for name in first}
    require_all_equal(both, expected, "backward must be linear in dy", hint, **tolerance)
    for factor in (2.0**20, 2.0**-20):  # beyond any bound, and below any; powers of two round nothing
        scaled = {name: array / factor for name, array in gradients(factor * one).items()}
        what = f"backward must be linear in dy: {factor:.2g} times dy must give as many times its gradients"
        require_all_equal(scaled, first, what, hint, **tolerance)


def check_accumulation(subject: LayerUnderTest) -> None:
    """Check that a second backward gives the same dx and adds its gradients, and weights stay as they are."""
    x, dy, another_dy = subject.draw(), subject.draw_dy(), subject.draw_dy()
    once = run(subject.fresh(), x, dy)
    layer = subject.fresh()
    before = {name: (p, p.value.copy()) for name, p in layer.named_parameters()}
    layer(x.copy())
    backward(layer, dy.copy())
    again = backward(layer, dy.copy())
    for name, p in layer.named_parameters():
        if name not in before or p is not before[name][0]:
            hint = "`self.kernel = Parameter(...)` belongs to init_params; later, assign to its `.value`"
            fail("a weight must stay the Parameter that build made", name, hint=hint)
    for name, p in trainable(layer):
        what = "forward and backward must not change weights"
        hint = "an update belongs to the optimizer, `optimizer.step(model.parameters())`"
        require_equal(p.value, before[name][1], what, name, hint, 0.0)
    hint = "backward writes into its cache, or draws random numbers of its own"
    require_equal(again, once.dx, "a second backward must return the same dx", "dx", hint)
    for name, p in layer.named_parameters():
        what = "a second gradient must be added"
        hint = "the gradient is assigned, where `add_grad` (or +=) must add it"
        require_equal(p.grad, 2 * once.dweights[name], what, gradient_name(name), hint)
    layer.zero_grad()
    other, expected = results(layer, another_dy), run(subject.fresh(), x, another_dy).arrays()
    hint = "something of the first dy is kept"
    require_all_equal(other, expected, "another dy must get its own gradients", hint)


def check_cache(subject: LayerUnderTest) -> None:
    """Check that a second forward makes the old cache unusable: backward never works with old values."""
    hint = (
        "values of the first forward are kept, in an attribute of the layer's own or in part; use self.cache"
    )
    for mode, what in ((True, "a second forward"), (False, "a forward in eval mode")):
        second, dy = subject.draw(), subject.draw_dy()
        found = []
        for count in (1, 2):
            layer = subject.fresh()
            # A random layer, asked in eval mode, has drawn other numbers before.
            for _ in range(count if subject.random and not mode else 1):
                layer(subject.draw())
            layer.train(mode)(second.copy())
            try:
                found.append(results(layer, dy))
            except Exception:
                if mode:
                    raise
                break  # it refuses, as it should
        else:
            message = f"after {what} backward must not use the values of the forward before"
            require_all_equal(found[0], found[1], message, hint)
    if not subject.random:
        layer, x, dy = subject.fresh(), subject.draw(examples=2), subject.draw_dy(examples=2)
        layer(subject.draw(examples=5))
        got, expected = run(layer, x, dy), run(subject.fresh(), x, dy)
        message = "a forward with another batch size must leave no trace in the next"
        require_all_equal(got.arrays(), expected.arrays(), message, hint)


def check_needs_dx(subject: LayerUnderTest) -> None:
    """Check that without dx (the first layer of a net needs none) weights get the same gradients."""
    x, dy = subject.draw(), subject.draw_dy()
    expected = run(subject.fresh(), x, dy)
    layer = subject.fresh()
    layer.needs_dx = False
    layer(x.copy())
    layer.backward(dy.copy())
    for name, p in layer.named_parameters():
        message = "with needs_dx = False weights must get the same gradients"
        require_equal(p.grad, expected.dweights[name], message, gradient_name(name))
