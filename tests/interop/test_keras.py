import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minicnn import (
    ELU,
    GELU,
    Adam,
    BatchNorm,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    GlobalMaxPool2D,
    GroupNorm,
    Layer,
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
    models,
)
from minicnn.interop.keras import copy_weights, from_keras, lenet5, to_keras
from minicnn.losses import mean_squared_error, softmax_cross_entropy
from minicnn.ops.activations import softmax


def equal(weights, others):
    return len(weights) == len(others) and all(
        a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(weights, others, strict=True)
    )


def perturb(model, seed=0):
    """Give all weights values of their own, biases and running statistics too."""
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.value = parameter.value + rng.uniform(0, 0.1, parameter.shape)
    return model


def images(shape, dtype="float32", n=3):
    return np.random.default_rng(1).normal(size=(n, *shape)).astype(dtype)


def rich_net():
    """All that the layers can do and Keras too."""
    return Sequential(
        [
            Conv2D(4, 3, padding="same", strides=2),
            BatchNorm(momentum=0.9),
            ReLU(),
            Pool2D(3, strides=1, mode="avg", padding="same"),
            Conv2D(6, 3, dilation=2, groups=2, padding=((2, 1), (0, 2))),
            Tanh(1.75, 0.625),
            Pool2D(3, strides=2),
            Dropout(0.0),
            Conv2D(4, (1, 2), use_bias=False),
            LeakyReLU(0.25),
            Flatten(),
            Dense(10),
        ]
    )


# --- lenet5 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(28, 28), (20, 49), (33, 21)])
def test_lenet5_is_the_courses_net_at_any_size(height, width):
    model = lenet5(keras.Input((height, width, 1)))
    kinds = [type(layer).__name__ for layer in model.layers]
    pooled = ["Conv2D", "MaxPooling2D"] * 2
    assert kinds == ["InputLayer", *pooled, "Flatten", "Dense", "Dense", "Dense"]
    ours = models.lenet5().build((height, width, 1), rng=0)
    assert [weight.shape for weight in model.get_weights()] == [p.shape for p in ours.parameters()]
    assert type(model.optimizer) is keras.optimizers.Adam
    settings = model.optimizer.get_config() | {"name": "adam"}
    assert settings == keras.optimizers.Adam(name="adam").get_config()
    assert model.loss == "categorical_crossentropy"
    assert all(layer.kernel_initializer.scale == 2.0 for layer in model.layers if hasattr(layer, "kernel"))


@pytest.mark.ci
def test_lenet5_trains_with_fit_on_one_hot_labels():
    x, labels = images((28, 28, 1), n=64), np.arange(64) % 10
    model = lenet5(keras.Input((28, 28, 1)))
    history = model.fit(x, keras.utils.to_categorical(labels), batch_size=32, epochs=8, verbose=0).history
    assert set(history) == {"accuracy", "loss"}
    assert history["loss"][-1] < 0.8 * history["loss"][0]


def test_lenet5_starts_from_its_seed():
    first, again, other = (lenet5(keras.Input((28, 28, 1)), seed).get_weights() for seed in (0, 0, 1))
    assert equal(first, again)
    assert not np.array_equal(first[0], other[0])


def test_lenet5_computes_what_ours_does():
    ours, theirs = perturb(models.lenet5().build((28, 28, 1), rng=0)), lenet5(keras.Input((28, 28, 1)))
    copy_weights(ours, theirs)
    probabilities = softmax(ours.predict(images((28, 28, 1))))
    np.testing.assert_allclose(theirs(images((28, 28, 1))).numpy(), probabilities, atol=1e-5)


def test_lenet5_has_channels_last_whatever_keras_is_set_to():
    keras.config.set_image_data_format("channels_first")
    try:
        assert lenet5(keras.Input((20, 49, 1))).count_params() == 71306
    finally:
        keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: keras.Input((None, 28, 1)), ValueError, r"fixed shape .* got \(None, 28, 1\)"),
        (lambda: keras.Input((28, 11, 1)), ValueError, r"12x12 or more, got \(28, 11, 1\)"),
        (lambda: keras.Input((28, 28)), ValueError, r"got \(28, 28\)"),
        (lambda: keras.Input((28, 28, 1), dtype="uint8"), TypeError, "got KerasTensor of uint8"),
        (lambda: np.zeros((2, 28, 28, 1)), TypeError, "must be a keras.Input .* got ndarray"),
    ],
)
def test_lenet5_says_what_is_wrong_with_its_input(make, error, sentence):
    with pytest.raises(error, match=sentence):
        lenet5(make())


# --- to_keras and from_keras ------------------------------------------------------------------------------

WINDOWS = st.tuples(st.integers(1, 3), st.integers(1, 3))
PADS = st.sampled_from(["same", "valid"])
ANYWHERE = st.one_of(
    st.builds(BatchNorm, st.floats(0, 0.9), st.floats(1e-4, 0.1)),
    st.builds(BatchNorm, scale=st.booleans(), center=st.booleans()),
    st.builds(GroupNorm, st.just(1), st.floats(1e-4, 0.1), st.booleans(), st.booleans()),
    st.builds(LayerNorm, st.floats(1e-4, 0.1), st.booleans(), st.booleans()),
    st.builds(ReLU),
    # Keras rounds settings of these to float32, also in float64: they are given as such.
    st.builds(LeakyReLU, st.floats(0.015625, 0.5, width=32)),
    st.builds(Tanh, st.floats(0.5, 2, width=32), st.floats(0.5, 2, width=32)),
    st.just(1).map(lambda _: Tanh()),
    st.builds(Sigmoid),
    st.builds(SiLU),
    st.builds(ELU, st.floats(0, 2, width=32)),
    st.builds(Rescaling, st.floats(0.5, 2, width=32), st.floats(-1, 1, width=32)),
    st.builds(Softmax),
    st.builds(Dropout, st.floats(0, 0.9), st.booleans()),
    st.builds(Dense, st.integers(1, 5), st.booleans()),
)
ON_IMAGES = st.one_of(
    st.builds(Conv2D, st.integers(1, 4), WINDOWS, st.integers(1, 2), PADS, use_bias=st.booleans()),
    st.builds(Conv2D, st.integers(1, 4), WINDOWS, padding=PADS, dilation=st.integers(1, 2)),
    st.builds(Conv2D, st.integers(1, 4), WINDOWS, padding=st.tuples(WINDOWS, WINDOWS)),
    st.builds(
        LocalResponseNorm, st.sampled_from([1, 3, 5]), st.floats(0.5, 2), st.floats(0, 1), st.floats(0, 1)
    ),
    st.builds(Pool2D, WINDOWS, st.none() | st.integers(1, 2), PADS, st.sampled_from(["max", "avg"])),
    st.builds(ZeroPadding2D, WINDOWS),
    st.builds(Upsampling2D, st.integers(1, 2)),
    ANYWHERE,
)


@st.composite
def architectures(draw, dtypes=("float32", "float64")):
    layers = draw(st.lists(ON_IMAGES, max_size=4))
    if draw(st.booleans()):
        layers.append(Sequential([draw(st.sampled_from([Flatten, GlobalAveragePool2D]))(), draw(ANYWHERE)]))
    dtype = draw(st.sampled_from(dtypes))
    shape = (17, 16, draw(st.integers(1, 2)))
    try:
        model = Sequential(layers).build(shape, rng=0, dtype=dtype)
    except ValueError:  # a window that is larger than what the layers before it have left
        assume(False)
    for _, layer in model.named_layers():  # Keras warns of a softmax of one number
        assume(type(layer) is not Softmax or layer.output_shape[-1] > 1)
    return model


@given(architectures())
def test_round_trip_keeps_outputs_and_weights(model):
    perturb(model)
    twin = to_keras(model)
    back = from_keras(twin)
    again = to_keras(back)
    assert equal(model.get_weights(), twin.get_weights())
    assert equal(model.get_weights(), back.get_weights())
    assert equal(model.get_weights(), again.get_weights())
    x = images(model.input_shape, model.dtype)
    expected = model.predict(x)
    for outputs in (twin(x).numpy(), back.predict(x), again(x).numpy()):
        np.testing.assert_allclose(
            outputs, expected, rtol=1e-5, atol=1e-5 * max(np.abs(expected).max(), 1e-6)
        )


BRANCHED = {
    "residual": lambda: [
        Conv2D(4, 3),
        Residual([Conv2D(4, 3, padding="same"), BatchNorm(), ReLU(), Conv2D(4, 3, padding="same")]),
        Residual(
            [Conv2D(6, 3, strides=2, padding="same"), GELU(), PReLU(shared=False), Conv2D(6, 1)],
            shortcut=[Conv2D(6, 1, strides=2), BatchNorm()],
        ),
        Residual([], shortcut=[Conv2D(6, 3, padding="same"), Dropout(0.2)]),
        Residual([Residual([PReLU(), Conv2D(6, 1)])]),
        GlobalMaxPool2D(),
        Residual([Dense(6), GELU(approximate=True)]),
        Residual([]),
    ],
    "concatenate": lambda: [
        Concatenate([Conv2D(3, 1), [Conv2D(2, 1), Tanh(), Conv2D(2, 3, padding="same")], []]),
        Concatenate([[], [Rescaling([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), Conv2D(2, 1)]]),
        Concatenate([[Residual(Conv2D(9, 1)), Flatten()], [Flatten(), Dense(5), PReLU()]]),
        Dense(3),
    ],
    # Add, Concatenate and a network that joins distant layers, as a U-Net does.
    "nested": lambda: [
        Concatenate(
            [
                [],
                [
                    Pool2D(2),
                    Concatenate([[], [Pool2D(2), Conv2D(4, 3, padding="same"), SiLU(), Upsampling2D(2)]]),
                    Residual([Conv2D(6, 3, padding="same"), ELU()]),
                    Upsampling2D(2),
                ],
            ]
        ),
        ZeroPadding2D(((1, 0), (0, 1))),
        Conv2D(2, 3, padding="same"),
    ],
}


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")  # Keras's own
@pytest.mark.parametrize("name", BRANCHED)
def test_branches_come_back_from_keras_and_from_a_file(name, tmp_path):
    model = perturb(Sequential(BRANCHED[name]()).build((8, 8, 2), rng=0))
    model.parameters()[0].trainable = False
    twin = to_keras(model)
    twin.save(tmp_path / "net.keras")
    x = images((8, 8, 2))
    np.testing.assert_allclose(twin(x).numpy(), model(x), rtol=1e-5, atol=1e-5)
    for source in (twin, tmp_path / "net.keras"):
        back = from_keras(source)
        assert equal(model.get_weights(), back.get_weights())
        if source is twin:  # Keras's files do not say which variables are frozen
            assert [p.trainable for p in back.parameters()] == [p.trainable for p in model.parameters()]
        np.testing.assert_allclose(back(x), model(x), rtol=1e-6, atol=1e-6)
    other = Sequential(BRANCHED[name]()).build((8, 8, 2), rng=1)
    copy_weights(twin, other)
    assert equal(model.get_weights(), other.get_weights())
    empty = to_keras(Sequential(BRANCHED[name]()).build((8, 8, 2), rng=2))
    copy_weights(model, empty)
    np.testing.assert_array_equal(empty(x).numpy(), twin(x).numpy())


def test_from_keras_reads_a_residual_block_as_keras_users_write_it():
    layers = keras.layers
    x = keras.Input((8, 8, 3))
    shortcut = layers.BatchNormalization()(layers.Conv2D(6, 1, strides=2, name="projection")(x))
    y = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu")(x)
    y = layers.BatchNormalization()(layers.Conv2D(6, 3, padding="same")(y))
    y = layers.ReLU()(layers.Add()([shortcut, y]))
    y = layers.ReLU()(layers.add([layers.Conv2D(6, 3, padding="same")(y), y]))
    y = y + layers.Conv2D(6, 1)(y)
    tower = layers.Conv2D(2, 1, activation="silu")(y)
    y = layers.Concatenate()([tower, layers.MaxPooling2D(3, 1, "same")(y)])
    theirs = keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling2D()(y)))
    ours = perturb(from_keras(theirs))
    copy_weights(ours, theirs)
    assert [type(layer).__name__ for layer in ours] == [
        *("Residual", "ReLU", "Residual", "ReLU", "Residual", "Concatenate", "GlobalAveragePool2D", "Dense")
    ]
    np.testing.assert_allclose(ours(images((8, 8, 3))), theirs(images((8, 8, 3))), rtol=1e-5, atol=1e-5)


def test_from_keras_reads_layers_apart_that_it_could_also_read_as_one():
    layers = [
        keras.layers.Rescaling(1 / 255, offset=0.5),
        keras.layers.Dropout(0.2),
        keras.layers.ZeroPadding2D(1),
        keras.layers.Conv2D(2, 3, padding="same"),
        keras.layers.Rescaling(0.5),
        keras.layers.Activation("relu"),
        keras.layers.Rescaling(2.0),
    ]
    theirs = keras.Sequential([keras.Input((5, 5, 1)), *layers])
    ours = from_keras(theirs)
    assert [type(layer).__name__ for layer in ours] == [
        *("Rescaling", "Dropout", "ZeroPadding2D", "Conv2D", "Rescaling", "ReLU", "Rescaling")
    ]
    np.testing.assert_allclose(ours(images((5, 5, 1))), theirs(images((5, 5, 1))), rtol=1e-5, atol=1e-6)


def test_from_keras_takes_the_bytes_of_a_model_that_rescales_them():
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(2, 3), keras.layers.Flatten()]
    theirs = keras.Sequential([keras.Input((5, 5, 1)), *layers])
    ours, pixels = from_keras(theirs), np.arange(250, dtype=np.uint8).reshape(10, 5, 5, 1)
    expected = theirs(pixels.astype(np.float32))
    for x in (pixels, pixels.astype(np.int64), pixels.astype(np.float32)):
        np.testing.assert_allclose(ours.predict(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("steps", [25, pytest.param(100, marks=pytest.mark.campaign)])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float64", 1e-10), pytest.param("float32", 1e-3, marks=pytest.mark.ci)]
)
def test_adam_steps_of_a_rich_net_follow_its_twin(dtype, tolerance, steps):
    model = rich_net().build((20, 19, 2), rng=0, dtype=dtype).train()
    twin, optimizer = to_keras(model), Adam()
    weights = [variable.value for variable in twin.trainable_variables]
    m, v = ([np.zeros_like(weight) for weight in weights] for _ in range(2))

    @tf.function(autograph=False)
    def gradients(x, labels):
        with tf.GradientTape() as tape:
            logits = twin(x, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        return loss, tape.gradient(loss, weights)

    x, labels = images((20, 19, 2), dtype, n=32), np.arange(32) % 10
    for step in range(1, steps + 1):
        loss, dlogits = softmax_cross_entropy(model(x), labels)
        model.zero_grad()
        model.backward(dlogits)
        optimizer.step(model.parameters())
        expected, grads = gradients(tf.constant(x), tf.constant(labels))
        assert loss == pytest.approx(float(expected), rel=tolerance)
        for i, gradient in enumerate(grads):  # Adam as Kingma and Ba have it, with eps hat
            m[i] = 0.9 * m[i] + 0.1 * gradient.numpy()
            v[i] = 0.999 * v[i] + 0.001 * gradient.numpy() ** 2
            rate = 1e-3 * (1 - 0.999**step) ** 0.5 / (1 - 0.9**step)
            weights[i].assign_sub(rate * m[i] / (np.sqrt(v[i]) + 1e-7))


@settings(max_examples=settings.default.max_examples // 10)  # 50 steps of Keras take a second
@given(architectures(dtypes=["float64"]))
def test_fifty_update_steps_of_a_drawn_net_follow_its_twin(model):
    assume(any(parameter.trainable for parameter in model.parameters()))
    for _, layer in model.named_layers():
        if type(layer) is Dropout:
            layer.rate = 0.0  # random numbers are all that differs, see test_layers_parity
    twin = to_keras(perturb(model).train())
    # Powers of two, since Keras rounds Python's numbers to float32.
    numbers = (2**-8, 1 - 2**-3, 1 - 2**-10, 2**-23)
    optimizer, keras_adam = Adam(*numbers), keras.optimizers.Adam(*numbers)
    x, target = (images(shape, "float64", n=4) for shape in (model.input_shape, model.output_shape))
    keras_adam.build(twin.trainable_variables)  # not in the graph of a step, which would be traced twice

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            expected = tf.reduce_mean((twin(x, training=True) - target) ** 2)
        keras_adam.apply(tape.gradient(expected, twin.trainable_variables), twin.trainable_variables)
        return expected

    for _ in range(50):
        loss, dy = mean_squared_error(model(x), target)
        model.zero_grad()
        model.backward(dy)
        optimizer.step(model.parameters())
        assert loss == pytest.approx(float(step()), rel=1e-10)
    for weight, theirs in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(weight, theirs, rtol=1e-8, atol=1e-8)


class Mine(Layer):
    def forward(self, x):
        return x.copy()


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        ([ReLU(), Mine(), Mine()], r"layer 1 \(Mine\)"),
        ([Sequential([ReLU(), Mine()])], r"layer 0\.1 \(Mine\)"),
        ([Pool2D(2, ties="all")], r"layer 0 \(Pool2D\).*'all'"),
        ([GlobalMaxPool2D("first")], r"layer 0 \(GlobalMaxPool2D\).*'first'"),
        ([ReLU(), Concatenate([[], [ReLU(), Mine()]])], r"layer 1\.1\.1 \(Mine\)"),
        ([ReLU(), Pool2D(3, 2, padding=((1, 1), (1, 1)))], r"layer 1 \(Pool2D\).*explicit padding"),
        ([Conv2D(1, 2, strides=2, dilation=2)], r"layer 0 \(Conv2D\).*not both"),
    ],
)
def test_to_keras_names_the_first_layer_without_counterpart(layers, named):
    with pytest.raises(ValueError, match=named):
        to_keras(Sequential(layers).build((8, 8, 1), rng=0))


def test_to_keras_of_the_net_of_1998_names_its_subsampling():
    with pytest.raises(ValueError, match=r"layer 2 \(Subsample\)"):
        to_keras(models.lenet5_1998().build((32, 32, 1), rng=0))


def test_to_keras_takes_explicit_pooling_that_is_same_or_valid():
    model = Sequential([Pool2D(3, 2, ((0, 1), (1, 1))), Pool2D(2, padding=((0, 0), (0, 0)))]).build((8, 9, 1))
    twin = to_keras(model)
    assert [layer.padding for layer in twin.layers[1:]] == ["same", "valid"]
    x = images((8, 9, 1))
    np.testing.assert_array_equal(twin(x).numpy(), model(x))


def test_frozen_weights_stay_frozen():
    model = Sequential([Dense(3), BatchNorm(), Dense(2)]).build((4,), rng=0)
    model[0].kernel.trainable = False
    twin = to_keras(model)
    expected = [False, True, True, True, False, False, True, True]
    assert [variable.trainable for variable in twin.weights] == expected
    assert [parameter.trainable for parameter in from_keras(twin).parameters()] == expected


def test_from_keras_reads_one_group_for_each_channel_and_layers_without_scale():
    layers = [
        keras.layers.GroupNormalization(-1),
        keras.layers.BatchNormalization(scale=False),
        keras.layers.LayerNormalization(axis=3, center=False),
    ]
    theirs = keras.Sequential([keras.Input((6, 5, 4)), *layers])
    rng = np.random.default_rng(0)
    theirs.set_weights([rng.uniform(0.5, 1, weight.shape) for weight in theirs.get_weights()])
    ours = from_keras(theirs)
    assert [repr(layer) for layer in ours] == [
        "GroupNorm(groups=4)",
        "BatchNorm(scale=False)",
        "LayerNorm(center=False)",
    ]
    np.testing.assert_allclose(ours.predict(images((6, 5, 4))), theirs(images((6, 5, 4))), atol=2e-6)


def test_from_keras_reads_activations_and_nested_models():
    inner = keras.Sequential([keras.Input((6, 6, 3)), keras.layers.Conv2D(4, 3, activation="tanh")])
    x = keras.Input((8, 8, 1))
    y = inner(keras.layers.Conv2D(3, 3, activation="leaky_relu")(x))
    y = keras.layers.Activation("sigmoid")(keras.layers.Flatten()(y))
    theirs = keras.Model(x, keras.layers.Dense(2, "softmax")(y))
    ours = from_keras(theirs)
    kinds = [Conv2D, LeakyReLU, Conv2D, Tanh, Flatten, Sigmoid, Dense, Softmax]
    assert [type(layer) for layer in ours] == kinds
    np.testing.assert_allclose(ours.predict(images((8, 8, 1))), theirs(images((8, 8, 1))), atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (keras.layers.GaussianNoise(0.1), "no such layer"),
        (keras.layers.Conv2D(2, 3, activation="softsign"), "activation"),
        (keras.layers.BatchNormalization(axis=1), "axis"),
        (keras.layers.GroupNormalization(2, axis=1), "axis"),
        (keras.layers.LayerNormalization(axis=2), "axis"),
        (keras.layers.LayerNormalization(axis=(1, 2, 3)), "axis"),
        (keras.layers.ReLU(max_value=6), "max_value"),
        (keras.layers.Cropping2D(1), "no such layer"),
        (keras.layers.UpSampling2D(2, interpolation="bilinear"), "interpolation"),
        (keras.layers.PReLU(shared_axes=[1]), "shared_axes"),
        (keras.layers.Softmax(axis=1), "axis"),
        (keras.layers.GlobalAveragePooling2D(keepdims=True), "keepdims"),
        (keras.layers.MaxPooling2D(2, data_format="channels_first"), "data_format"),
    ],
    ids=lambda case: getattr(case, "name", case),
)
def test_from_keras_names_the_first_layer_without_counterpart(layer, reason):
    model = keras.Sequential(
        [keras.Input((6, 6, 4)), keras.layers.ReLU(), layer, keras.layers.GaussianNoise(0.1)]
    )
    with pytest.raises(ValueError, match=f"layer 1 .{type(layer).__name__} .*{reason}"):
        from_keras(model)


@pytest.mark.parametrize("kind", [keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"depth_multiplier": 2, "strides": 2, "padding": "same", "activation": "tanh"},
        {"depth_multiplier": 3, "dilation_rate": 2, "use_bias": False},
    ],
)
def test_from_keras_reads_convolutions_of_each_channel(kind, settings):
    filters = {"filters": 5} if kind is keras.layers.SeparableConv2D else {}
    theirs = keras.Sequential([keras.Input((8, 7, 3)), kind(kernel_size=(3, 2), **filters, **settings)])
    rng = np.random.default_rng(0)
    theirs.set_weights([rng.normal(size=weight.shape) for weight in theirs.get_weights()])
    ours, x = from_keras(theirs), images((8, 7, 3))
    np.testing.assert_allclose(ours.predict(x), theirs(x), atol=2e-5)
    labels = rng.normal(size=theirs(x).shape).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((theirs(x) - labels) ** 2)
    _, dy = mean_squared_error(ours.train()(x), labels)
    ours.backward(dy)
    expected = tape.gradient(loss, theirs.trainable_weights)
    for parameter, grad in zip(ours.parameters(), expected, strict=True):
        np.testing.assert_allclose(parameter.grad, grad.numpy().reshape(parameter.shape), atol=1e-5)


def test_from_keras_names_what_is_lost_in_one_warning():
    layers = [
        keras.layers.Dense(3, kernel_regularizer="l2", bias_constraint="non_neg", name="one"),
        keras.layers.BatchNormalization(beta_regularizer="l1", name="two"),
        keras.layers.Dense(2, activity_regularizer="l2", dtype="mixed_bfloat16", name="three"),
    ]
    with pytest.warns(UserWarning, match="from_keras does not convert") as told:
        from_keras(keras.Sequential([keras.Input((4,)), *layers]))
    assert str(told.pop().message) == (
        "from_keras does not convert: the bias_constraint (one); the kernel_regularizer (one); "
        "the beta_regularizer (two); the activity_regularizer (three); "
        "the precision bfloat16 of its computations (three)"
    )
    assert not told


class Doubled(keras.Sequential):
    def call(self, *args, **kwargs):
        return 2 * super().call(*args, **kwargs)


def test_from_keras_refuses_numbers_that_are_not_those_of_the_layers():
    x = keras.Input((4,))
    doubled = Doubled([x, keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=r"Doubled 'doubled.*' has a `call` of its own"):
        from_keras(doubled)
    with pytest.raises(ValueError, match=r"Doubled 'doubled.*' has a `call` of its own"):
        from_keras(keras.Model(x, doubled(keras.layers.ReLU()(x))))
    adapted = keras.Sequential([x, keras.layers.Dense(2)])
    adapted.layers[0].enable_lora(1)
    with pytest.raises(ValueError, match=r"layer 0 .Dense .*LoRA"):
        from_keras(adapted)


def test_from_keras_takes_a_list_of_one_and_activations_that_are_layers():
    x = keras.Input((4,))
    y = keras.layers.Dense(3, activation=keras.layers.LeakyReLU(0.25))(x)
    ours = from_keras(keras.Model([x], [keras.layers.Dense(2, activation=tf.nn.tanh)(y)]))
    assert repr(list(ours)) == "[Dense(3), LeakyReLU(slope=0.25), Dense(2), Tanh()]"
    dense = keras.layers.Dense(3, activation=keras.layers.ELU(0.5))
    assert repr(list(from_keras(keras.Sequential([x, dense])))) == "[Dense(3), ELU(alpha=0.5)]"
    dense = keras.layers.Dense(3, activation=keras.layers.PReLU())  # its slopes would be lost
    with pytest.raises(ValueError, match=r"layer 0 \(Dense .*its activation must be Keras's"):
        from_keras(keras.Sequential([x, dense]))


def test_from_keras_does_not_trust_the_name_of_a_function():
    def relu(x):
        return 2 * x

    with pytest.raises(ValueError, match=r"layer 0 \(Dense .*its activation must be Keras's"):
        from_keras(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation=relu)]))


def test_from_keras_refuses_what_is_no_chain():
    x = keras.Input((4,))
    y = keras.layers.Multiply(name="first")([x, keras.layers.Dense(4)(x)])
    gated = keras.Model(x, keras.layers.Add()([y, keras.layers.Dense(4)(y)]))
    with pytest.raises(ValueError, match=r"layer 0 \(Multiply 'first'\).*joins several inputs"):
        from_keras(gated)
    y = keras.layers.Dense(4)(x)
    inner = keras.layers.Multiply(name="inner")([y, y])
    with pytest.raises(ValueError, match=r"layer 1\.0\.0 \(Multiply 'inner'\)"):
        from_keras(keras.Model(x, keras.layers.Add()([inner, y])))
    three = keras.layers.Add()([x, keras.layers.ReLU()(x), x])
    with pytest.raises(ValueError, match=r"Add .* adds two inputs, this one has 3"):
        from_keras(keras.Model(x, three))
    one, two = (keras.layers.Dense(4, name=name)(x) for name in ("one", "two"))
    crossed = keras.layers.Add()([keras.layers.Add()([one, two]), keras.layers.ReLU()(two)])
    with pytest.raises(ValueError, match=r"layer 'two' \(Dense\) .* output is used by two branches"):
        from_keras(keras.Model(x, crossed))
    pixels = keras.Input((2, 4))
    with pytest.raises(ValueError, match=r"Concatenate .*`axis` must be the last"):
        from_keras(keras.Model(pixels, keras.layers.Concatenate(axis=1)([pixels, pixels])))
    with pytest.raises(ValueError, match="from one input to one output"):
        from_keras(keras.Model(x, [x, keras.layers.Dense(4)(x)]))
    dense = keras.layers.Dense(4, name="tied")
    with pytest.raises(ValueError, match=r"layer 'tied' .* used more than once"):
        from_keras(keras.Model(x, dense(dense(x))))
    operation = keras.Model(x, keras.ops.exp(keras.layers.Dense(4)(x)))
    with pytest.raises(ValueError, match=r"Exp.* has no counterpart"):
        from_keras(operation)


# --- files ------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")  # Keras's own
def test_from_keras_reads_files(tmp_path):
    theirs = lenet5(keras.Input((28, 28, 1)), seed=3)
    theirs.save(tmp_path / "net.keras")
    theirs.save_weights(tmp_path / "net.weights.h5")
    weights = tmp_path / "net.weights.h5"
    for ours in (
        from_keras(tmp_path / "net.keras"),
        from_keras(str(weights), models.lenet5().build((28, 28, 1), rng=0)),
        from_keras(weights, lenet5(keras.Input((28, 28, 1)), seed=4)),
    ):
        assert equal(ours.get_weights(), theirs.get_weights())
    with pytest.raises(ValueError, match="architecture"):
        from_keras(weights)


def test_from_keras_runs_no_code_of_a_file(tmp_path):
    layers = [keras.Input((2,)), keras.layers.Lambda(lambda x: x + 1)]
    keras.Sequential(layers).save(tmp_path / "evil.keras")
    with pytest.raises(ValueError, match="safe"):
        from_keras(tmp_path / "evil.keras")
    with pytest.raises(ValueError, match=r"a \.keras or a \.weights\.h5, got .*evil\.h5"):
        from_keras(tmp_path / "evil.h5")  # where Keras was known to forget about safe_mode


# --- copy_weights -----------------------------------------------------------------------------------------


def test_copy_weights_goes_both_ways():
    ours, theirs = perturb(models.lenet5().build((28, 28, 1), rng=0)), lenet5(keras.Input((28, 28, 1)))
    copy_weights(ours, theirs)
    assert equal(theirs.get_weights(), ours.get_weights())
    back = models.lenet5().build((28, 28, 1), rng=1)
    copy_weights(theirs, back)
    assert equal(back.get_weights(), ours.get_weights())


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([Dense(3)], "layer 'second' .* source has no more"),
        ([Dense(3), BatchNorm()], r"layer 1 \(BatchNorm\).*'second' \(Dense\)"),
        ([Dense(3), Dense(4)], r"layer 1 \(Dense\).*\(3, 4\)"),
        ([Dense(3), Dense(2), ReLU(), Dense(2)], r"layer 3 \(Dense\).* target has no more"),
    ],
)
def test_copy_weights_names_the_first_layer_without_counterpart(layers, reason):
    dense = [keras.layers.Dense(3), keras.layers.Dense(2, name="second")]
    twin = keras.Sequential([keras.Input((5,)), *dense])
    before = twin.get_weights()
    with pytest.raises(ValueError, match=reason):
        copy_weights(Sequential(layers).build((5,), rng=0), twin)
    assert equal(twin.get_weights(), before)


def test_copy_weights_takes_models_that_cannot_be_converted():
    x = keras.Input((4,))
    one, two = keras.layers.Dense(3, name="one"), keras.layers.Dense(2, name="two")
    hidden = one(x)
    ours = perturb(Sequential([Dense(3), Dense(2)]).build((4,), rng=0))
    for theirs in (
        keras.Model(x, keras.ops.exp(two(keras.ops.square(hidden)))),  # with operations
        keras.Model(x, [two(hidden), hidden]),  # with two outputs
        keras.Model(x, two(keras.layers.Multiply()([hidden, one(x)]))),  # with a layer that is called twice
    ):
        theirs.set_weights([np.zeros(weight.shape) for weight in theirs.get_weights()])
        copy_weights(ours, theirs)
        assert equal(theirs.get_weights(), ours.get_weights())


def test_models_must_be_models():
    ours, theirs = Dense(2).build((3,), rng=0), keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    for call in (lambda: to_keras(theirs), lambda: from_keras(ours), lambda: copy_weights(ours, 3)):
        with pytest.raises(TypeError, match=r"got (Sequential|Dense|int)"):
            call()


def test_models_must_be_built():
    with pytest.raises(RuntimeError, match="built"):
        from_keras(keras.Sequential([keras.layers.Dense(2)]))
    for call in (to_keras, lambda model: copy_weights(model, lenet5(keras.Input((28, 28, 1))))):
        with pytest.raises(RuntimeError, match="built"):
            call(models.lenet5())
