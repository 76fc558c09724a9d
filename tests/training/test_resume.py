import json
import math
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

from minicnn import (
    SGD,
    Adam,
    BatchNorm,
    Callback,
    CSVLogger,
    Dense,
    Dropout,
    EarlyStopping,
    FileFormatError,
    Flatten,
    Optimizer,
    ReduceLROnPlateau,
    ReLU,
    SaveBest,
    Sequential,
    Trainer,
)
from minicnn.saving import read_tensors, write_tensors
from minicnn.saving.checkpoints import CheckpointFolder

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 200, (70, 4, 4, 1)).astype(np.uint8), RNG.integers(0, 3, 70)
STEPS = 5  # an epoch, in batches of 16


def distort(images, rng):
    return images + rng.integers(0, 9, images.shape, np.uint8)


def make(layers=list, threads=1, bits=np.random.PCG64, seed=2, units=3, lr=1e-3):
    layers = [Flatten(), Dense(8), ReLU(), *layers(), Dense(units)]
    rng = np.random.Generator(bits(1))
    model = Sequential(layers).build((4, 4, 1), rng=rng)
    return Trainer(model, Adam(lr), seed=seed, augment=distort, threads=threads, workers="threads")


def fit(trainer, folder=None, every=None, callbacks=(), epochs=3, x=X, batch_size=16):
    return trainer.fit(
        *(x, Y[: len(x)], epochs, batch_size),
        validation_data=(X[:20], Y[:20]),
        callbacks=callbacks,
        checkpoint=folder,
        checkpoint_every=every,
    )


@pytest.fixture
def folder():
    """Return a folder in memory where there is one: to sync a real disk takes longer than all the rest."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as name:
        yield Path(name)


class Fail(Callback):
    """Raises after so many steps, or at the end of an epoch."""

    def __init__(self, after):
        self.after = after

    def on_batch_end(self, step, logs):
        self.after -= 1
        if not self.after:
            raise ZeroDivisionError

    def on_epoch_end(self, epoch, logs):
        self.on_batch_end(epoch, logs)


def state(trainer):
    arrays = [*trainer.model.get_weights(), *trainer.optimizer.state_dict().values()]
    return [array.tobytes() for array in arrays], trainer.optimizer.steps, trainer.epoch


@pytest.mark.parametrize(
    "places",
    [(1, 4, STEPS, STEPS + 1, STEPS + 2), pytest.param(range(1, 13), marks=pytest.mark.campaign)],
    ids=["some", "all"],
)
@pytest.mark.parametrize(
    ("options", "every"),
    [
        ({"layers": lambda: [Dropout(0.5)], "threads": 2}, 1),
        ({"layers": lambda: [BatchNorm(), Dropout(0.2), Dropout(0.3)]}, 3),
        ({"layers": lambda: [BatchNorm()]}, None),
    ],
)
def test_a_fit_that_fails_anywhere_ends_as_one_that_did_not(folder, options, every, places):
    def callbacks(name):
        return [CSVLogger(folder / f"{name}.csv"), EarlyStopping(patience=9)]

    whole = make(**options)
    history = fit(whole, callbacks=callbacks("whole"), epochs=2)
    # In the first step, in the middle and at both ends of an epoch; all twelve places in the campaign.
    for after in places:
        with pytest.raises(ZeroDivisionError):
            fit(make(**options), folder / str(after), every, [*callbacks(after), Fail(after)], epochs=2)
        again = make(**options)
        assert fit(again, folder / str(after), every, callbacks(after), epochs=2) == history
        assert state(again) == state(whole)
        assert (folder / f"{after}.csv").read_bytes() == (folder / "whole.csv").read_bytes()


@pytest.mark.parametrize("bits", [np.random.MT19937, np.random.Philox, np.random.SFC64, np.random.PCG64DXSM])
def test_every_kind_of_random_stream_goes_on(folder, bits):
    options = {"layers": lambda: [Dropout(0.5)], "bits": bits, "threads": 2}
    whole, first, again = (make(**options) for _ in range(3))
    history = fit(whole)
    with pytest.raises(ZeroDivisionError):
        fit(first, folder, 2, [Fail(8)])
    assert fit(again, folder) == history
    assert state(again) == state(whole)


def test_the_same_trainer_may_go_on_too(folder):
    whole, other = (make(lambda: [Dropout(0.5)]) for _ in range(2))
    history = fit(whole)
    with pytest.raises(ZeroDivisionError):
        fit(other, folder, 3, [Fail(10)])
    assert fit(other, folder) == history
    assert state(other) == state(whole)


def test_a_finished_fit_returns_at_once_and_can_be_made_longer(folder):
    history = fit(make(), folder)

    class Never(Callback):
        def on_epoch_begin(self, epoch):
            raise AssertionError("there is nothing left to do")

    assert fit(make(), folder, callbacks=[Never()]) == history
    longer, whole = make(), make()
    assert fit(longer, folder, epochs=5) == fit(whole, epochs=5)
    assert state(longer) == state(whole)


def test_interrupted_goes_on_and_stopped_does_not(folder):
    class Set(Callback):
        def __init__(self, name):
            self.name = name

        def on_batch_end(self, step, logs):
            setattr(self.state, self.name, step == 2)

    history = fit(make())
    assert fit(make(), folder / "a", callbacks=[Set("interrupted")]).epoch == []
    assert fit(make(), folder / "a") == history
    assert fit(make(), folder / "b", callbacks=[Set("stop")]).epoch == []
    assert fit(make(), folder / "b").epoch == []


@pytest.mark.parametrize("after", [5, 8, 14, 16])
def test_early_stopping_and_best_weights_survive(folder, after):
    """The loss is scripted: the third epoch is the best, two later the fit ends."""

    class Script(Callback):
        def on_epoch_end(self, epoch, logs):
            logs["val_loss"] = [3, 2, 1, 5, 4, 3][epoch]

    def callbacks():
        return [Script(), EarlyStopping(patience=2), SaveBest(folder / "best.safetensors")]

    whole, again = make(), make()
    history = fit(whole, callbacks=callbacks(), epochs=9)
    assert len(history.epoch) == 5
    best = (folder / "best.safetensors").read_bytes()
    (folder / "best.safetensors").unlink()
    with pytest.raises(ZeroDivisionError):
        fit(make(), folder / "run", 2, [*callbacks(), Fail(after)], epochs=9)
    assert fit(again, folder / "run", 2, callbacks(), epochs=9) == history
    assert state(again) == state(whole)
    assert (folder / "best.safetensors").read_bytes() == best


def test_whichever_save_fails_the_fit_ends_as_it_would_have(folder, monkeypatch):
    """Early stopping ends it after the fourth epoch; between its save and the last one nothing may change."""

    class Script(Callback):
        def on_epoch_end(self, epoch, logs):
            logs["val_loss"] = [2, 1, 3, 3, 0, 0][epoch]

    replace, left = os.replace, -1

    def fail(*args):
        nonlocal left
        left -= 1
        if left == 0:
            raise OSError(28, "No space left on device")
        replace(*args)

    monkeypatch.setattr(os, "replace", fail)
    callbacks, whole = [Script(), EarlyStopping(patience=2)], make()
    history = fit(whole, folder / "whole", callbacks=callbacks, epochs=6)
    saves = -1 - left
    assert (len(history.epoch), saves) == (4, 5)
    for number in range(1, saves + 1):
        left, again = number, make()
        with pytest.raises(OSError, match="No space left on device; free some"):
            fit(make(), folder / str(number), callbacks=callbacks, epochs=6)
        assert fit(again, folder / str(number), callbacks=callbacks, epochs=6) == history
        assert state(again) == state(whole)


def test_a_rate_that_a_callback_changed_is_kept(folder):
    class Halve(Callback):
        def on_epoch_end(self, epoch, logs):
            self.state.optimizer.lr_scale /= 2

    whole, again = make(), make()
    history = fit(whole, callbacks=[Halve()])
    with pytest.raises(ZeroDivisionError):
        fit(make(), folder, 2, [Halve(), Fail(9)])
    assert fit(again, folder, 2, [Halve()]) == history
    assert again.optimizer.learning_rate == 1e-3 / 8


@pytest.mark.parametrize(
    ("trainer", "options", "message"),
    [
        ({"seed": 3}, {}, "to another fit: `seed` is 2 there and 3 here; use another checkpoint folder"),
        ({}, {"batch_size": 15}, "`batch_size` is 16 there and 15 here"),
        ({}, {"x": X[:69]}, "`examples` is 70 there and 69 here"),
        ({"units": 4}, {}, r"wrongly shaped: layers.3.kernel \(8, 3\) instead of \(8, 4\)"),
        ({"layers": lambda: [BatchNorm()]}, {}, "missing: layers.3.beta, .* unexpected: layers.3.bias"),
    ],
)
def test_another_fits_checkpoint_is_refused_and_nothing_changed(folder, trainer, options, message):
    fit(make(), folder, epochs=1)
    other, untouched = make(**trainer), make(**trainer)
    with pytest.raises(ValueError, match=message):
        fit(other, folder, **options)
    assert state(other)[1:] == (0, 0)
    for ours, theirs in zip(other.model.get_weights(), untouched.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("trainer", "options", "message"),
    [
        ({"threads": 2}, {}, "threads changed from 1 to 2$"),
        ({}, {"x": X[::-1]}, "data changed"),
        ({"lr": 0.5}, {}, "lr changed from 0.001 to 0.5$"),
        ({"layers": lambda: [Dropout(0.4)]}, {}, "model changed"),
        ({}, {"callbacks": []}, "callbacks changed from EarlyStopping.0 to none"),
    ],
)
def test_what_is_different_is_reported_once_and_the_fit_continues(folder, trainer, options, message):
    same = {"layers": lambda: [Dropout(0.5)]}
    fit(make(**same), folder, epochs=1, callbacks=[EarlyStopping(patience=9)])
    with pytest.warns(
        UserWarning, match=rf"resuming from .*; results will not be bit-identical, because {message}"
    ) as caught:
        history = fit(make(**same | trainer), folder, epochs=2, **{"callbacks": [EarlyStopping()]} | options)
    assert len(caught) == 1
    assert history.epoch == [0, 1]


def test_another_version_is_reported(folder, monkeypatch):
    fit(make(), folder, epochs=1)
    monkeypatch.setattr("numpy.__version__", "1.0")
    with pytest.warns(UserWarning, match=r"numpy changed from \d\S* to 1.0"):
        fit(make(), folder)


def test_a_checkpoint_without_what_it_takes_is_a_file_format_error(folder):
    write_tensors(folder / "step-00000001.safetensors", {}, '{"examples": 70, "batch_size": 16, "seed": 2}')
    with pytest.raises(FileFormatError, match="is not a checkpoint of this version"):
        fit(make(), folder)


FORGED = [
    *(("epoch", value) for value in (-1, 1, 2**63, True, 0.0, "0", None)),
    *(("step", value) for value in (-1, 4, 10**18, 10**400)),
    *(("seen", value) for value in (0, 47, 10**400)),
    *(("first_epoch", value) for value in (-1, 1, [0])),
    *(("batches", value) for value in (-1, 2, 1.0, 10**400)),
    *(("counts", value) for value in ({}, {"loss": 48}, {"loss": 0, "accuracy": 48}, {"loss": -1}, [48])),
    *(("sums", value) for value in ({}, [], {"loss": "1"}, {"loss": 10**400})),
    ("history", {"epoch": [0], "history": {}}),
    ("history", {"epoch": [], "history": {"loss": [1.0]}}),
    *((("optimizer", "steps"), value) for value in (-1, 10**400)),
    *((("optimizer", "lr_scale"), value) for value in (-1, 10**400, "0.1", [0.1], math.nan)),
    *(
        (("generators", 0, 0), value)
        for value in ({}, {"bit_generator": "PCG64"}, {"bit_generator": "os.system"})
    ),
    (("generators", 0, 0, "state", "key"), [1]),
    *((("generators", 0, 0, "state", "pos"), value) for value in (-1, 625, 10**6, 10**400)),
    (("fingerprint", "\x1b[2J"), "2"),
    (("fingerprint", "threads"), 1),
    (("callbacks", "EarlyStopping.0", "best"), "low"),
    (("callbacks", "EarlyStopping.0", "waited"), 0.5),
    (("callbacks", "EarlyStopping.0", "weights.0"), [[0.0]]),
    (("callbacks", "ReduceLROnPlateau.0", "cooling"), None),
    (("callbacks", "ReduceLROnPlateau.0", "__class__"), "os.system"),
    (("callbacks", "SaveBest.0", "best"), 10**400),
    (("callbacks", "CSVLogger.0", "rows"), ["epoch"]),
    (("callbacks", "CSVLogger.0", "rows"), [{"\ud800": 0.5}]),
]


def forgeable():
    return make(lambda: [Dropout(0.5)], bits=np.random.MT19937)


def remembering(folder):
    return [
        *(EarlyStopping(patience=9), ReduceLROnPlateau()),
        *(SaveBest(folder / "best"), CSVLogger(folder / "log.csv")),
    ]


@pytest.fixture(scope="module")
def unforged(tmp_path_factory):
    """Return arrays and text of a checkpoint in the middle of the first epoch."""
    folder = tmp_path_factory.mktemp("unforged")
    with pytest.raises(ZeroDivisionError):
        fit(forgeable(), folder / "run", 3, [*remembering(folder), Fail(4)])
    return read_tensors(folder / "run" / "step-00000003.safetensors")


def forge(folder, unforged, place, value, more=None):
    """Write a checkpoint with another value at a place of its state, and a right checksum."""
    arrays, text = unforged
    whole, parts = json.loads(text), (place,) if isinstance(place, str) else place
    inner = whole
    for part in parts[:-1]:
        inner = inner[part]
    inner[parts[-1]] = value
    folder.mkdir()
    write_tensors(folder / "step-00000003.safetensors", arrays | (more or {}), json.dumps(whole))


@pytest.mark.parametrize(
    ("place", "value"),
    [case if i % 4 == 0 else pytest.param(*case, marks=pytest.mark.ci) for i, case in enumerate(FORGED)],
)
def test_a_forged_state_with_a_right_checksum_is_refused_and_nothing_changed(folder, unforged, place, value):
    forge(folder / "run", unforged, place, value)
    trainer, untouched = forgeable(), forgeable()
    with pytest.raises(FileFormatError) as error:
        fit(trainer, folder / "run", 3, remembering(folder))
    assert str(error.value).isprintable()
    history = fit(untouched, callbacks=remembering(folder))
    assert fit(trainer, callbacks=remembering(folder)) == history  # the random streams are as they were too
    assert state(trainer) == state(untouched)


def test_best_weights_of_another_shape_are_refused_when_they_come_not_when_they_are_used(folder, unforged):
    weights = {f"callbacks.EarlyStopping.0.weights.{i}": np.ones(1, np.float32) for i in range(4)}
    forge(folder / "run", unforged, ("callbacks", "EarlyStopping.0", "best"), 0.5, weights)
    with pytest.raises(FileFormatError, match="the saved best weights do not fit the model"):
        fit(forgeable(), folder / "run", 3, remembering(folder))


def test_a_place_beyond_the_buffer_of_philox_is_refused(folder):
    options = {"layers": lambda: [Dropout(0.5)], "bits": np.random.Philox}
    fit(make(**options), folder / "whole", epochs=1)
    forge(
        folder / "run",
        read_tensors(*(folder / "whole").glob("step-*")),
        ("generators", 0, 0, "buffer_pos"),
        -7,
    )
    with pytest.raises(FileFormatError, match=r"the position in a random stream must be in \[0, 4\], got -7"):
        fit(make(**options), folder / "run")


def test_what_is_different_is_reported_without_control_characters(folder, unforged):
    forge(folder / "run", unforged, ("fingerprint", "numpy"), "\x1b[2J")
    with pytest.warns(UserWarning, match="because numpy changed$"):
        fit(forgeable(), folder / "run", callbacks=remembering(folder))


def test_an_error_before_the_first_step_leaves_the_trainer_as_it_was(folder):
    class Refuses(Callback):
        def on_train_begin(self):
            assert self.state.epoch == 1  # it sees what the fit goes on from
            raise ZeroDivisionError

    fit(make(), folder, epochs=1)
    trainer, untouched = make(), make()
    with pytest.raises(ZeroDivisionError):
        fit(trainer, folder, callbacks=[Refuses()])
    assert state(trainer)[1:] == (0, 0)
    assert fit(trainer) == fit(untouched)
    assert state(trainer) == state(untouched)


def test_weights_that_are_not_finite_are_not_saved(folder):
    """A rate beyond all that float32 can hold makes them so in an update, after a loss that is finite."""
    trainer = Trainer(make().model, SGD(lr=lambda step: 0.1 if step < 2 else 1e39), threads=1)
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.raises(FloatingPointError, match=r"'layers.1.kernel' became non-finite in step 3, not saved"),
    ):
        trainer.fit(X, Y, 2, 16, checkpoint=folder, checkpoint_every=1)
    newest = max(folder.glob("step-*"))
    assert newest.name == "step-00000002.safetensors"
    assert all(np.isfinite(array).all() for array in read_tensors(newest)[0].values())


def test_every_needs_a_folder():
    with pytest.raises(ValueError, match="`checkpoint_every` needs a folder in `checkpoint`, got 5"):
        make().fit(X, Y, checkpoint_every=5)


def test_a_number_that_is_not_finite_leaves_the_last_checkpoint_as_it_was(folder):
    trainer = Trainer(make().model, SGD(lr=0.1), threads=1)
    trainer.fit(X, Y, batch_size=16, checkpoint=folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}

    def poison(images, rng):
        return np.full(images.shape, np.nan, np.float32)

    ill = Trainer(make().model, SGD(lr=0.1), threads=1, augment=poison)
    with pytest.warns(UserWarning, match="augment changed"), pytest.raises(FloatingPointError):
        ill.fit(X, Y, 2, 16, checkpoint=folder, checkpoint_every=1)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def run_dying(runs, *options):
    script = Path(__file__).with_name("dying.py")
    command = [sys.executable, script, "--runs", str(runs), *options]
    result = subprocess.run(command, capture_output=True, text=True)
    counts = json.loads(result.stdout or "{}")
    assert (counts.get("lost"), counts.get("different")) == (0, 0), f"{counts}\n{result.stderr}"
    assert counts["deaths"] >= runs // 2  # some come too late, when all is done
    return counts


def run_dying_of_each_kind(runs):
    counts = run_dying(runs)
    assert counts["helped"] == runs - len(range(0, runs, 3))  # two thirds of them had a worker


def test_killed_at_random_moments_no_run_is_lost_or_different():
    run_dying_of_each_kind(3)


@pytest.mark.campaign
def test_killed_at_random_moments_no_run_of_a_thousand_is_lost_or_different():
    run_dying_of_each_kind(1000)


@pytest.mark.parametrize(
    "runs", [pytest.param(1, marks=pytest.mark.ci), pytest.param(200, marks=pytest.mark.campaign)]
)
def test_killed_with_all_options_of_a_fit_no_run_is_lost_or_different(runs):
    assert run_dying(runs, "--kind", "options")["helped"] == runs


def test_another_rate_than_before_is_used_and_reported(folder):
    fit(make(), folder, epochs=1)
    again = make(lr=1e-5)
    with pytest.warns(UserWarning, match="lr changed from 0.001 to 1e-05"):
        fit(again, folder, epochs=2)
    assert again.optimizer.lr == 1e-5


def test_a_rate_that_a_callback_lowered_is_no_other_one_in_the_same_process(folder):
    class Lower(Callback):
        def on_epoch_end(self, epoch, logs):
            self.state.optimizer.lr_scale /= 2
            self.state.interrupted = epoch == 0

    trainer = make()
    for _ in range(2):  # interrupted, and gone on; without a warning, which would be an error
        fit(trainer, folder, epochs=3, callbacks=[Lower()])
    assert trainer.optimizer.learning_rate == 1e-3 / 8
    fit(again := make(), folder, epochs=3, callbacks=[Lower()])  # as a script that is started again
    assert again.optimizer.learning_rate == 1e-3 / 8


def test_callbacks_may_remember_arrays_of_another_byte_order(folder):
    class Seen(Callback):
        def state_dict(self):
            return {"counts": np.arange(3, dtype=">i4")}

        def load_state_dict(self, state):
            self.counts = state["counts"]

    fit(make(), folder, epochs=1, callbacks=[Seen()])
    fit(make(), folder, epochs=2, callbacks=[seen := Seen()])
    assert seen.counts.tolist() == [0, 1, 2]


def test_a_fit_that_goes_on_with_other_metrics_tells_so_in_history_and_csv(folder, tmp_path):
    path = tmp_path / "history.csv"
    make().fit(X, Y, 2, 16, callbacks=[CSVLogger(path)], checkpoint=folder)
    with pytest.warns(UserWarning, match="data changed"):
        history = fit(make(), folder, epochs=3, callbacks=[CSVLogger(path)])
    assert history.epoch == [0, 1, 2]
    assert np.isnan(history.history["val_loss"]).tolist() == [True, True, False]
    assert len(history.history["loss"]) == 3
    header, *lines = path.read_text().splitlines()
    assert header == "epoch,loss,accuracy,val_loss,val_accuracy"
    assert [line.count(",") for line in lines] == [4, 4, 4]
    assert lines[0].endswith(",nan,nan")


def test_a_rate_is_not_reduced_twice_when_a_fit_breaks_off_after_it_was(folder):
    class Lower(Callback):
        broken = False

        def on_epoch_end(self, epoch, logs):
            self.state.optimizer.lr_scale /= 2

        def on_batch_end(self, step, logs):
            if self.state.epoch == 1 and step == 1 and not self.broken:
                self.broken = True
                raise ZeroDivisionError

    trainer, hook = make(), Lower()
    with pytest.raises(ZeroDivisionError):
        fit(trainer, folder, every=4, epochs=3, callbacks=[hook])  # the last checkpoint is in the first epoch
    assert trainer.optimizer.learning_rate == 1e-3 / 2
    fit(trainer, folder, every=4, epochs=3, callbacks=[hook])
    assert trainer.optimizer.learning_rate == 1e-3 / 8


def test_an_epoch_that_goes_on_with_a_new_metric_does_not_tell_it(folder):
    class Stop(Callback):
        def on_batch_end(self, step, logs):
            self.state.interrupted = step == 1

    def ones(predictions, labels):
        return 1.0

    make().fit(X, Y, 2, 16, callbacks=[Stop()], checkpoint=folder)
    trainer = make()
    trainer.metrics = {"ones": ones}
    with pytest.warns(UserWarning, match="metrics"):
        history = trainer.fit(X, Y, 2, 16, checkpoint=folder).history
    assert history.keys() == {"loss", "ones"}
    assert np.isnan(history["ones"]).tolist() == [True, False]
    assert history["ones"][1] == 1.0


class Fixed(Optimizer):
    """An optimizer of the user's, with arguments that have the names of other things."""

    def __init__(self, loss=0.5, data="x"):
        super().__init__(0.1)
        self.loss, self.data = loss, data

    def update(self, grad, scratch, rate, state):
        return grad * (rate * self.loss)


def test_an_optimizer_without_a_rate_argument_resumes(folder):
    whole, first, again = (Trainer(make().model, Fixed(), threads=1) for _ in range(3))
    history = fit(whole)
    with pytest.raises(ZeroDivisionError):
        fit(first, folder, 2, [Fail(8)])
    assert fit(again, folder, 2) == history
    assert state(again) == state(whole)
    with pytest.warns(UserWarning, match="because optimizer_loss changed from 0.5 to 0.25$"):
        fit(Trainer(make().model, Fixed(loss=0.25), threads=1), folder, epochs=4)


def test_a_stop_from_another_thread_during_a_save_is_not_lost(folder, monkeypatch):
    trainer = make()
    save = CheckpointFolder.save

    def save_while_a_thread_stops(self, step, *args):
        thread = threading.Thread(target=setattr, args=(trainer.state, "stop", True))
        thread.start()
        thread.join()
        save(self, step, *args)

    monkeypatch.setattr(CheckpointFolder, "save", save_while_a_thread_stops)
    fit(trainer, folder, 2)
    assert trainer.optimizer.steps == 2


def test_a_callback_that_changes_the_rate_itself_is_an_error_that_says_what_to_change(folder):
    class Halve(Callback):
        def on_batch_end(self, step, logs):
            self.state.optimizer.lr /= 2

    with pytest.raises(
        ValueError, match=r"changed `optimizer.lr` from 0.001 to .*; change `optimizer.lr_scale`"
    ):
        fit(make(), folder, 1, [Halve()])


def test_a_callback_with_a_state_of_its_own_is_refused():
    class Counts(Callback):
        def __init__(self):
            self.state = {"count": 0}

    with pytest.raises(TypeError, match=r"Counts.state is set by the trainer: use another name"):
        fit(make(), callbacks=[Counts()])


def test_a_fit_with_another_optimizer_is_told_so(folder):
    fit(make(), folder, epochs=1)
    other = Trainer(make().model, SGD(0.1), seed=2, augment=distort, threads=1)
    with pytest.raises(ValueError, match="belongs to another fit: its optimizer is 'Adam', and here it is"):
        fit(other, folder, epochs=2)
