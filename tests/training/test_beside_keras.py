"""Fits beside Keras, on the same weights and batches in float64."""

import functools
import pickle
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from minicnn import SGD, Adam, AdamW, AverageWeights, Trainer
from minicnn.interop.keras import from_keras
from minicnn.losses import softmax_cross_entropy
from minicnn.metrics import macro_f1

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 12, 5, 5, 2))
Y = RNG.integers(0, 3, (3, 12))
# Rate, weight decay, betas, eps: powers of two, since Keras rounds Python's numbers to float32.
NUMBERS = (2**-7, 2**-4, 1 - 2**-3, 1 - 2**-10, 2**-23)


@pytest.fixture(autouse=True)
def float64():
    """Keras rounds rates and losses to `floatx`."""
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx(before)


LONG = pytest.mark.campaign
RANKS = pytest.param({"ranks": 2}, marks=pytest.mark.ci)
OPTIONS = [
    pytest.param({"threads": 1}, marks=LONG),
    pytest.param({"threads": 2, "workers": "threads"}, marks=LONG),
    {"threads": 3, "workers": "processes"},
    RANKS,
]
ALONE_BY_DEFAULT = [
    {"threads": 1},
    *(
        pytest.param(each, marks=LONG)
        for each in ({"threads": 2, "workers": "threads"}, {"threads": 3, "workers": "processes"})
    ),
    RANKS,
]


@pytest.fixture
def train(tmp_path):
    """Return a function that trains a model in some fits, and returns their losses and the number of steps.

    Each fit is given as a pair of arguments and of options.
    """

    def train(model, optimizer, options, *fits, loss=softmax_cross_entropy):
        if "ranks" not in options:
            trainer = Trainer(model, optimizer, loss, **options)
            losses = [trainer.fit(*given, verbose=0, **more).history["loss"][0] for given, more in fits]
            return losses, optimizer.steps
        job = tmp_path / "job"
        job.write_bytes(pickle.dumps((model, optimizer, loss, fits)))
        mpiexec = Path(sys.executable).with_name("mpiexec")
        script = Path(__file__).with_name("fit_in_ranks.py")
        command = [mpiexec, "-n", str(options["ranks"]), sys.executable, script, job]
        subprocess.run(command, check=True, timeout=120)
        weights, losses, steps = pickle.loads(job.read_bytes())
        model.set_weights(weights)
        return losses, steps

    return train


@functools.cache
def keras_config():
    """Return the configuration and the weights of a Keras model; a new one is made for each test."""
    layers = keras.layers
    double = {"dtype": "float64"}  # the default stays what it was when Keras made the first
    model = keras.Sequential(
        [
            keras.Input((5, 5, 2)),
            layers.Conv2D(4, 3, **double),
            layers.BatchNormalization(momentum=0.8, **double),
            layers.ReLU(**double),
            layers.Conv2D(3, 2, **double),
            layers.Flatten(**double),
            layers.Dense(3, **double),
        ]
    )
    rng = np.random.default_rng(1)
    weights = [
        rng.uniform(0.5, 1.5, weight.shape) if weight.ndim == 1 else rng.standard_normal(weight.shape)
        for weight in model.get_weights()
    ]
    return model.get_config(), weights


def twins(frozen=()):
    """Return a Keras model, with some of its layers frozen, and minicnn's copy of it."""
    config, weights = keras_config()
    theirs = keras.Sequential.from_config(config)
    theirs.set_weights(weights)
    for i in frozen:
        theirs.layers[i].trainable = False
    return theirs, from_keras(theirs)


def frozen_twins():
    """Return twins whose BatchNorm is frozen, so that batches may be divided into shards."""
    return twins(frozen=[1])


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


def batches(*more):
    return list(zip(X, Y, *more, strict=True))


def cross_entropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_frozen_layers_and_batch_norm(train, options):
    theirs, model = twins(frozen=range(3))
    assert [p.frozen for p in model.parameters()] == [True] * 6 + [False] * 4
    keras_fit(theirs, keras.optimizers.AdamW(*NUMBERS), cross_entropy())
    train(model, AdamW(*NUMBERS), options, ([batches()], {"epochs": 2}))
    assert_equal_weights(model, theirs)


WEIGHTS = RNG.uniform(0, 2, (3, 12)) * (RNG.random((3, 12)) > 0.2)  # some are 0


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_sample_weights(train, options):
    theirs, model = frozen_twins()
    losses = keras_fit(theirs, keras.optimizers.AdamW(*NUMBERS), cross_entropy(), 1, sample_weight=WEIGHTS)
    (loss,), _ = train(model, AdamW(*NUMBERS), options, ([batches(WEIGHTS)], {}))
    assert_equal_weights(model, theirs)
    assert loss == pytest.approx(np.mean(losses), rel=1e-10)


@pytest.mark.parametrize("options", ALONE_BY_DEFAULT, ids=str)
def test_sample_weights_of_arrays_class_weights_and_their_product(train, options):
    theirs, model = frozen_twins()
    weights = {0: 2.0, 2: 0.25}
    theirs.compile(keras.optimizers.SGD(2**-5), cross_entropy(), run_eagerly=True)
    x, y, by_example = X.reshape(36, 5, 5, 2), Y.reshape(36), WEIGHTS.reshape(36)
    product = by_example * np.array([2.0, 1.0, 0.25])[y]
    losses = [
        theirs.fit(x, y, batch_size=36, verbose=0, sample_weight=w).history["loss"][0]
        for w in (product, None)
    ]
    theirs.fit(x, y, batch_size=36, verbose=0, class_weight=weights)
    given = {"sample_weight": by_example, "class_weight": weights}, {}, {"class_weight": weights}
    fits = [([x, y], {"batch_size": 36, **more}) for more in given]
    ours, _ = train(model, SGD(2**-5), options, *fits)
    assert ours[:2] == pytest.approx(losses, rel=1e-10)
    assert_equal_weights(model, theirs)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_label_smoothing(train, options):
    theirs, model = frozen_twins()
    rows = np.eye(3)[Y]
    theirs.compile(
        keras.optimizers.SGD(2**-5),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=2**-3),
        run_eagerly=True,
    )
    for i in range(3):
        theirs.train_on_batch(X[i], rows[i])
    loss = functools.partial(softmax_cross_entropy, label_smoothing=2**-3)
    assert list(Trainer(model, SGD(2**-5), loss, threads=1).metrics) == ["accuracy"]
    train(model, SGD(2**-5), options, ([batches()], {}), loss=loss)
    assert_equal_weights(model, theirs)


@pytest.mark.parametrize("options", ALONE_BY_DEFAULT, ids=str)
def test_no_decay_of_biases_and_batch_norm(train, options):
    theirs, model = twins()
    optimizer = keras.optimizers.AdamW(*NUMBERS)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    keras_fit(theirs, optimizer, cross_entropy())
    ours = AdamW(*NUMBERS)
    for name in ("bias", "gamma", "beta"):
        ours.set_group(f"*.{name}", weight_decay=0.0)
    train(model, ours, options, ([batches()], {"epochs": 2}))
    assert_equal_weights(model, theirs)


@pytest.mark.parametrize("options", ALONE_BY_DEFAULT, ids=str)
def test_rates_of_groups_are_those_of_several_optimizers(train, options):
    theirs, model = twins()
    trunk, head = theirs.layers[0].trainable_variables, theirs.trainable_variables[2:]
    low, high = keras.optimizers.Adam(2**-9, *NUMBERS[2:]), keras.optimizers.Adam(2**-6, *NUMBERS[2:])
    for x, y in batches():
        with tf.GradientTape() as tape:
            loss = cross_entropy()(y, theirs(x, training=True))
        gradients = tape.gradient(loss, trunk + head)
        low.apply(gradients[: len(trunk)], trunk)
        high.apply(gradients[len(trunk) :], head)
    ours = Adam(2**-6, *NUMBERS[2:]).set_group("layers.0.*", lr_scale=2**-3)
    train(model, ours, options, ([batches()], {}))
    assert_equal_weights(model, theirs)


@pytest.mark.parametrize("options", OPTIONS[1:], ids=str)
def test_an_average_of_the_weights(train, options):
    theirs, model = frozen_twins()
    optimizer = keras.optimizers.AdamW(*NUMBERS, use_ema=True, ema_momentum=1 - 2**-2)
    keras_fit(theirs, optimizer, cross_entropy())
    optimizer.finalize_variable_values(theirs.trainable_variables)
    more = {"epochs": 2, "callbacks": [AverageWeights(1 - 2**-2)]}
    train(model, AdamW(*NUMBERS), options, ([batches()], more))
    assert_equal_weights(model, theirs)


@pytest.mark.parametrize("options", OPTIONS[1:], ids=str)
def test_accumulated_gradients(train, options):
    theirs, model = frozen_twins()
    keras_fit(theirs, keras.optimizers.AdamW(*NUMBERS, gradient_accumulation_steps=3), cross_entropy())
    more = {"epochs": 2, "accumulate_steps": 3}
    _, steps = train(model, AdamW(*NUMBERS), options, ([batches()], more))
    assert steps == 2
    assert_equal_weights(model, theirs)


def test_macro_f1():
    rng = np.random.default_rng(3)
    scores, labels = rng.standard_normal((50, 4)), rng.integers(0, 3, 50)
    metric = keras.metrics.F1Score(average="macro", dtype="float64")
    metric.update_state(np.eye(4)[labels], scores)
    assert macro_f1(scores, labels) == pytest.approx(float(metric.result()), rel=1e-6)  # its eps is 1e-7
