"""Fits beside Keras, on the same weights and batches in float64."""

import functools

import numpy as np
import pytest

from minicnn import AdamW, Trainer
from minicnn.interop.keras import from_keras

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 12, 5, 5, 2))
Y = RNG.integers(0, 3, (3, 12))
# Rate, weight decay, betas, eps: powers of two, since Keras rounds Python's numbers to float32.
NUMBERS = (2**-7, 2**-4, 1 - 2**-3, 1 - 2**-10, 2**-23)


@pytest.fixture(autouse=True)
def float64():
    """Keras rounds rates and losses to `floatx`."""
    import keras

    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx(before)


@functools.cache
def keras_config():
    """Return the configuration and the weights of a Keras model; a new one is made for each test."""
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((5, 5, 2)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(momentum=0.8),
            layers.ReLU(dtype="float64"),
            layers.Conv2D(3, 2),
            layers.Flatten(dtype="float64"),
            layers.Dense(3),
        ]
    )
    rng = np.random.default_rng(1)
    weights = [
        rng.uniform(0.5, 1.5, weight.shape) if weight.ndim == 1 else rng.standard_normal(weight.shape)
        for weight in model.get_weights()
    ]
    return model.get_config(), weights


def twins():
    """Return a Keras model and minicnn's copy of it."""
    import keras

    config, weights = keras_config()
    theirs = keras.Sequential.from_config(config)
    theirs.set_weights(weights)
    return theirs, from_keras(theirs)


def assert_equal_weights(model, theirs, rtol=1e-10):
    for own, other in zip(model.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(own, other, rtol=rtol, atol=1e-13)


def keras_fit(theirs, optimizer, loss, epochs=2, **weights):
    """Train Keras's model on the batches X, Y; `weights` are lists with an array for each batch."""
    theirs.compile(optimizer, loss, run_eagerly=True)
    return [
        theirs.train_on_batch(X[i], Y[i], **{name: each[i] for name, each in weights.items()})
        for _ in range(epochs)
        for i in range(len(X))
    ]


@pytest.mark.parametrize(
    "options",
    [{"threads": 1}, {"threads": 2, "workers": "threads"}, {"threads": 3, "workers": "processes"}],
    ids=str,
)
def test_frozen_layers_and_batch_norm(options):
    import keras

    theirs, _ = twins()
    for layer in theirs.layers[:3]:
        layer.trainable = False
    model = from_keras(theirs)
    assert [p.frozen for p in model.parameters()] == [True] * 6 + [False] * 4
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    keras_fit(theirs, keras.optimizers.AdamW(*NUMBERS), loss)
    trainer = Trainer(model, AdamW(*NUMBERS), **options)
    trainer.fit(list(zip(X, Y, strict=True)), epochs=2, verbose=0)
    assert_equal_weights(model, theirs)
