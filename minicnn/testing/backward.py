"""Repeated and scaled calls of backward: linearity, accumulation, the cache, and backward without dx."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.testing.layer_under_test import LayerUnderTest
from minicnn.testing.passes import gradient_name, gradients_of, run, run_backward, trainable
from minicnn.testing.report import fail_check, require_all_equal, require_equal


def check_linearity(target: LayerUnderTest) -> None:
    """Check that backward is linear in dy: the gradients of a sum are the sums of the gradients."""
    x, one, two = target.draw(), target.draw_dy(), target.draw_dy()

    def gradients(dy: np.ndarray) -> dict[str, np.ndarray]:
        layer = target.fresh()
        layer(x.copy())
        return gradients_of(layer, dy)

    first, second, both = map(gradients, (one, two, 2.0 * one - 0.5 * two))
    # The scale covers gradients that vanish because their terms cancel.
    tolerance = {"rtol": 1e-11, "scale": 0.1 * float(np.abs(one).max(initial=0.0))}
    hint = "a term without dy is added, or dy is clipped or rounded to float32"
    expected = {name: 2.0 * first[name] - 0.5 * second[name] for name in first}
    require_all_equal(both, expected, "backward is not linear in dy", hint, **tolerance)
    for factor in (2.0**20, 2.0**-20):  # beyond any clipping bound; scaling by a power of two is exact
        scaled = {name: array / factor for name, array in gradients(factor * one).items()}
        what = f"backward is not linear in dy: gradients do not scale with dy (by a factor of {factor:.2g})"
        require_all_equal(scaled, first, what, hint, **tolerance)


def check_accumulation(target: LayerUnderTest) -> None:
    """Check that a second backward returns the same dx and adds its gradients, and weights do not change."""
    x, dy, another_dy = target.draw(), target.draw_dy(), target.draw_dy()
    once = run(target.fresh(), x, dy)
    layer = target.fresh()
    before = {name: (p, p.value.copy()) for name, p in layer.named_parameters()}
    layer(x.copy())
    run_backward(layer, dy.copy())
    again = run_backward(layer, dy.copy())
    for name, p in layer.named_parameters():
        if name not in before or p is not before[name][0]:
            hint = "`self.kernel = Parameter(...)` belongs in init_params; later, assign to its `.value`"
            fail_check("the layer replaces a Parameter after build", name, hint=hint)
    for name, p in trainable(layer):
        what = "forward or backward changes a trainable weight"
        hint = "updating weights is up to the optimizer, `optimizer.step(model.parameters())`"
        require_equal(p.value, before[name][1], what, name, hint, 0.0)
    hint = "backward writes into its cache, or draws new random numbers"
    require_equal(again, once.dx, "a second backward returns a different dx", "dx", hint)
    for name, p in layer.named_parameters():
        what = "a second backward does not add its gradient"
        hint = "the gradient is assigned; add it with `add_grad` or +="
        require_equal(p.grad, 2 * once.dweights[name], what, gradient_name(name), hint)
    layer.zero_grad()
    other, expected = gradients_of(layer, another_dy), run(target.fresh(), x, another_dy).arrays()
    hint = "backward keeps values of the first dy"
    require_all_equal(other, expected, "a backward with another dy returns wrong gradients", hint)


def check_cache(target: LayerUnderTest) -> None:
    """Check that each forward invalidates the previous cache: backward never uses stale values."""
    hint = "values of an earlier forward are kept in another attribute or in part; use self.cache"
    for mode, what in ((True, "a second forward"), (False, "a forward in eval mode")):
        second, dy = target.draw(), target.draw_dy()
        found = []
        for count in (1, 2):
            layer = target.fresh()
            # For a random layer in eval mode, the earlier forwards differ in what they draw.
            for _ in range(count if target.random and not mode else 1):
                layer(target.draw())
            _reset_averages(layer, target)
            layer.train(mode)(second.copy())
            try:
                found.append(gradients_of(layer, dy))
            except Exception:
                if mode:
                    raise
                break  # backward refuses to run after a forward in eval mode, as it should
        else:
            message = f"after {what}, backward uses values of the forward before it"
            require_all_equal(found[0], found[1], message, hint)
    if not target.random:
        layer, x, dy = target.fresh(), target.draw(examples=2), target.draw_dy(examples=2)
        layer(target.draw(examples=5))
        _reset_averages(layer, target)
        got, expected = run(layer, x, dy), run(target.fresh(), x, dy)
        message = "results depend on an earlier forward with another batch size"
        require_all_equal(got.arrays(), expected.arrays(), message, hint)


def _reset_averages(layer: Layer, target: LayerUnderTest) -> None:
    """Undo what forwards changed in weights, such as a running average that the output may depend on."""
    for p, before in zip(layer.parameters(), target.fresh().parameters(), strict=True):
        p.value = before.value


def check_needs_dx(target: LayerUnderTest) -> None:
    """Check that weights get the same gradients when dx is not needed, as in the first layer of a net."""
    x, dy = target.draw(), target.draw_dy()
    expected = run(target.fresh(), x, dy)
    layer = target.fresh()
    layer.needs_dx = False
    layer(x.copy())
    layer.backward(dy.copy())
    for name, p in layer.named_parameters():
        message = "with needs_dx = False, the gradient of a weight changes"
        hint = "`if not self.needs_dx` skips more than the computation of dx"
        require_equal(p.grad, expected.dweights[name], message, gradient_name(name), hint)
