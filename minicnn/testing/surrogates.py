"""Surrogate gradients: those that differ from the derivative on purpose, by a known convention.

A straight-through estimator (Bengio et al. 2013) passes the gradient of a step function, whose derivative is
zero. A reversal (Ganin and Lempitsky 2015) is the identity with another gradient. A spectral normalization
(Miyato et al. 2018) takes its singular vectors for constants, which is right once they have converged.
"""

import math

import numpy as np

from minicnn.testing.finite_differences import EvaluationPoint, random_direction, step_size
from minicnn.testing.inputs import random_inputs
from minicnn.testing.layer_under_test import LayerUnderTest
from minicnn.testing.passes import INPUT

NEAR = 2.0**-17  # a step that crosses the edge of almost no step of the function
ELEMENTS = 32  # of a weight that are looked at
CONVERGED = 5000  # forwards, after which singular vectors have converged


def has_surrogate_gradient(target: LayerUnderTest, name: str = INPUT) -> bool:
    """Return whether the gradient of the input, or of a weight, is no derivative on purpose; remark on it."""
    if name not in target.surrogates:
        target.surrogates[name] = (
            _scales_gradients(target) or _passes_gradients_of_steps(target)
            if name == INPUT
            else _passes_gradients_of_weight_steps(target, name) or _converges(target, name)
        )
    return target.surrogates[name]


def _scales_gradients(target: LayerUnderTest) -> bool:
    """Return whether the layer only reverses, scales or stops the gradient: outputs are the inputs."""
    factors = []
    if target.built.input_shape != target.built.output_shape or target.random or target.built.parameters():
        return False
    rng = np.random.default_rng(target.seed)
    for n in (target.batch_size, target.batch_size + 2):
        x, dy = (rng.standard_normal((n, *target.input_shape)) for _ in range(2))
        layer = target.fresh()
        y = layer(x.copy())
        if not (np.array_equal(y, x) and np.array_equal(target.fresh().eval()(x.copy()), x)):
            return False
        dx = layer.backward(dy.copy())
        factors.append(np.ravel((0 if dx is None else dx) / dy))
    factor = factors[0][0]
    if np.ptp(np.concatenate(factors)) > 1e-9 or abs(factor - 1) < 1e-9:
        return False
    what = "reverses" if factor < 0 else "scales" if factor else "stops"
    target.remark(f"the layer only {what} the gradient: its output is its input")
    return True


def _passes_gradients_of_steps(target: LayerUnderTest) -> bool:
    """Return whether outputs are steps, and dx is the slope of the staircase."""
    if target.built.input_shape != target.built.output_shape:
        return False
    rng = np.random.default_rng(target.seed)
    x = _draw(target, max(target.batch_size, 256 // max(math.prod(target.input_shape), 1)), rng)
    layer = target.fresh()
    y, dy = layer(x.copy()).copy(), rng.standard_normal(x.shape)
    dx = layer.backward(dy.copy())
    signs = rng.choice([-1.0, 1.0], x.shape)
    near = [target.fresh()(x + h * signs) for h in (NEAR, -NEAR)]
    if dx is None or not dx.any() or np.mean([a == y for a in near]) < 0.98 or np.ptp(y) == 0:
        return False
    slope = (target.fresh()(x + signs) - target.fresh()(x - signs)) / (2 * signs)
    error = np.abs(dx - dy * slope).mean()
    if not (((dx == 0) | (dx == dy)).all() or error <= 0.2 * np.abs(dy * slope).mean()):
        return False
    target.remark("dx is that of a straight-through estimator: outputs are steps, whose derivative is 0")
    return True


def _passes_gradients_of_weight_steps(target: LayerUnderTest, name: str) -> bool:
    """Return whether outputs are steps of a weight, and its gradient is about the slope of the staircase."""
    rng = np.random.default_rng(target.seed)
    x = _draw(target, target.batch_size, rng)
    dy = rng.standard_normal((len(x), *(target.built.output_shape or ())))
    point = EvaluationPoint(target.fresh(), x, dy)
    value, gradient = point.values[name], point.gradients[name]
    d = random_direction(value, rng, False)
    near = [point.shifted_output({name: d}, h) for h in (NEAR, -NEAR)]
    if np.mean([a == point.y for a in near]) < 0.98:
        return False
    slopes, found = [], []
    # So far that each element crosses the edges of a sign, and the slopes of its steps are equal.
    far_step = max(2 * step_size(value), 1.1 * float(np.abs(value).max()))
    for index in rng.permutation(value.size)[:ELEMENTS]:
        d = np.zeros(value.shape)
        d.flat[index] = far_step
        far = point.shifted_output({name: d}, 1.0) - point.shifted_output({name: d}, -1.0)
        slopes.append(float((far * dy).sum()) / (2 * d.flat[index]))
        found.append(float(gradient.flat[index]))
    # The slope of a sign depends on how far one goes: it is that of the gradient but for a factor.
    size = float(np.vdot(slopes, slopes))
    factor = float(np.vdot(slopes, found)) / size if size else 0.0
    rest = np.linalg.norm(found - factor * np.array(slopes))
    if factor <= 0 or rest > 0.5 * np.linalg.norm(found):
        return False
    target.remark(
        f"the gradient of {name!r} is that of a straight-through estimator: outputs are steps of it"
    )
    return True


def _converges(target: LayerUnderTest, name: str) -> bool:
    """Return whether a gradient is exact once vectors that depend on weights alone have converged."""
    if not target.has_statistics:
        return False
    rng = np.random.default_rng(target.seed)
    one, two = (_draw(target, target.batch_size, rng) for _ in range(2))
    first, second = target.fresh(), target.fresh()
    first(one.copy()), second(two.copy())
    vectors = [p for p in first.parameters() if not p.trainable]
    others = [p for p in second.parameters() if not p.trainable]
    if not all(np.array_equal(p.value, q.value) for p, q in zip(vectors, others, strict=True)):
        return False
    for _ in range(CONVERGED):
        before = [p.value.copy() for p in vectors]
        first(one.copy())
        if all(np.allclose(p.value, b, rtol=1e-12, atol=1e-14) for p, b in zip(vectors, before, strict=True)):
            break
    point = EvaluationPoint(first, one, rng.standard_normal((len(one), *(target.built.output_shape or ()))))
    for _ in range(4):
        d = random_direction(point.values[name], rng, False)
        analytic, numeric, _ = point.directional_derivatives({name: d})
        if abs(analytic - numeric) > 1e-5 * (
            abs(analytic) + float(np.linalg.norm(point.analytic_terms({name: d})))
        ):
            return False
    target.remark(
        f"the gradient of {name!r} takes vectors for constants, which is exact once they have converged"
    )
    return True


def _draw(target: LayerUnderTest, n: int, rng: np.random.Generator) -> np.ndarray:
    return random_inputs("normal", (n, *target.input_shape), rng, target.inputs)
