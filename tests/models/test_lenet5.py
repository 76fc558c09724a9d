import keras
import numpy as np
import pytest
import tensorflow as tf

from minicnn import Adam
from minicnn.datasets import load_mnist
from minicnn.losses import softmax_cross_entropy
from minicnn.models import lenet5


def keras_lenet5(dtype):
    layers = keras.layers
    options = {"dtype": dtype}
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), dtype=dtype),
            layers.Conv2D(6, 5, padding="same", activation="relu", **options),
            layers.MaxPooling2D(2, **options),
            layers.Conv2D(16, 5, activation="relu", **options),
            layers.MaxPooling2D(2, **options),
            layers.Flatten(**options),
            layers.Dense(120, activation="relu", **options),
            layers.Dense(84, activation="relu", **options),
            layers.Dense(10, **options),
        ]
    )


@pytest.fixture
def floatx(request):
    before = keras.config.floatx()
    keras.config.set_floatx(request.param)
    yield request.param
    keras.config.set_floatx(before)


@pytest.mark.parametrize(
    ("floatx", "tolerance"),
    [("float64", 1e-10), pytest.param("float32", 1e-3, marks=pytest.mark.ci)],
    indirect=["floatx"],
)
@pytest.mark.parametrize("steps", [25, pytest.param(100, marks=pytest.mark.ci)])
def test_adam_steps_follow_keras(floatx, tolerance, steps):
    (images, labels), _ = load_mnist()
    ours, theirs = lenet5().build((28, 28, 1), rng=0, dtype=floatx).train(), keras_lenet5(floatx)
    theirs.set_weights(ours.get_weights())
    optimizer = Adam(lr=1e-3)
    # As NumPy numbers, since Keras rounds Python's through float32.
    adam = keras.optimizers.Adam(np.float64(1e-3), beta_1=np.float64(0.9), beta_2=np.float64(0.999))
    # Without its variables the step would be traced twice, which takes two seconds.
    adam.build(theirs.trainable_variables)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function(autograph=False)
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = cross_entropy(y, theirs(x, training=True))
        adam.apply_gradients(
            zip(tape.gradient(loss, theirs.trainable_variables), theirs.trainable_variables, strict=True)
        )
        return loss

    for i in range(steps):
        x, y = (images[32 * i : 32 * i + 32] / 255).astype(floatx), labels[32 * i : 32 * i + 32]
        loss, dlogits = softmax_cross_entropy(ours(x), y)
        ours.zero_grad()
        ours.backward(dlogits)
        optimizer.step(ours.parameters())
        assert abs(loss - float(step(x, y))) <= tolerance * loss, f"step {i}"


def test_lenet5_has_the_layers_and_weights_of_the_course():
    model = lenet5().build((28, 28, 1), rng=0)
    assert [p.shape for p in model.parameters()] == [
        *((5, 5, 1, 6), (6,), (5, 5, 6, 16), (16,)),
        *((400, 120), (120,), (120, 84), (84,), (84, 10), (10,)),
    ]
    assert sum(p.size for p in model.parameters()) == 61_706
    assert [type(layer).__name__ for layer in model] == [
        *("Conv2D", "ReLU", "Pool2D") * 2,
        *("Flatten", "Dense", "ReLU", "Dense", "ReLU", "Dense"),
    ]
    for kernel, bias in zip(model.parameters()[::2], model.parameters()[1::2], strict=True):
        fan_in = np.prod(kernel.shape[:-1])
        assert abs(kernel.value.std() / np.sqrt(2 / fan_in) - 1) < 0.15
        assert not bias.value.any()


@pytest.mark.parametrize("size", [20, 32, 49])
def test_lenet5_takes_other_sizes(size):
    assert lenet5(7).build((size, size, 1)).output_shape == (7,)
