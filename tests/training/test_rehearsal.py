"""What is said before the first step instead of in the middle of a fit."""

import csv
import os
import warnings

import numpy as np
import pytest

from minicnn import (
    SGD,
    Callback,
    CSVLogger,
    Dense,
    EarlyStopping,
    ReduceLROnPlateau,
    SaveBest,
    Sequential,
    Trainer,
)
from minicnn.losses import binary_cross_entropy_with_logits, mean_squared_error, softmax_cross_entropy
from minicnn.metrics import top_k_accuracy

X, Y = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32), np.arange(40) % 3


class Count(Callback):
    steps = begun = 0

    def on_train_begin(self):
        self.begun += 1

    def on_batch_end(self, step, logs):
        self.steps += 1


def fit(y=Y, loss=softmax_cross_entropy, units=3, callbacks=(), metrics=None, **options):
    count = Count()
    trainer = Trainer(Dense(units).build((4,), rng=0), SGD(), loss, threads=1, metrics=metrics)
    try:
        trainer.fit(X, y, 2, 8, callbacks=[*callbacks, count], verbose=0, **options)
    finally:
        assert count.steps in (0, 10)
    return trainer


def row(y, index, value):
    y = np.array(y)
    y[index] = value
    return y


SOFT = np.eye(3)[Y]


@pytest.mark.parametrize(
    ("y", "loss", "message"),
    [
        (
            row(Y, 20, 3),
            softmax_cross_entropy,
            r"labels of `y`, \(40,\), .* must be class indices in \[0, 3\), got 3",
        ),
        (row(Y, 39, -1), softmax_cross_entropy, "got -1"),
        (row(SOFT, 17, [0.5, 0.5, 0.5]), softmax_cross_entropy, "must sum to 1, got a sum of 1.5"),
        (row(SOFT, 17, [1.5, -0.5, 0]), softmax_cross_entropy, "must not be negative"),
        (row(SOFT, 17, [np.nan, 0, 1]), softmax_cross_entropy, "must not be negative, got nan"),
        (row(SOFT, 23, [0, 2, 0]), binary_cross_entropy_with_logits, r"must be in \[0, 1\]"),
        (SOFT[:, :2], mean_squared_error, r"predictions' shape"),
    ],
)
def test_a_wrong_label_anywhere_is_found_before_the_first_step(y, loss, message):
    with pytest.raises(ValueError, match=message):
        fit(y, loss)
    fine = Y if loss is softmax_cross_entropy else SOFT
    with pytest.raises(ValueError, match="labels of `validation_data`"):
        fit(fine, loss, validation_data=(X, y))


def own_loss(predictions, labels):
    if labels.max() > 2:
        raise IndexError("no such class")
    return softmax_cross_entropy(predictions, labels)


def test_a_loss_of_the_user_tries_validation_labels_that_the_first_step_does_not():
    with pytest.raises(IndexError, match="no such class") as caught:
        fit(loss=own_loss, validation_data=(X, row(Y, 5, 7)))
    assert caught.value.__notes__ == ["in the loss own_loss, given (3, 3) and (3,)"]
    fit(loss=own_loss, validation_data=(X[:9], Y[:9]))


class CountedLoss:
    calls = 0

    def __call__(self, predictions, labels):
        self.calls += 1
        return softmax_cross_entropy(predictions, labels)


@pytest.mark.parametrize("labels", [Y, Y[::-1] % 2 + 1, Y.astype(np.int32)])
def test_a_loss_with_a_state_is_not_disturbed(labels):
    loss = CountedLoss()
    fit(loss=loss, validation_data=(X, labels))
    assert loss.calls == 2 * (5 + 1)
    loss = CountedLoss()
    fit(loss=loss, validation_data=(X, SOFT))  # another kind of labels: tried on a copy
    assert loss.calls == 2 * (5 + 1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ones(3), "the metric 'own' must return a number, got an array of shape (3,)"),
        (np.ones(1), "the metric 'own' must return a number, got an array of shape (1,)"),
        (None, "the metric 'own' must return a number, got None"),
        (1j, "the metric 'own' must return a number, got 1j"),
        ("0.5", "the metric 'own' must return a number, got '0.5'"),
    ],
)
def test_a_metric_returns_one_number(value, message):
    with pytest.raises(TypeError) as caught:
        fit(metrics={"own": lambda predictions, labels: value})
    assert str(caught.value) == message
    fit(metrics={"own": lambda predictions, labels: np.float32(0.5)})


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (0.5, "must return a pair (mean value, dpredictions), got float"),
        ((0.5, np.ones((8, 3)), 1), "must return a pair (mean value, dpredictions), got 3 values"),
        ((np.ones(8), np.ones((8, 3))), "must return its mean as one number, got an array of shape (8,)"),
        ((0.5, 0.5), "must return dpredictions as an array of floats, got float"),
        ((0.5, np.ones((8, 3), int)), "must return dpredictions as an array of floats, got int64"),
        ((0.5, np.ones(8)), "must return dpredictions in the predictions' shape (8, 3), got (8,)"),
    ],
)
def test_a_loss_returns_a_number_and_a_gradient(result, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        fit(loss=lambda predictions, labels: result)
    assert str(caught.value) == f"the loss <lambda> {message}"
    assert caught.value.__notes__ == ["with 8 of the 8 examples of the batch"]


def test_errors_of_the_users_functions_say_which_and_of_what_batch():
    def broken(predictions, labels):
        raise KeyError("weights")

    with pytest.raises(KeyError) as caught:
        fit(metrics={"own": broken})
    assert caught.value.__notes__ == ["in the metric 'own', given (40, 3) and (40,)"]
    model = Dense(3).build((4,), rng=0)
    x, y = np.ones((20_000, 4), np.float32), np.arange(20_000) % 3
    with pytest.raises(KeyError) as caught:
        Trainer(model, SGD(), broken, threads=2, workers="threads").fit(x, y, 1, 20_000, verbose=0)
    assert caught.value.__notes__ == [
        "in the loss broken, given (10000, 3) and (10000,)",
        "with 10,000 of the 20,000 examples of the batch",
    ]


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceLROnPlateau, lambda name: SaveBest("best", name)])
def test_a_monitor_that_does_not_exist_is_named_before_the_first_step(kind):
    with pytest.raises(ValueError, match="be one of loss, accuracy, got 'val_loss'; give `validation_data`"):
        fit(callbacks=[kind("val_loss")])
    with pytest.raises(ValueError, match="be one of loss, accuracy, val_loss, val_accuracy, got 'val_acc'"):
        fit(callbacks=[kind("val_acc")], validation_data=(X, Y))


def test_what_a_callback_of_the_user_adds_to_the_logs_can_be_monitored():
    class Adds(Callback):
        def on_epoch_end(self, epoch, logs):
            logs["my_loss"] = 1.0

    fit(callbacks=[Adds(), EarlyStopping("my_loss")])
    with pytest.raises(ValueError, match="must be one of"):
        fit(callbacks=[EarlyStopping("my_loss"), Adds()])


def test_an_earlier_log_survives_a_fit_that_cannot_begin(tmp_path):
    path = tmp_path / "log.csv"
    fit(callbacks=[CSVLogger(path)])
    before = path.read_text()
    with pytest.raises(ValueError, match="must be one of"):
        fit(callbacks=[CSVLogger(path), EarlyStopping("nothing_loss")])
    assert path.read_text() == before
    assert len(list(csv.reader(before.splitlines()))) == 3


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may write everywhere")
@pytest.mark.parametrize("kind", [CSVLogger, lambda path: SaveBest(path, "loss")])
def test_a_folder_that_cannot_be_written_is_said_before_the_first_step(tmp_path, kind):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="make the folder writable"):
        fit(callbacks=[kind(tmp_path / "file")])


@pytest.mark.parametrize("kind", [CSVLogger, lambda path: SaveBest(path, "loss")])
def test_a_folder_in_place_of_a_file_is_said_before_the_first_step(tmp_path, kind):
    with pytest.raises(IsADirectoryError, match="it is a folder; give the name of a file"):
        fit(callbacks=[kind(tmp_path)])
    with pytest.raises(FileNotFoundError):
        fit(callbacks=[kind(tmp_path / "no" / "file")])
    assert not list(tmp_path.iterdir())


def test_hooks_are_checked_before_the_first_step():
    class NoLogs(Callback):
        def on_epoch_end(self, epoch):
            pass

    class Keras(Callback):
        def on_train_batch_end(self, batch, logs=None):
            pass

        def on_epoch_ended(self, epoch, logs):
            pass

    with pytest.raises(TypeError, match=r"NoLogs.on_epoch_end must have the signature \(self, epoch.*, logs"):
        fit(callbacks=[NoLogs()])
    with pytest.warns(UserWarning, match="is never called") as told:
        fit(callbacks=[Keras()])
    assert [str(each.message) for each in told] == [
        "Keras.on_epoch_ended is never called by a fit; did you mean 'on_epoch_end'?",
        "Keras.on_train_batch_end is never called by a fit; did you mean 'on_batch_end'?",
    ]


def test_a_single_logit_needs_another_loss():
    with pytest.raises(ValueError, match=r"`model` must have at least two outputs .* use Dense\(2\), or"):
        fit(Y[:, None] % 2, units=1)
    fit(Y[:, None] % 2, binary_cross_entropy_with_logits, units=1)


def test_top_k_of_more_classes_than_there_are():
    metrics = {"top5": lambda predictions, labels: top_k_accuracy(predictions, labels, 5)}
    with pytest.raises(ValueError, match="`k` must be at most 3") as caught:
        fit(metrics=metrics)
    assert "in the metric 'top5'" in caught.value.__notes__[0]


@pytest.mark.parametrize("name", [1, None, ("a", "b")])
def test_the_name_of_a_metric_is_a_string(name):
    with pytest.raises(TypeError, match="the name of a metric must be a string"):
        fit(metrics={name: lambda predictions, labels: 1.0})


@pytest.mark.parametrize("stop", [False, True])
def test_a_finished_fit_with_other_settings_says_that_nothing_is_trained(tmp_path, stop):
    class Stop(Callback):
        def on_epoch_end(self, epoch, logs):
            self.state.stop = True

    def run(lr, epochs):
        trainer = Trainer(Dense(3).build((4,), rng=0), SGD(lr), threads=1)
        callbacks = [Stop()] if stop else []
        return trainer.fit(X, Y, epochs, 8, callbacks=callbacks, checkpoint=tmp_path / "fit", verbose=0)

    history = run(0.1, 2)
    assert run(0.1, 2) == history
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert run(0.2, 2) == history
    why = "was stopped in epoch 1" if stop else "has 2 epochs"
    assert f"is finished, it {why}, although lr changed from 0.1 to 0.2; use another" in str(told[1].message)
    if not stop:
        with pytest.warns(UserWarning, match="nothing to train: .* it has 2 epochs, but `epochs` is 1"):
            run(0.1, 1)
        assert len(run(0.1, 3).epoch) == 3


@pytest.mark.parametrize(
    ("part", "name", "meant"),
    [
        (lambda trainer: trainer.model[0], "trainabel", "trainable"),
        (lambda trainer: trainer.model[0].kernel, "trainible", "trainable"),
        (lambda trainer: trainer.optimizer, "lerning_rate", "learning_rate"),
        (lambda trainer: trainer.optimizer, "weight_deacy", "weight_decay"),
        (lambda trainer: trainer.callbacks[0], "patince", "patience"),
        (lambda trainer: trainer.model[0], "name", None),  # a note of the user's
        (lambda trainer: trainer.model[1], "trainabel", None),  # of the user's own class
    ],
)
def test_a_misspelt_attribute_is_told_before_the_first_step(part, name, meant):
    class Own(Dense):
        pass

    model = Sequential([Dense(2), Own(2)]).build((2,), rng=0)
    trainer = Trainer(model, SGD(), mean_squared_error, callbacks=[EarlyStopping("loss")], threads=1)
    setattr(part(trainer), name, 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer.fit(np.eye(2), np.ones((2, 2)), verbose=0)
    expected = [f"has an attribute {name!r}, which nothing reads: did you mean {meant!r}?"] if meant else []
    assert [str(each.message).partition(" ")[2] for each in caught] == expected


def test_the_rate_of_a_step_cannot_be_set():
    with pytest.raises(AttributeError, match="assign to `lr`, or to `lr_scale`"):
        SGD().learning_rate = 1e-3
