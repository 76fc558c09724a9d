"""Every layer that Keras has too: outputs, gradients and running statistics, over drawn configurations."""

import copy

import numpy as np
import pytest
import tensorflow as tf
from cases import conv_cases, pool_cases
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn import (
    ELU,
    GELU,
    BatchNorm,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    GlobalMaxPool2D,
    GroupNorm,
    LayerNorm,
    LeakyReLU,
    LocalResponseNorm,
    Pool2D,
    PReLU,
    ReLU,
    Rescaling,
    Residual,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    Upsampling2D,
    ZeroPadding2D,
)
from minicnn.interop.keras import to_keras
from minicnn.interop.keras.weights import _keras_layers
from minicnn.ops.windows import batch_first, batch_last

TOLERANCES = {"float32": 2e-5, "float64": 1e-12}
DTYPES = st.sampled_from(sorted(TOLERANCES))
SEEDS = st.integers(0, 2**16)
IMAGES = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(2, 6))


def assert_close(actual, expected, tolerance, what):
    assert actual.dtype == expected.dtype
    difference, scale = np.abs(actual - expected).max(initial=0), max(np.abs(expected).max(initial=0), 1e-3)
    assert difference <= tolerance * scale, f"{what}: {difference:.1e}, values up to {scale:.1e}"


def assert_keras_agrees(layer, x, seed=0):
    """Compare a layer with its twin: forward and backward in training mode, and forward outside of it."""
    rng = np.random.default_rng(seed)
    model = Sequential([layer]).build(x.shape[1:], rng=seed, dtype=x.dtype)
    for parameter in model.parameters():  # biases and running statistics that are not all the same
        parameter.value = parameter.value + rng.uniform(0.1, 0.5, parameter.shape)
    twin, tolerance = to_keras(model, str(x.dtype)), TOLERANCES[str(x.dtype)]
    assert_close(model(x), twin(x).numpy(), tolerance, "output in evaluation")

    model.train()
    y = model(x)
    dy = rng.normal(size=y.shape).astype(x.dtype)
    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        expected = twin(tensor, training=True)
    theirs = _keras_layers(twin)  # Keras itself orders the layers of branches by their depth
    variables = [variable.value for layer in theirs for variable in layer.trainable_variables]
    dx, *gradients = tape.gradient(expected, [tensor, *variables], output_gradients=tf.constant(dy))
    assert_close(y, expected.numpy(), tolerance, "output")
    assert_close(model.backward(dy), dx.numpy(), tolerance, "dx")
    trainable = [parameter for parameter in model.parameters() if parameter.trainable]
    # PReLU's slopes have axes of length 1 in Keras.
    for parameter, gradient in zip(trainable, gradients, strict=True):
        expected = gradient.numpy().reshape(parameter.shape)
        assert_close(parameter.grad, expected, tolerance, f"gradient of shape {parameter.shape}")
    after = [weight for layer in theirs for weight in layer.get_weights()]
    for weight, expected in zip(model.get_weights(), after, strict=True):
        expected = expected.reshape(weight.shape)
        assert_close(weight, expected, tolerance, f"weight of shape {weight.shape} after a training step")


@settings(max_examples=10)
@given(
    conv_cases(max_stride=1, max_groups=2) | conv_cases(max_dilation=1, max_groups=2), DTYPES, st.booleans()
)
def test_conv2d_equals_keras(case, dtype, use_bias):
    (x, _, _), (kh, kw, _, filters) = case.arrays(dtype), case.kernel_shape
    layer = Conv2D(filters, (kh, kw), case.strides, case.padding, case.dilation, case.groups, use_bias)
    assert_keras_agrees(layer, x, case.seed)


@pytest.mark.parametrize("mode", ["max", "avg"])
@settings(max_examples=15)
@given(pool_cases(explicit=False), DTYPES)
def test_pool2d_equals_keras(mode, case, dtype):
    assert_keras_agrees(Pool2D(case.window, case.strides, case.padding, mode), case.x(dtype), case.seed)


@settings(max_examples=10)
@given(st.integers(1, 5), IMAGES, st.integers(1, 3), st.integers(1, 7), st.booleans(), DTYPES, SEEDS)
def test_dense_equals_keras(n, sides, rank, units, use_bias, dtype, seed):
    x = np.random.default_rng(seed).normal(size=(n, *sides[:rank])).astype(dtype)
    assert_keras_agrees(Dense(units, use_bias), x, seed)


@settings(max_examples=10)
@given(
    st.integers(4, 7), IMAGES, st.sampled_from([1, 3]), st.floats(0, 0.99), st.floats(1e-5, 1), DTYPES, SEEDS
)
def test_batch_norm_equals_keras(n, sides, rank, momentum, eps, dtype, seed):
    x = np.random.default_rng(seed).normal(2, 3, (n, *sides[:rank])).astype(dtype)
    assert_keras_agrees(BatchNorm(momentum, eps), x, seed)


OPTIONS = {"eps": st.floats(0.05, 1), "scale": st.booleans(), "center": st.booleans()}


@settings(max_examples=10)
@given(st.integers(4, 7), IMAGES, st.sampled_from([1, 3]), st.builds(BatchNorm, **OPTIONS), DTYPES, SEEDS)
def test_batch_norm_with_options_equals_keras(n, sides, rank, layer, dtype, seed):
    x = np.random.default_rng(seed).normal(2, 3, (n, *sides[-rank:])).astype(dtype)
    assert_keras_agrees(layer, x, seed)


@settings(max_examples=10)
@given(st.integers(1, 9), IMAGES, st.integers(1, 4), st.integers(1, 3), st.booleans(), SEEDS, st.data())
def test_group_norm_equals_keras(n, sides, groups, size, last, seed, data):
    # In float64 only: of a few values, dx is the small difference of large terms, the more so with small eps.
    x = np.random.default_rng(seed).normal(2, 3, (n, *sides[:2], groups * size))
    x = batch_first(batch_last(x)) if last else x
    assert_keras_agrees(data.draw(st.builds(GroupNorm, st.just(groups), **OPTIONS)), x, seed)


@settings(max_examples=10)
@given(st.integers(1, 9), IMAGES, st.builds(LayerNorm, **OPTIONS), st.integers(1, 4), SEEDS)
def test_layer_norm_equals_keras(n, sides, layer, rank, seed):
    x = np.random.default_rng(seed).normal(2, 3, (n, *sides[-rank:]))
    x = batch_first(batch_last(x)) if rank == 4 else x
    assert_keras_agrees(layer, x, seed)


@settings(max_examples=10)
@given(st.integers(1, 4), IMAGES, st.sampled_from([1, 3, 5]), st.sampled_from([1e-4, 0.5]), DTYPES, SEEDS)
def test_local_response_norm_equals_keras(n, sides, size, alpha, dtype, seed):
    x = np.random.default_rng(seed).normal(0, 3, (n, *sides)).astype(dtype)
    assert_keras_agrees(LocalResponseNorm(size, alpha=alpha), x, seed)


# Settings that float32 has exactly: Keras rounds those of its activations to float32, also in float64.
ELEMENTWISE = [
    lambda number: ReLU(),
    lambda number: LeakyReLU(number),
    lambda number: Tanh(),
    lambda number: Tanh(1 + number, 2 - number),
    lambda number: Sigmoid(),
    lambda number: Softmax(),
    lambda number: Flatten(),
    lambda number: Dropout(0.0),
    lambda number: Dropout(0.0, inverted=False),
    lambda number: ELU(),
    lambda number: ELU(number),
    lambda number: SiLU(),
    lambda number: Rescaling(number, 1 - number),
    lambda number: Rescaling(1 + number),
]


@pytest.mark.parametrize("make", ELEMENTWISE, ids=lambda make: repr(make(0.5)))
@settings(max_examples=5)
@given(st.integers(1, 5), IMAGES, st.integers(0, 64), DTYPES, SEEDS)
def test_activations_and_flatten_equal_keras(make, n, sides, number, dtype, seed):
    x = np.random.default_rng(seed).normal(0, 3, (n, *sides)).astype(dtype)
    x[np.abs(x) < 0.2] = 0  # where the slopes of ReLU and LeakyReLU jump
    assert_keras_agrees(make(number / 64), x, seed)


@pytest.mark.parametrize("approximate", [False, True])
@pytest.mark.parametrize("dtype", sorted(TOLERANCES))
def test_gelu_equals_tensorflow_and_keras(approximate, dtype):
    x = np.random.default_rng(0).normal(0, 3, (4, 5, 6)).astype(dtype)
    layer = GELU(approximate).build((5, 6), dtype=dtype)
    # In float64 too, Keras rounds the constants of the formula to float32.
    np.testing.assert_allclose(to_keras(layer)(x).numpy(), layer(x), rtol=1e-6, atol=1e-6)
    tensor = tf.constant(x)
    two, pi, cubic = (tf.constant(np.array(number, dtype)) for number in (2, np.pi, 0.044715))
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        if approximate:
            gate = tf.tanh(tf.sqrt(two / pi) * (tensor + cubic * tensor**3))
        else:
            gate = tf.math.erf(tensor / tf.sqrt(two))
        expected = tensor * (1 + gate) / 2
    assert_close(layer.train()(x), expected.numpy(), TOLERANCES[dtype], "output")
    dy = np.random.default_rng(1).normal(size=x.shape).astype(dtype)
    dx = tape.gradient(expected, tensor, output_gradients=tf.constant(dy))
    assert_close(layer.backward(dy), dx.numpy(), TOLERANCES[dtype], "dx")


@pytest.mark.parametrize("shared", [True, False])
@settings(max_examples=10)
@given(st.integers(1, 5), IMAGES, st.sampled_from([1, 2, 3]), DTYPES, SEEDS)
def test_prelu_equals_keras(shared, n, sides, rank, dtype, seed):
    x = np.random.default_rng(seed).normal(size=(n, *sides[:rank])).astype(dtype)
    assert_keras_agrees(PReLU(shared=shared), x, seed)


@pytest.mark.parametrize("layer", [GlobalAveragePool2D(), GlobalMaxPool2D()], ids=repr)
@settings(max_examples=5)
@given(st.integers(1, 5), IMAGES, DTYPES, st.booleans(), SEEDS)
def test_global_pooling_equals_keras(layer, n, sides, dtype, tied, seed):
    x = np.random.default_rng(seed).normal(size=(n, *sides)).astype(dtype)
    assert_keras_agrees(layer, np.rint(x) if tied else x)


PADS = st.integers(0, 3)


@settings(max_examples=10)
@given(
    st.integers(1, 3), IMAGES, PADS | st.tuples(PADS, PADS) | st.tuples(*[st.tuples(PADS, PADS)] * 2), DTYPES
)
def test_zero_padding_equals_keras(n, sides, padding, dtype):
    assert_keras_agrees(
        ZeroPadding2D(padding), np.random.default_rng(0).normal(size=(n, *sides)).astype(dtype)
    )


@settings(max_examples=10)
@given(st.integers(1, 3), IMAGES, st.tuples(st.integers(1, 3), st.integers(1, 3)), DTYPES)
def test_upsampling_equals_keras(n, sides, size, dtype):
    assert_keras_agrees(Upsampling2D(size), np.random.default_rng(0).normal(size=(n, *sides)).astype(dtype))


CONTAINERS = [
    Residual([Conv2D(3, 3, padding="same"), ReLU(), Conv2D(2, 3, padding="same")]),
    Residual(
        # Without biases: behind them BatchNorm makes gradients of zero.
        [Conv2D(4, 3, 2, "same", use_bias=False), BatchNorm(), ReLU(), Conv2D(4, 3, padding="same")],
        shortcut=[Conv2D(4, 1, 2, use_bias=False), BatchNorm()],
    ),
    Residual(
        [Residual([Conv2D(2, 1)]), ReLU()],
        shortcut=[Concatenate([[Conv2D(1, 1)], [Conv2D(1, 3, padding="same")]])],
    ),
    Residual([], shortcut=[Conv2D(2, 1)]),
    Residual([]),
    Concatenate(
        [Conv2D(3, 1), [Conv2D(2, 1), Tanh(), Conv2D(4, 3, padding="same")], [Pool2D(3, 1, "same")], []]
    ),
    Concatenate([Sequential([Conv2D(3, 1), ReLU()])]),
    Concatenate([[Flatten(), Dense(3)], [GlobalMaxPool2D(), Residual([Dense(2)])]]),
]


@pytest.mark.parametrize("layer", CONTAINERS, ids=lambda layer: " ".join(repr(layer).split()))
@pytest.mark.parametrize("dtype", sorted(TOLERANCES))
def test_containers_equal_keras(layer, dtype):
    layer = copy.deepcopy(layer)  # a layer that is built stays so, in its dtype
    assert_keras_agrees(layer, np.random.default_rng(0).normal(size=(4, 5, 6, 2)).astype(dtype))


def test_dropout_that_is_not_inverted_equals_its_twin_but_for_the_random_numbers():
    x = np.ones((400, 100), np.float32)
    model = Sequential([Dropout(0.3, inverted=False)]).build((100,), rng=0)
    twin = to_keras(model)
    np.testing.assert_array_equal(twin(x).numpy(), model(x))
    ours, theirs = model.train()(x), twin(x, training=True).numpy()
    assert set(np.unique(ours)) == {0.0, 1.0}
    np.testing.assert_allclose(np.unique(theirs), [0.0, 1.0], rtol=1e-6)


def test_dropout_equals_keras_but_for_its_random_numbers():
    x = np.ones((400, 100))
    model = Sequential([Dropout(0.3)]).build((100,), rng=0, dtype=np.float64)
    ours, theirs = model.train()(x), to_keras(model, "float64")(x, training=True).numpy()
    assert set(np.unique(ours)) == {0.0, 1 / 0.7}
    np.testing.assert_allclose(np.unique(theirs), [0.0, 1 / 0.7], rtol=1e-7)  # Keras's 0.7 is a float32
    shares = [(y == 0).mean() for y in (ours, theirs)]  # of 40,000 each, with a standard deviation of 0.0023
    np.testing.assert_allclose(shares, 0.3, atol=0.012)
