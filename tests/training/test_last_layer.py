"""What the last layer, the rate and the callbacks tell of a fit before its first step."""

import functools
import warnings

import numpy as np
import pytest

from minicnn import (
    ELU,
    GELU,
    SGD,
    BatchNorm,
    CSVLogger,
    Dense,
    Dropout,
    EarlyStopping,
    Flatten,
    LeakyReLU,
    ReduceLROnPlateau,
    ReLU,
    SaveBest,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    Trainer,
)
from minicnn.losses import softmax_cross_entropy
from minicnn.schedules import constant, cosine, step_decay

X, Y = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32), np.arange(12) % 3
ROWS = np.eye(3)[Y]


def net(*last):
    return Sequential([Dense(3), *last]).build((4,), rng=0)


def fit(optimizer=None, *last, loss="softmax_cross_entropy", y=Y, epochs=1, callbacks=(), **options):
    trainer = Trainer(net(*last), optimizer or SGD(0.01), loss, threads=1, **options)
    return trainer.fit(X, y, epochs, 2, callbacks=callbacks, verbose=0)


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "binary_cross_entropy_with_logits"])
@pytest.mark.parametrize(
    ("last", "message"),
    [
        ([Tanh()], "Tanh, so that all logits are between -1 and 1"),
        ([Tanh(amplitude=1.7)], "Tanh, so that all logits are between -1.7 and 1.7"),
        ([ELU(0.5)], "ELU, so that all logits are above -0.5"),
        ([SiLU()], "SiLU, so that all logits are above -0.28"),
        ([GELU(), Flatten()], "GELU, so that all logits are above -0.17"),
        ([ReLU(), Flatten()], "ReLU, so that no logit can be negative"),
        ([Sequential([Dropout(0.5)])], "Dropout, which sets logits to 0 at random"),
    ],
)
def test_logits_that_are_limited_or_dropped_are_warned_of(loss, last, message):
    with pytest.warns(UserWarning, match=f"the model ends with {message}"):
        Trainer(net(*last), SGD(), loss)


@pytest.mark.parametrize(
    ("last", "loss", "other"),
    [
        (Sigmoid, "softmax_cross_entropy", "binary_cross_entropy_with_logits"),
        (Softmax, "binary_cross_entropy_with_logits", "softmax_cross_entropy"),
    ],
)
def test_the_activation_of_the_other_loss_is_warned_of(last, loss, other):
    with pytest.warns(UserWarning, match=f"{last.__name__}, so that all logits are between 0 and 1: remove"):
        Trainer(net(last()), SGD(), loss)
    with pytest.warns(UserWarning, match=f"{last.__name__}, which {other} includes already"):
        Trainer(net(last(), Flatten()), SGD(), other)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("last", [LeakyReLU(), Flatten(), Dropout(0.0), Dense(3)])
def test_other_last_layers_are_not(last):
    smoothed = functools.partial(softmax_cross_entropy, label_smoothing=0.1)
    for loss in ("softmax_cross_entropy", "binary_cross_entropy_with_logits", smoothed):
        Trainer(net(last), SGD(), loss)


@pytest.mark.parametrize(
    ("last", "labels", "message"),
    [
        (
            Sigmoid(),
            ROWS * 2,
            "from 0 to 2, but the model ends with Sigmoid, whose outputs are between 0 and 1",
        ),
        (Softmax(), ROWS * 10 - 5, "from -5 to 5, but the model ends with Softmax"),
        (Tanh(amplitude=2.0), ROWS * 3, "from 0 to 3, .* are between -2 and 2"),
        (ReLU(), ROWS - 1, "from -1 to 0, .* ReLU, whose outputs are above 0: scale the labels"),
    ],
)
def test_labels_that_no_output_reaches_are_warned_of(last, labels, message):
    with pytest.warns(UserWarning, match=f"the labels are {message}"):
        fit(None, last, loss="mean_squared_error", y=labels)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("last", "labels"), [(Sigmoid(), ROWS), (Tanh(), ROWS * 2 - 1), (ReLU(), ROWS * 99), (Dense(3), ROWS - 9)]
)
def test_labels_within_reach_are_not(last, labels):
    fit(None, last, loss="mean_squared_error", y=labels)


# --- schedules --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (
            cosine(0.1, steps=10),
            r"nearly 0 most of the time by cosine\(lr=0.1, steps=10.*in a fit of 60 steps",
        ),
        (
            step_decay(0.1, every=3),
            "nearly 0 most of the time by step_decay.*count steps, and an epoch has 6",
        ),
        (constant(0.0), "nearly 0 most of the time by constant"),
        (cosine(0.1, steps=100, warmup=60), "is in its warm-up until the end, in a fit of 60 steps"),
    ],
)
def test_a_schedule_in_epochs_is_warned_of(schedule, message):
    with pytest.warns(UserWarning, match=message):
        fit(SGD(schedule), epochs=10)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "schedule",
    [
        cosine(0.1, steps=60),
        cosine(0.1, steps=40, warmup=20),
        cosine(0.1, steps=10, final=0.01),
        step_decay(0.1, every=20),
        constant(0.1),
        lambda step: 0.1 * (step < 2),  # of the user's: it is not called
    ],
)
def test_other_schedules_are_not(schedule):
    fit(SGD(schedule), epochs=10)


def test_a_second_fit_begins_where_the_schedule_is():
    trainer = Trainer(net(), SGD(cosine(0.1, steps=6)), threads=1)
    trainer.fit(X, Y, 1, 2, verbose=0)
    with pytest.warns(UserWarning, match="nearly 0 most of the time"):
        trainer.fit(X, Y, 1, 2, verbose=0)


# --- single values ----------------------------------------------------------------------------------------


def test_a_batch_norm_of_single_values_is_warned_of():
    def fit(layers, shape, batch_size):
        model = Sequential(layers).build(shape, rng=0)
        x = np.random.default_rng(0).normal(size=(6, *shape)).astype(np.float32)
        Trainer(model, SGD(0.01), threads=1).fit(x, np.arange(6) % 3, 1, batch_size, verbose=0)

    with pytest.warns(UserWarning, match=r"layers.1 \(BatchNorm\) gets one value for each channel"):
        fit([Dense(4), BatchNorm(), Dense(3)], (5,), 1)
    frozen = BatchNorm()
    frozen.trainable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit([Dense(4), BatchNorm(), Dense(3)], (5,), 5)  # the last batch has one example
        fit([Dense(4), frozen, Dense(3)], (5,), 1)
        fit([BatchNorm(), Flatten(), Dense(3)], (2, 2, 1), 1)


# --- callbacks --------------------------------------------------------------------------------------------


def test_a_callback_that_is_given_twice_is_refused():
    hook = EarlyStopping("loss", 3)
    for options in ({"callbacks": [hook, hook]}, {"callbacks": [hook]}):
        trainer = Trainer(net(), SGD(), threads=1, callbacks=[hook])
        with pytest.raises(ValueError, match="the EarlyStopping object is given twice"):
            trainer.fit(X, Y, verbose=0, **options)


def test_two_callbacks_do_not_write_the_same_file(tmp_path):
    (tmp_path / "there").mkdir()
    other = tmp_path / "there" / ".." / "log"
    for second in (CSVLogger(other), SaveBest(other, "loss")):
        with pytest.raises(ValueError, match=f"CSVLogger and {type(second).__name__} write the same file"):
            fit(callbacks=[CSVLogger(tmp_path / "log"), second])
    assert not (tmp_path / "log").exists()
    fit(callbacks=[CSVLogger(tmp_path / "log"), SaveBest(tmp_path / "best", "loss")])


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceLROnPlateau])
@pytest.mark.parametrize(
    ("monitor", "worst", "better"),
    [("loss", "max", "lower"), ("accuracy", "min", "higher"), ("macro_f1", "min", "higher")],
)
def test_a_mode_that_looks_for_the_worst_is_warned_of(kind, monitor, worst, better):
    metrics = ["accuracy", "macro_f1"]
    with pytest.warns(
        UserWarning, match=f"looks for the worst {monitor}, which is better when it is {better}"
    ):
        fit(callbacks=[kind(monitor, mode=worst)], metrics=metrics)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(callbacks=[kind(monitor, mode="min" if worst == "max" else "max")], metrics=metrics)


def test_a_rate_without_room_for_a_reduction_is_warned_of():
    with pytest.warns(UserWarning, match="never reduces the rate: 0.01 is not above min_lr=0.1"):
        fit(callbacks=[ReduceLROnPlateau("loss", min_lr=0.1)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(callbacks=[ReduceLROnPlateau("loss", min_lr=0.001)])
        fit(SGD(cosine(0.1, 6, warmup=2)), callbacks=[ReduceLROnPlateau("loss", min_lr=0.01)])
