import csv
import os

import keras
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
    Trainer,
    load_weights,
)
from minicnn.schedules import step_decay


def data(n=24):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 3)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(int)


def trainer(lr=0.1):
    return Trainer(Dense(2).build((3,), rng=0), SGD(lr=lr), threads=1)


class Record(Callback):
    def __init__(self):
        self.calls = []

    def on_train_begin(self):
        self.calls.append("train begin")

    def on_train_end(self):
        self.calls.append("train end")

    def on_epoch_begin(self, epoch):
        self.calls.append(f"epoch {epoch} begin")

    def on_epoch_end(self, epoch, logs):
        self.calls.append(f"epoch {epoch} end {sorted(logs)}")

    def on_batch_begin(self, step):
        self.calls.append(f"batch {step} begin")

    def on_batch_end(self, step, logs):
        self.calls.append(f"batch {step} end {sorted(logs)}")


def test_hooks_are_called_in_order():
    record = Record()
    trainer().fit(*data(), epochs=1, batch_size=16, callbacks=[record])
    assert record.calls == [
        "train begin",
        "epoch 0 begin",
        "batch 0 begin",
        "batch 0 end ['accuracy', 'loss']",
        "batch 1 begin",
        "batch 1 end ['accuracy', 'loss']",
        "epoch 0 end ['accuracy', 'loss']",
        "train end",
    ]


def test_stop_ends_after_the_step_that_runs():
    class Stop(Record):
        def on_batch_end(self, step, logs):
            super().on_batch_end(step, logs)
            self.state.stop = step == 1

    stop = Stop()
    history = trainer().fit(*data(), epochs=3, batch_size=4, callbacks=[stop])
    assert history.history == {}
    assert [c for c in stop.calls if c.startswith("batch") and "begin" in c] == [
        "batch 0 begin",
        "batch 1 begin",
    ]
    assert stop.calls[-1] == "train end"


def test_a_trainers_own_callbacks_are_called_in_every_fit_before_the_fits():
    order = []

    class Note(Callback):
        def __init__(self, name):
            self.name = name

        def on_train_begin(self):
            order.append(self.name)

    t = Trainer(Dense(2).build((3,), rng=0), SGD(), callbacks=[Note("own")])
    t.fit(*data(), callbacks=[Note("fit")])
    t.fit(*data())
    assert order == ["own", "fit", "own"]


class Script(Callback):
    """Makes the logs and the weights what a test wants them to be."""

    def __init__(self, values, name="val_loss"):
        self.values, self.name = values, name

    def on_epoch_end(self, epoch, logs):
        logs[self.name] = self.values[epoch]
        self.state.model.set_weights([np.full((3, 2), float(epoch)), np.zeros(2)])


class Rates(Callback):
    """Notes the learning rate after each epoch."""

    def __init__(self):
        self.seen = []

    def on_epoch_end(self, epoch, logs):
        self.seen.append(self.state.optimizer.learning_rate)


@pytest.mark.parametrize(
    ("values", "options", "epochs", "kept"),
    [
        ([3, 2, 1, 2, 3, 4], {}, 4, 2),
        ([3, 2, 2, 1, 2, 4], {"patience": 2}, 6, 3),
        ([3, 2, 2, 2, 2, 4], {"patience": 2}, 4, 1),
        ([3, 2.9, 2.8, 1, 1, 1], {"min_delta": 0.5}, 2, 0),
        ([3, 2, 1, 2, 3, 4], {"restore_best": False}, 4, 3),
        ([6, 5, 4, 3, 2, 1], {}, 6, 5),
        ([np.nan, 1, 2, 1, 1, 1], {"patience": 2}, 4, 1),
    ],
)
def test_early_stopping_waits_and_restores(values, options, epochs, kept):
    t = trainer()
    history = t.fit(*data(), epochs=6, callbacks=[Script(values), EarlyStopping(**options)])
    assert len(history.epoch) == epochs
    assert (t.model.kernel.value == kept).all()


def test_early_stopping_on_accuracy_wants_more():
    t = trainer()
    callbacks = [Script([0.5, 0.7, 0.6, 0.9], "val_accuracy"), EarlyStopping("val_accuracy")]
    assert len(t.fit(*data(), epochs=4, callbacks=callbacks).epoch) == 3
    assert (t.model.kernel.value == 1).all()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras reads its rate so
@pytest.mark.parametrize(
    "options",
    [
        {"patience": 1},
        {"patience": 2},
        {"patience": 0},
        {"patience": 2, "cooldown": 2},
        {"patience": 1, "cooldown": 1, "factor": 0.5},
        {"patience": 1, "min_delta": 0.3},
        {"patience": 1, "min_lr": 0.02},
    ],
)
def test_reduce_lr_on_plateau_does_as_keras(options):
    values = np.random.default_rng(0).integers(0, 8, 30) / 4 + np.linspace(3, 0, 30)
    theirs = keras.callbacks.ReduceLROnPlateau(mode="min", **options)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.SGD(0.5), loss="mse")
    theirs.set_model(model)
    theirs.on_train_begin()
    expected = []
    for epoch, value in enumerate(values):
        theirs.on_epoch_end(epoch, {"val_loss": value})
        expected.append(float(model.optimizer.learning_rate))
    rates = Rates()
    t = trainer(lr=0.5)
    t.fit(*data(), epochs=30, callbacks=[Script(values), ReduceLROnPlateau(**options), rates])
    assert len(set(rates.seen)) > 1
    np.testing.assert_allclose(rates.seen, expected, rtol=1e-6, atol=1e-30)  # theirs is a float32


def test_reduce_lr_on_plateau_by_hand():
    t, rates = trainer(lr=1.0), Rates()
    plateau = ReduceLROnPlateau("val_accuracy", 0.5, patience=2, cooldown=1)
    script = Script([0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.7, 0.7], "val_accuracy")
    t.fit(*data(), epochs=9, callbacks=[script, plateau, rates])
    # best at 1; waited for 2 and 3; 4 ends the cooldown, and counts again; lowered once more at 5
    assert rates.seen == [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25]


def test_reduce_lr_on_plateau_goes_on_from_its_state():
    values = [3, 1, 2, 2, 2, 2, 2, 2]
    whole, parts = Rates(), Rates()
    trainer().fit(*data(), epochs=8, callbacks=[Script(values), ReduceLROnPlateau(patience=3), whole])
    t, first, second = trainer(), ReduceLROnPlateau(patience=3), ReduceLROnPlateau(patience=3)
    t.fit(*data(), epochs=4, callbacks=[Script(values), first, parts])
    state = first.state_dict()

    class Restore(Callback):  # stands for the trainer, which does so when it goes on from a checkpoint
        def on_train_begin(self):
            second.load_state_dict(state)

    t.fit(*data(), epochs=4, callbacks=[Script(values), second, Restore(), parts])
    assert parts.seen == whole.seen
    assert whole.seen[-1] < whole.seen[0]


def test_reduce_lr_on_plateau_scales_a_schedule():
    schedule = step_decay(0.8, every=4, factor=0.5)  # two steps an epoch
    t, rates = Trainer(Dense(2).build((3,), rng=0), SGD(lr=schedule), threads=1), Rates()
    plateau = ReduceLROnPlateau("val_loss", factor=0.1, patience=1)
    callbacks = [Script([2, 2, 1, 1]), plateau, rates]
    t.fit(*data(), epochs=4, batch_size=12, callbacks=callbacks)
    # after each epoch, for the next step: reduced after the second and the fourth; steps 2, 4, 6, 8
    np.testing.assert_allclose(rates.seen, [0.8, 0.4 * 0.1, 0.4 * 0.1, 0.2 * 0.01], rtol=1e-12)
    assert repr(t.optimizer).startswith("SGD(lr=step_decay(lr=0.8, every=4, factor=0.5)")


@pytest.mark.parametrize("options", [{"factor": 1}, {"patience": -1}, {"cooldown": -1}, {"min_lr": -1}])
def test_reduce_lr_on_plateau_refuses_wrong_settings(options):
    with pytest.raises(ValueError, match=f"`{next(iter(options))}` must be"):
        ReduceLROnPlateau(**options)


def test_a_mode_may_be_said():
    t = trainer()
    callbacks = [Script([0.5, 0.7, 0.6, 0.9], "hits"), EarlyStopping("hits", mode="max")]
    assert len(t.fit(*data(), epochs=4, callbacks=callbacks).epoch) == 3
    with pytest.raises(ValueError, match="`mode` must be 'auto', 'min' or 'max', got 'best'"):
        EarlyStopping(mode="best")


@pytest.mark.parametrize("callback", [EarlyStopping, ReduceLROnPlateau, lambda name: SaveBest("best", name)])
def test_a_quantity_of_unknown_direction_needs_a_mode_before_the_first_step(callback):
    record = Record()
    with pytest.raises(ValueError, match=r"cannot tell whether 'val_top2' .* pass mode='min' or mode='max'"):
        trainer().fit(*data(), callbacks=[record, callback("val_top2")])
    assert record.calls == []


@pytest.mark.parametrize(
    ("name", "mode", "better"),
    [("val_loss", "auto", 1), ("mean_error", "auto", 1), ("val_accuracy", "auto", 3), ("top2", "max", 3)],
)
def test_the_direction_of_a_quantity(name, mode, better):
    stopping = EarlyStopping(name, mode=mode)
    stopping.on_train_begin()
    assert [stopping.improved({name: value}) for value in (2, better, 2)] == [True, True, False]


def test_checkpoint_misses_its_folder_before_the_first_epoch(tmp_path):
    record = Record()
    with pytest.raises(FileNotFoundError, match=r"no such folder: .*no \(for best.safetensors\)"):
        trainer().fit(*data(), callbacks=[record, SaveBest(tmp_path / "no" / "best.safetensors", "loss")])
    assert record.calls == []


def test_a_monitor_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="`monitor` must be one of loss, accuracy, got 'val_loss'"):
        trainer().fit(*data(), callbacks=[EarlyStopping()])


def test_checkpoint_keeps_the_best_weights(tmp_path):
    path = tmp_path / "best.safetensors"
    trainer().fit(*data(), epochs=4, callbacks=[Script([3, 1, 2, 5]), SaveBest(path)])
    model = Dense(2).build((3,), rng=9)
    load_weights(model, path)
    np.testing.assert_array_equal(model.kernel.value, np.ones((3, 2)))
    assert [p.name for p in tmp_path.iterdir()] == ["best.safetensors"]


def test_csv_logger_writes_a_line_an_epoch(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("of an earlier fit")
    x, y = data()
    history = trainer().fit(x, y, epochs=3, validation_data=(x, y), callbacks=[CSVLogger(path)])
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    for name, values in history.history.items():
        assert [float(row[name]) for row in rows] == values


@pytest.mark.parametrize("options", [{"patience": -1}, {"min_delta": -0.1}])
def test_early_stopping_refuses_negative_settings(options):
    with pytest.raises(ValueError, match="must be"):
        EarlyStopping(**options)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a disk that is always full")
def test_csv_logger_says_which_file_cannot_be_written_and_what_to_do():
    logger = CSVLogger("/dev/full")
    logger.on_train_begin()  # nothing to write yet
    with pytest.raises(OSError, match="No space left on device; free some disk space: '/dev/full'"):
        logger.on_epoch_end(0, {"loss": 1.0})


def test_the_switch_of_keras_that_stops_a_fit_warns_in_place_of_doing_nothing():
    class Stop(Callback):
        def on_epoch_end(self, epoch, logs):
            self.state.stop_training = True

    x, y = np.ones((4, 2), np.float32), np.arange(4) % 2
    with pytest.warns(UserWarning, match=r"`stop_training` has no effect in minicnn: set `stop = True`"):
        Trainer(Dense(2).build((2,), rng=0), SGD(), threads=1).fit(x, y, callbacks=[Stop()], verbose=0)
