"""Losses, metrics, optimizers, schedules and initializers, number by number against Keras."""

# Keras casts Python floats by way of float32: where its float64 is wanted, it is given NumPy's.
import contextlib
import copy
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minicnn import initializers, losses, metrics, schedules
from minicnn.optimizers import SGD, Adam, AdamW, RMSprop
from minicnn.parameter import Parameter

DTYPES = st.sampled_from(["float32", "float64"])
SEEDS = st.integers(0, 2**32 - 1)
SCALES = st.sampled_from([0.1, 3.0, 100.0, 1e4])


@contextlib.contextmanager
def keras_floats(dtype):
    """Let Keras make its own variables, the learning rate for one, in `dtype`."""
    before = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before)


# --- losses -----------------------------------------------------------------------------------------------


def keras_loss(loss, predictions, labels):
    """Return the value of a Keras loss and its gradient by automatic differentiation."""
    x = tf.constant(predictions)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss(tf.constant(labels), x)
    return value.numpy(), tape.gradient(value, x).numpy()


def assert_same_loss(ours, theirs, dtype):
    rtol = 1e-12 if dtype == "float64" else 2e-6
    np.testing.assert_allclose(ours[0], theirs[0], rtol=rtol, atol=rtol)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=rtol, atol=rtol / len(ours[1]))
    assert ours[1].dtype == dtype


@given(DTYPES, st.integers(1, 9), st.integers(2, 11), SCALES, SEEDS)
@example("float32", 128, 10, 3.0, 0)
def test_softmax_cross_entropy_equals_keras(dtype, n, k, scale, seed):
    rng = np.random.default_rng(seed)
    logits = (scale * rng.normal(size=(n, k))).astype(dtype)
    labels, soft = rng.integers(0, k, n), rng.dirichlet(np.ones(k), n).astype(dtype)
    with keras_floats(dtype):
        sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        dense = keras.losses.CategoricalCrossentropy(from_logits=True)
        for truth, loss in ((labels, sparse), (np.eye(k, dtype=dtype)[labels], dense), (soft, dense)):
            theirs = keras_loss(loss, logits, truth)
            assert_same_loss(losses.softmax_cross_entropy(logits, truth), theirs, dtype)


@given(DTYPES, st.integers(1, 9), st.integers(1, 11), SCALES, SEEDS)
def test_mean_squared_error_equals_keras(dtype, n, k, scale, seed):
    rng = np.random.default_rng(seed)
    predictions, labels = ((scale * rng.normal(size=(n, k))).astype(dtype) for _ in range(2))
    with keras_floats(dtype):
        theirs = keras_loss(keras.losses.MeanSquaredError(), predictions, labels)
    assert_same_loss(losses.mean_squared_error(predictions, labels), theirs, dtype)


@given(DTYPES, st.integers(1, 9), st.integers(1, 11), SCALES, SEEDS)
def test_binary_cross_entropy_equals_keras(dtype, n, k, scale, seed):
    rng = np.random.default_rng(seed)
    logits = (scale * rng.normal(size=(n, k))).astype(dtype)
    with keras_floats(dtype):
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        for labels in (rng.integers(0, 2, (n, k)).astype(dtype), rng.random((n, k)).astype(dtype)):
            theirs = keras_loss(loss, logits, labels)
            assert_same_loss(losses.binary_cross_entropy_with_logits(logits, labels), theirs, dtype)


# --- metrics ----------------------------------------------------------------------------------------------


def keras_metric(metric, labels, predictions):
    metric.update_state(labels, predictions)
    return float(metric.result())


@given(st.integers(1, 20), st.integers(2, 7), SEEDS, st.data())
def test_metrics_equal_keras_also_for_ties(n, classes, seed, data):
    rng = np.random.default_rng(seed)
    scores, labels = rng.integers(0, 4, (n, classes)).astype("float32"), rng.integers(0, classes, n)
    one_hot, k = np.eye(classes)[labels], data.draw(st.integers(1, classes))
    theirs = keras_metric(keras.metrics.SparseCategoricalAccuracy(), labels, scores)
    assert metrics.accuracy(scores, labels) == metrics.accuracy(scores, one_hot) == pytest.approx(theirs)
    theirs = keras_metric(keras.metrics.SparseTopKCategoricalAccuracy(k), labels, scores)
    assert metrics.top_k_accuracy(scores, labels, k) == pytest.approx(theirs)
    assert metrics.top_k_accuracy(scores, one_hot, k) == pytest.approx(theirs)
    matrix = tf.math.confusion_matrix(labels, scores.argmax(axis=1), classes).numpy()
    assert np.array_equal(metrics.confusion_matrix(labels, scores), matrix)


# --- optimizers and schedules -----------------------------------------------------------------------------

RATES = st.sampled_from([1e-3, 0.01, 0.1])
SHARES = st.sampled_from([0.3, 0.5, 0.9, 0.99])
EPSILONS = st.sampled_from([1e-8, 1e-7, 1e-3])
COMMON = {
    "weight_decay": st.sampled_from([0.0, 0.004, 0.5]),
    "clip_norm": st.sampled_from([None, 0.5, 4.0, 100.0]),
}
RMSPROP = {"momentum": st.just(0.0) | SHARES, "eps": EPSILONS}
RULES = st.one_of(
    st.tuples(st.just(SGD), st.fixed_dictionaries(COMMON)),
    st.tuples(st.just(SGD), st.fixed_dictionaries({"momentum": SHARES, "nesterov": st.booleans(), **COMMON})),
    st.tuples(st.just(RMSprop), st.fixed_dictionaries({"rho": SHARES, **RMSPROP, **COMMON})),
    # Centered with a short memory, the variance is a small difference of large numbers: all rounding error.
    st.tuples(
        st.just(RMSprop),
        st.fixed_dictionaries(
            {"rho": st.sampled_from([0.9, 0.99]), "centered": st.just(True), **RMSPROP, **COMMON}
        ),
    ),
    st.tuples(
        st.sampled_from([Adam, AdamW]),
        st.fixed_dictionaries(
            {"beta1": SHARES, "beta2": st.sampled_from([0.9, 0.999]), "eps": EPSILONS, **COMMON}
        ),
    ),
)
KERAS_NAMES = {"beta1": "beta_1", "beta2": "beta_2", "eps": "epsilon", "clip_norm": "global_clipnorm"}
DEFAULTS = {"weight_decay": 0.004, "beta1": 0.9, "beta2": 0.999}  # of AdamW
SHAPES = [(3, 3, 2, 4), (5,)]


def run_both(dtype, ours, theirs, seed, steps=50):
    """Give both optimizers the same weights and gradients; compare all weights after each ten steps.

    In float32, what Keras itself is away from the same steps in float64 is allowed beside the tolerance: in
    the first example, 1.2e-5, where ours is 1e-6 away.
    """
    rng = np.random.default_rng(seed)
    parameters = [Parameter(rng.normal(size=shape).astype(dtype)) for shape in SHAPES]
    exactly = copy.deepcopy(ours)
    exact = [Parameter(parameter.value.astype(np.float64)) for parameter in parameters]
    variables = [keras.Variable(parameter.value, dtype=dtype) for parameter in parameters]
    theirs.build(variables)  # not in the graph of a step, which would be traced twice
    apply = tf.function(lambda grads: theirs.apply(grads, variables), autograph=False)
    for step in range(1, steps + 1):
        grads = [rng.normal(size=shape).astype(dtype) for shape in SHAPES]
        apply([tf.constant(grad) for grad in grads])
        for optimizer, those in ((ours, parameters), (exactly, exact)):
            for parameter, grad in zip(those, grads, strict=True):
                parameter.zero_grad()
                parameter.add_grad(grad)
            optimizer.step(those)
        if step % 10 == 0:
            for parameter, variable, reference in zip(parameters, variables, exact, strict=True):
                value, expected = parameter.value, variable.numpy()
                if dtype == "float64":
                    np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-12)
                    continue
                rounding = np.abs(expected - reference.value)
                assert (np.abs(value - expected) <= 1e-5 * (1 + np.abs(expected)) + rounding).all()
                # Steps are rounded by their own size, and the largest weight tells how large they were.
                largest = np.abs(reference.value).max()
                np.testing.assert_allclose(value, reference.value, rtol=0, atol=1e-5 * (1 + largest))


def keras_twin(optimizer, lr, dtype, **settings):
    number = np.float64 if dtype == "float64" else float
    settings = {
        KERAS_NAMES.get(name, name): number(value) if type(value) is float else value
        for name, value in settings.items()
    }
    return getattr(keras.optimizers, optimizer.__name__)(learning_rate=lr, **settings)


@settings(max_examples=settings.default.max_examples // 3)  # 50 steps of Keras take half a second
@given(DTYPES, RULES, RATES, SEEDS)
@example("float32", (Adam, {"beta1": 0.3, "beta2": 0.999, "eps": 1e-8, "clip_norm": None}), 0.1, 0)
@example("float32", (SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}), 0.1, 1)
@example("float64", (RMSprop, {"momentum": 0.9, "centered": True, "clip_norm": 1.0}), 0.01, 2)
@example("float32", (Adam, {"clip_norm": 1.0}), 0.01, 3)
@example("float64", (AdamW, DEFAULTS), 0.1, 4)
def test_fifty_steps_of_an_optimizer_equal_keras(dtype, rule, lr, seed):
    make, chosen = rule
    with keras_floats(dtype):
        run_both(dtype, make(lr=lr, **chosen), keras_twin(make, lr, dtype, **chosen), seed)


def keras_cosine(lr, steps, warmup, final):
    lr = np.float64(lr)
    rise = {"warmup_target": lr, "warmup_steps": warmup} if warmup else {}
    return keras.optimizers.schedules.CosineDecay(0 * lr if warmup else lr, steps, alpha=final / lr, **rise)


def keras_step_decay(lr, every, factor):
    return keras.optimizers.schedules.ExponentialDecay(
        np.float64(lr), every, np.float64(factor), staircase=True
    )


@given(RATES, st.integers(1, 40), st.integers(0, 20), st.sampled_from([0.0, 1e-4, 0.05]))
def test_cosine_equals_keras(lr, steps, warmup, final):
    ours, theirs = schedules.cosine(lr, steps, warmup, final), keras_cosine(lr, steps, warmup, final)
    for step in range(0, 70, 3):
        assert ours(step) == pytest.approx(float(theirs(step)), rel=1e-12, abs=1e-16)


@given(RATES, st.integers(1, 40), st.sampled_from([0.1, 0.5, 0.97]))
def test_step_decay_equals_keras(lr, every, factor):
    ours, theirs = schedules.step_decay(lr, every, factor), keras_step_decay(lr, every, factor)
    for step in range(0, 70, 3):
        assert ours(step) == pytest.approx(float(theirs(step)), rel=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_optimizers_with_schedules_equal_keras(dtype):
    with keras_floats(dtype):
        theirs = keras_twin(AdamW, keras_cosine(0.1, 30, 10, 0.01), dtype, **DEFAULTS)
        run_both(dtype, AdamW(schedules.cosine(0.1, 30, 10, 0.01)), theirs, seed=1)
        theirs = keras_twin(SGD, keras_step_decay(0.1, 7, 0.5), dtype, momentum=0.9)
        run_both(dtype, SGD(schedules.step_decay(0.1, 7, 0.5), momentum=0.9), theirs, seed=2)


# --- initializers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal", "lecun_uniform"],
)
@pytest.mark.parametrize("shape", [(5, 3, 40, 90), (300, 120)])
def test_initializer_has_the_distribution_of_keras(name, shape):
    ours = np.sort(getattr(initializers, name)(shape, np.random.default_rng(0)), axis=None)
    theirs = np.sort(np.ravel(keras.initializers.get(name)(shape)), axis=None)
    # Two samples of one distribution: their quantiles agree to a few of 1 / sqrt(n).
    np.testing.assert_allclose(
        ours[:: len(ours) // 20], theirs[:: len(ours) // 20], atol=10 * ours.std() / math.sqrt(len(ours))
    )
