"""Batch, group and layer normalization against the formula in float64, differentiated by TensorFlow."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn.ops import (
    batch_norm,
    batch_norm_backward,
    group_norm,
    group_norm_backward,
    layer_norm,
    layer_norm_backward,
    norm_plan,
)
from minicnn.ops.norm_batch import gradient_sums, input_gradient, moments, normalize
from minicnn.ops.windows import batch_first, batch_last, is_batch_last

EPS = 1e-3


def reference(x, dy, gamma, beta, split, axes, eps=EPS):
    """Return y, dx, dgamma and dbeta: x in the shape `split` has statistics over `axes`."""
    variables = [tf.constant(a, tf.float64) for a in (x, gamma, beta)]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        parts = tf.reshape(variables[0], split)
        mean, var = tf.nn.moments(parts, axes, keepdims=True)
        z = tf.reshape((parts - mean) / tf.sqrt(var + eps), x.shape)
        y = variables[1] * z + variables[2]
    return [y, *tape.gradient(y, variables, output_gradients=tf.constant(dy, tf.float64))]


def run(kind, x, dy, gamma, beta, groups):
    """Return what `reference` returns, by our functions."""
    if kind == "batch":
        y, *statistics = batch_norm(x, gamma, beta, EPS)
        return [y, *batch_norm_backward(dy, x, gamma, *statistics, EPS)]
    if kind == "group":
        y, statistics = group_norm(x, groups, gamma, beta, EPS)
        return [y, *group_norm_backward(dy, x, groups, gamma, statistics, EPS)]
    y, statistics = layer_norm(x, gamma, beta, EPS)
    return [y, *layer_norm_backward(dy, x, gamma, statistics)]


def shared(kind, shape, groups):
    """Return the shape and the axes of the values that share statistics."""
    if kind == "batch":
        return shape, list(range(len(shape) - 1))
    if kind == "group":
        split = *shape[:-1], groups, shape[-1] // groups
        return split, [*range(1, len(shape) - 1), len(shape)]
    return shape, [len(shape) - 1]


@pytest.mark.parametrize("small", [0, 1 << 18])  # batch normalization in blocks, and of whole arrays
@pytest.mark.parametrize("kind", ["batch", "group", "layer"])
@settings(max_examples=25)
@given(
    sides=st.lists(st.integers(1, 6), max_size=2),
    n=st.integers(1, 7),
    groups=st.integers(1, 3),
    size=st.integers(1, 3),
    layouts=st.tuples(st.booleans(), st.booleans()),
    block=st.sampled_from([1, 100, 1000, 1 << 18]),
    width=st.sampled_from([1, 12, 2048]),
    seed=st.integers(0, 99),
)
def test_outputs_and_gradients_are_those_of_the_formula(
    kind, small, sides, n, groups, size, layouts, block, width, seed
):
    rng, shape = np.random.default_rng(seed), (n, *sides, groups * size)
    x, dy = rng.normal(2, 3, shape), rng.standard_normal(shape)
    gamma, beta = rng.standard_normal((2, shape[-1]))
    expected = reference(x, dy, gamma, beta, *shared(kind, shape, groups))
    if len(shape) == 4:
        x, dy = (batch_first(batch_last(a)) if last else a for a, last in zip((x, dy), layouts, strict=True))
    for array in (x, dy, gamma, beta):
        array.flags.writeable = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minicnn.ops.norm_batch.SMALL", small)
        patch.setattr("minicnn.ops.norm_kernels.BLOCK_BYTES", block)
        patch.setattr("minicnn.ops.norm_plan.BLOCK_BYTES", block)
        patch.setattr("minicnn.ops.norm_layer.BLOCK_BYTES", block)
        patch.setattr("minicnn.ops.norm_plan.ROW_VALUES", width)
        forget_plans()
        actual = run(kind, x, dy, gamma, beta, groups)
    forget_plans()
    for ours, theirs in zip(actual, expected, strict=True):
        theirs = theirs.numpy()
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-11 * max(1, np.abs(theirs).max()))


def forget_plans():
    norm_plan._batch_plan.cache_clear()
    norm_plan._group_plan.cache_clear()


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("kind", ["batch", "group", "layer"])
def test_results_have_the_layout_and_dtype_of_x(kind, last):
    x = np.random.default_rng(0).random((40, 20, 30, 24), dtype=np.float32)
    x = batch_first(batch_last(x)) if last else x
    weights = np.ones((2, 24), np.float32)
    y, dx, dgamma, dbeta = run(kind, x, np.ascontiguousarray(x), *weights, 4)
    assert is_batch_last(y) == is_batch_last(dx) == last
    assert y.dtype == dx.dtype == dgamma.dtype == dbeta.dtype == np.float32
    cropped = x[:, 1:, :-2]  # not contiguous
    expected = run(kind, cropped.copy(), cropped, *weights, 4)
    for ours, theirs in zip(run(kind, cropped, cropped, *weights, 4), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


IMAGES = {
    "offset": lambda rng, shape: rng.uniform(250, 320, shape),
    "large offset": lambda rng, shape: 1e4 + rng.standard_normal(shape),
    "small offset": lambda rng, shape: 3.9 + rng.standard_normal(shape),
    "constant": lambda rng, shape: np.full(shape, 284.99481),
    "constant channels": lambda rng, shape: np.broadcast_to(rng.uniform(100, 300, shape[-1]), shape),
    "dark, then bright": lambda rng, shape: np.linspace(0, 1, shape[1])[:, None, None] ** 9 + np.zeros(shape),
    "half black": lambda rng, shape: rng.random(shape) * (np.arange(shape[1]) > shape[1] // 2)[:, None, None],
}


@pytest.mark.parametrize("shape", [(64, 125, 125, 2), pytest.param((1, 1009, 1009, 1), marks=pytest.mark.ci)])
@pytest.mark.parametrize(
    "name",
    [
        *("offset", "constant channels", "dark, then bright"),
        *(pytest.param(name, marks=pytest.mark.ci) for name in ("large offset", "constant", "half black")),
    ],
)
def test_float32_is_accurate_at_a_million_values(name, shape):
    """In both memory layouts."""
    rng = np.random.default_rng(0)
    x = IMAGES[name](rng, shape).astype(np.float32)
    dy = rng.random(shape, dtype=np.float32)
    gamma, beta = np.linspace(0.5, 1.5, 2 * shape[-1], dtype=np.float32).reshape(2, -1)
    exact, exact_dy = x.astype(np.float64), dy.astype(np.float64)
    true_mean, true_var = exact.mean(axis=(0, 1, 2)), exact.var(axis=(0, 1, 2))
    z = (exact - true_mean) / np.sqrt(true_var + EPS)
    true_dbeta, true_dgamma = exact_dy.sum(axis=(0, 1, 2)), (exact_dy * z).sum(axis=(0, 1, 2))
    count = exact[..., 0].size
    true_dx = (exact_dy - true_dbeta / count - z * (true_dgamma / count)) * gamma / np.sqrt(true_var + EPS)
    for image in (x, batch_first(batch_last(x))):
        y, mean, var = batch_norm(image, gamma, beta, EPS)
        np.testing.assert_allclose(mean, true_mean, rtol=1e-6)
        np.testing.assert_allclose(var, true_var, rtol=1e-5, atol=1e-9 * EPS)
        np.testing.assert_allclose(y, gamma * z + beta, rtol=1e-5, atol=2e-6)
        if "constant" in name:
            np.testing.assert_array_equal(y, np.broadcast_to(beta, shape))
        dx, dgamma, dbeta = batch_norm_backward(dy, image, gamma, mean, var, EPS)
        np.testing.assert_allclose(dx, true_dx, rtol=1e-5, atol=1e-6 * np.abs(true_dx).max())
        np.testing.assert_allclose(dbeta, true_dbeta, rtol=1e-5)
        np.testing.assert_allclose(dgamma, true_dgamma, rtol=1e-5, atol=1e-5 * dbeta.max())


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("kind", ["group", "layer"])
@pytest.mark.parametrize("shape", [(1, 1000, 1000, 2), (8, 2, 2, 32768)])
def test_group_and_layer_norm_in_float32_are_accurate(kind, shape, last):
    rng = np.random.default_rng(0)
    x, dy = rng.uniform(250, 320, shape).astype(np.float32), rng.random(shape, dtype=np.float32)
    weights = rng.uniform(0.5, 1.5, (2, shape[-1])).astype(np.float32)
    exact = [a.astype(np.float64) for a in (x, dy, *weights)]
    expected = run(kind, *exact, 2)
    if last:
        x, dy = (batch_first(batch_last(a)) for a in (x, dy))
    for ours, theirs in zip(run(kind, x, dy, *weights, 2), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-5 * np.abs(theirs).max())


def test_the_parts_of_a_batch_give_the_whole():
    """As for shards: moments are combined, and the sums of gradients added."""
    rng = np.random.default_rng(0)
    x, dy = rng.normal(3, 2, (2, 11, 5, 6, 3))
    gamma, beta = rng.standard_normal((2, 3))
    y, mean, var = batch_norm(x, gamma, beta, EPS)
    dx, dgamma, dbeta = batch_norm_backward(dy, x, gamma, mean, var, EPS)
    parts, dparts = np.split(x, [2, 7]), np.split(dy, [2, 7])
    shares = np.array([len(part) / 11 for part in parts])[:, None]
    means, variances = (np.array(values) for values in zip(*map(moments, parts), strict=True))
    ours = (shares * means).sum(axis=0)
    np.testing.assert_allclose(ours, mean, rtol=1e-13)
    np.testing.assert_allclose((shares * (variances + (means - mean) ** 2)).sum(axis=0), var, rtol=1e-13)
    np.testing.assert_allclose(
        np.concatenate([normalize(part, mean, var, gamma, beta, EPS) for part in parts]), y, rtol=1e-13
    )
    sums = [gradient_sums(dpart, part, mean, var, EPS) for part, dpart in zip(parts, dparts, strict=True)]
    total = np.sum(sums, axis=0)
    np.testing.assert_allclose(total, [dgamma, dbeta], rtol=1e-12)
    count = 11 * 5 * 6
    pieces = [
        input_gradient(dpart, part, gamma, mean, var, *(total / count), EPS)
        for part, dpart in zip(parts, dparts, strict=True)
    ]
    np.testing.assert_allclose(np.concatenate(pieces), dx, rtol=1e-11, atol=1e-12)


def test_no_statistics_of_nan_are_hidden():
    x = np.ones((70, 40, 40, 3), np.float32)
    x[1, 2, 3, 1] = np.nan
    y, mean, _ = batch_norm(x, np.ones(3), np.zeros(3), EPS)
    np.testing.assert_array_equal(np.isnan(mean), [False, True, False])
    np.testing.assert_array_equal(np.isnan(y[0, 0, 0]), [False, True, False])


@given(shape=st.sampled_from([(5, 3), (1, 4), (2, 3, 4, 2), (1, 1, 1, 3)]), seed=st.integers(0, 99))
def test_batch_norm_and_gradients_are_those_of_the_formula_differentiated_by_tensorflow(shape, seed):
    rng = np.random.default_rng(seed)
    x, dy = rng.normal(2, 3, shape), rng.standard_normal(shape)
    gamma, beta = rng.standard_normal((2, shape[-1]))
    variables = [tf.constant(a) for a in (x, gamma, beta)]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        mean, var = tf.nn.moments(variables[0], list(range(len(shape) - 1)))
        expected = tf.nn.batch_normalization(variables[0], mean, var, variables[2], variables[1], 1e-3)
    y, our_mean, our_var = batch_norm(x, gamma, beta, 1e-3)
    np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(our_mean, mean, rtol=1e-12)
    np.testing.assert_allclose(our_var, var, rtol=1e-12, atol=1e-14)
    gradients = tape.gradient(expected, variables, output_gradients=tf.constant(dy))
    ours = batch_norm_backward(dy, x, gamma, our_mean, our_var, 1e-3)
    for our_gradient, theirs in zip(ours, gradients, strict=True):
        np.testing.assert_allclose(our_gradient, theirs, rtol=1e-9, atol=1e-10)


def test_batch_norm_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"at least one value per channel, got shape \(0, 3\)"):
        batch_norm(np.zeros((0, 3)), np.ones(3), np.zeros(3), 1e-3)
