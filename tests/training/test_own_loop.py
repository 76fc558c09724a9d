"""Epochs of one's own: by hand as `fit` makes them, overridden, interrupted and resumed, and wrong."""

import copy
import math

import numpy as np
import pytest

from minicnn import SGD, Adam, BatchNorm, Callback, Dense, EarlyStopping, ReLU, Sequential, Trainer
from minicnn.training import Batch
from minicnn.training.batches import ArrayBatches

RNG = np.random.default_rng(0)
X, Y, W = RNG.standard_normal((30, 4)), RNG.integers(0, 3, 30), RNG.uniform(0.5, 2, 30)


def net():
    return Sequential([Dense(6), BatchNorm(), ReLU(), Dense(3)]).build((4,), rng=0, dtype=np.float64)


def make(kind=Trainer, optimizer=None, **options):
    return kind(net(), optimizer or Adam(0.02), **{"threads": 1} | options)


def fit(trainer, epochs=3, size=8, **options):
    return trainer.fit(X, Y, epochs, size, **{"verbose": 0} | options).history


def weights(trainer):
    return np.concatenate([value.ravel() for value in trainer.model.get_weights()]).tobytes()


# --- by hand ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"threads": 1}, {"threads": 2, "workers": "threads"}], ids=str)
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_epochs_by_hand_are_those_of_fit(options, parts, weighted):
    given = {"sample_weight": W} if weighted else {}
    by_fit, by_hand = (make(metrics=["accuracy", "macro_f1"], **options) for _ in range(2))
    expected = fit(by_fit, accumulate_steps=parts, **given)
    batches, logs = ArrayBatches(X, Y, 8, accumulate_steps=parts, **given), []
    with by_hand.session(weighted=weighted):
        for epoch in range(3):
            logs.append(by_hand.train_epoch(batches.epoch(epoch, 0, by_hand.ranks)))
    assert weights(by_hand) == weights(by_fit)
    assert {name: [each[name] for each in logs] for name in logs[0]} == expected


def test_an_epoch_by_hand_takes_any_iterable_and_an_empty_one_is_no_step():
    trainer, batch = make(), Batch.of(X, Y)
    with trainer.session():
        np.testing.assert_equal(trainer.train_epoch([]), {"loss": math.nan, "accuracy": math.nan})
        first = trainer.train_epoch([batch])
        twice = trainer.train_epoch(batch for _ in range(2))
        last = trainer.compute(batch)
        assert math.isnan(trainer.train_epoch([])["loss"])
    other = make()
    history = fit(other, epochs=3, size=30)
    assert first["loss"] == history["loss"][0]
    assert twice["loss"] == pytest.approx(np.mean(history["loss"][1:]), rel=1e-12)
    with other.session():
        assert last == other.compute(batch)
    with pytest.raises(RuntimeError, match=r"only during `fit` or inside .*trainer.session"):
        trainer.train_epoch([batch])


def test_a_copy_that_is_made_in_a_session_can_be_fitted():
    trainer, other = make(), make()
    with trainer.session():
        copied = copy.deepcopy(trainer)
    assert fit(copied) == fit(other)
    assert weights(copied) == weights(other)


def test_the_error_of_a_step_by_hand_has_its_number_and_leaves_whole_steps():
    trainer, good, bad = make(), Batch.of(X, Y), Batch.of(np.full((2, 4), np.nan), Y[:2])
    with trainer.session():
        with pytest.raises(FloatingPointError, match="epoch 0, step 2: the batch itself"):
            trainer.train_epoch([good, good, bad, good])
        again = trainer.train_epoch([good])
    other = make()
    with other.session():
        other.train_epoch([good, good])
        assert again == other.train_epoch([good])
    assert weights(trainer) == weights(other)


# --- overridden -------------------------------------------------------------------------------------------


class LeavesOut(Trainer):
    """Leaves out the batches whose loss is low."""

    def train_epoch(self, batches):
        for batch in batches:
            results = self.compute(batch)
            if results["loss"] > 1.1:
                self.apply_gradients()
                self.state.record(results, batch.size)
        return self.epoch_logs()


class Twice(Trainer):
    """Makes two steps of each batch."""

    def train_epoch(self, batches):
        return super().train_epoch(batch for batch in batches for _ in range(2))


class Alternates(Trainer):
    """Has two optimizers, and both a result of its own."""

    def train_epoch(self, batches):
        for batch in batches:
            results = self.compute(batch)
            is_first = self.state.batches % 2 == 0
            self.apply_gradients(self.optimizer if is_first else self.second)
            own = {"first" if is_first else "second": results["loss"]}
            self.state.record({**results, **own}, batch.size)
        return self.epoch_logs()


class Remembers(Callback):
    """Keeps an optimizer in the checkpoints."""

    every_rank = True

    def __init__(self, optimizer):
        self.optimizer = optimizer

    def state_dict(self):
        return {"steps": self.optimizer.steps, **self.optimizer.state_dict()}

    def load_state_dict(self, state):
        arrays = {name: value for name, value in state.items() if name != "steps"}
        self.optimizer.load_state_dict(arrays, state["steps"], list(self.state.model.named_parameters()))


class Interrupt(Callback):
    def __init__(self, at):
        self.at = at

    def on_batch_end(self, step, logs):
        self.state.interrupted = self.state.batches == self.at


def own(kind, folder, *callbacks):
    trainer = make(kind, metrics=["accuracy", "macro_f1"])
    remembered = []
    if kind is Alternates:
        trainer.second = SGD(0.1, momentum=0.9)
        remembered = [Remembers(trainer.second)]
    history = fit(trainer, 2, callbacks=[*remembered, *callbacks], checkpoint=folder)
    return weights(trainer), history


@pytest.mark.parametrize("kind", [LeavesOut, Twice, Alternates])
@pytest.mark.parametrize("places", [[3], pytest.param(range(1, 9), marks=pytest.mark.ci)], ids=["3", "all"])
def test_overrides_that_are_interrupted_anywhere_end_with_the_same_bits(kind, places, tmp_path):
    expected = own(kind, tmp_path / "whole")
    assert expected[0] != weights(make())
    for at in places:
        own(kind, tmp_path / f"{at}", Interrupt(at))
        assert own(kind, tmp_path / f"{at}") == expected


def test_batches_are_left_out_and_steps_are_counted_as_by_hand():
    trainer, by_hand = make(LeavesOut), make()
    history = fit(trainer, epochs=1)
    losses, sizes = [], []
    with by_hand.session():
        for batch in ArrayBatches(X, Y, 8).epoch(0, 0, by_hand.ranks):
            loss = by_hand.compute(batch)["loss"]
            if loss > 1.1:
                by_hand.apply_gradients()
                losses.append(loss)
                sizes.append(batch.size)
    assert 0 < len(losses) < 4
    assert weights(trainer) == weights(by_hand)
    assert history["loss"] == [pytest.approx(np.average(losses, weights=sizes), rel=1e-12)]
    assert make(Twice).optimizer.steps == 0
    twice = make(Twice)
    fit(twice, epochs=2)
    assert (twice.optimizer.steps, twice.state.batches) == (16, 8)


def test_an_epoch_without_a_step_has_no_loss_and_is_no_improvement(tmp_path):
    class Waits(Trainer):
        """Leaves out all batches of the second epoch."""

        def train_epoch(self, batches):
            if self.state.epoch == 1:
                for batch in batches:
                    assert self.compute(batch)["loss"] > 0
                return self.epoch_logs()
            return super().train_epoch(batches)

    def run(folder, *callbacks):
        trainer = make(Waits, metrics=["accuracy", "macro_f1"])
        stopping = EarlyStopping("loss", patience=3)
        history = fit(trainer, callbacks=[stopping, *callbacks], checkpoint=folder)
        return weights(trainer), history

    expected = run(tmp_path / "whole")
    assert [np.isnan(values).tolist() for values in expected[1].values()] == [[False, True, False]] * 3
    run(tmp_path / "a", Interrupt(6))
    np.testing.assert_equal(run(tmp_path / "a"), expected)


def test_a_fit_that_resumes_without_the_override_is_told(tmp_path):
    own(Twice, tmp_path, Interrupt(3))
    message = r"not be bit-identical, because steps changed from Twice.train_epoch to none"
    with pytest.warns(UserWarning, match=message):
        own(Trainer, tmp_path)


@pytest.mark.parametrize("kind", [LeavesOut, Twice])
def test_an_override_by_hand_has_the_logs_of_fit(kind):
    by_fit, by_hand = make(kind), make(kind)
    expected, batches = fit(by_fit), ArrayBatches(X, Y, 8)
    with by_hand.session():
        for epoch in range(3):
            logs = by_hand.train_epoch(batches.epoch(epoch, 0, by_hand.ranks))
            assert logs == {name: values[epoch] for name, values in expected.items()}
    assert weights(by_hand) == weights(by_fit)


def test_results_of_ones_own_are_means_over_the_steps_that_have_them():
    trainer = make(Alternates)
    trainer.second = SGD(0.1)
    history = fit(trainer, epochs=1)
    sizes = {"first": 8 + 8, "second": 8 + 6}
    total = sum(history[name][0] * size for name, size in sizes.items())
    assert history["loss"][0] == pytest.approx(total / 30, rel=1e-12)


def test_a_result_of_a_step_survives_an_interrupt_in_its_epoch(tmp_path):
    class Doubled(Trainer):
        def train_step(self, batch):
            results = super().train_step(batch)
            return {**results, "double": 2 * results["loss"]}

    def run(folder, *callbacks):
        return fit(make(Doubled), callbacks=callbacks, checkpoint=folder)

    run(tmp_path, Interrupt(2))
    history = run(tmp_path)
    assert history["double"] == pytest.approx([2 * loss for loss in history["loss"]], rel=1e-12)


def test_an_own_error_in_the_middle_leaves_whole_steps_and_a_trainer_that_can_be_used():
    class Stumbles(Trainer):
        def train_epoch(self, batches):
            for i, batch in enumerate(batches):
                if i == self.at:
                    raise KeyError("a mistake")
                self.state.record(self.train_step(batch), batch.size)
            return self.epoch_logs()

    trainer, other = make(Stumbles), make()
    trainer.at = 2
    with pytest.raises(KeyError, match="a mistake"):
        fit(trainer)
    batches = [(batch.x, batch.y) for batch in ArrayBatches(X, Y, 8).epoch(0, 0, other.ranks)]
    other.fit(batches[:2], verbose=0)
    assert weights(trainer) == weights(other)
    trainer.at, other.state.epoch = None, 0
    assert fit(trainer) == fit(other)
    assert weights(trainer) == weights(other)


def test_a_batch_that_is_not_finite_may_be_left_out():
    class Skips(Trainer):
        def train_epoch(self, batches):
            for batch in batches:
                try:
                    results = self.train_step(batch)
                except FloatingPointError:
                    continue
                self.state.record(results, batch.size)
            return self.epoch_logs()

    x = X.copy()
    x[3] = np.nan
    trainer = make(Skips)
    history = trainer.fit(x, Y, 2, 8, verbose=0).history
    assert trainer.optimizer.steps == 6
    assert np.isfinite(history["loss"]).all()


def test_an_override_may_stop_the_fit():
    class Stops(Trainer):
        def train_epoch(self, batches):
            for batch in batches:
                self.state.record(self.train_step(batch), batch.size)
                self.state.stop = self.state.batches == 5
                if self.state.stop:
                    break
            return self.epoch_logs()

    trainer = make(Stops)
    assert len(fit(trainer)["loss"]) == 1
    assert (trainer.state.epoch, trainer.state.step, trainer.state.batches) == (1, 2, 6)


def test_own_results_may_be_monitored():
    class Doubled(Trainer):
        def train_step(self, batch):
            results = super().train_step(batch)
            return {**results, "double": 2 * results["loss"]}

    stopping = EarlyStopping("double", mode="min", patience=3)
    fit(make(Doubled), callbacks=[stopping])
    assert stopping.best > 0
    with pytest.raises(ValueError, match="`monitor` must be one of loss, accuracy, got 'double'"):
        fit(make(), callbacks=[stopping])


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "`train_step` must return loss and metrics by name, as `compute` does, got None"),
        ({"loss": np.ones(2)}, r"result 'loss' of a step must be a number, got an array of shape \(2,\)"),
        ({"loss": "low"}, "result 'loss' of a step must be a number, got 'low'"),
    ],
)
def test_a_step_that_returns_something_else_is_told(result, message):
    trainer = make(type("Own", (Trainer,), {"train_step": lambda self, batch: result}))
    with pytest.raises(TypeError, match=message):
        fit(trainer)


@pytest.mark.parametrize(
    ("make_batch", "weighted", "error", "message"),
    [
        (lambda: (X, Y), False, TypeError, r"must be a Batch, such as `Batch.of\(x, y\)`, got tuple"),
        (lambda: Batch.of(X, Y[:3]), False, ValueError, r"need the same length, got shapes .* \(3,\)"),
        (lambda: Batch.of(X[:0], Y[:0]), False, ValueError, "`size` must be .* got 0"),
        (lambda: Batch.of(X, Y, size=20), False, ValueError, "`size` must be .* got 20"),
        (lambda: Batch.of(X, Y, W - 1), True, ValueError, "`sample_weight` must be finite and not negative"),
        (lambda: Batch.of(X, Y, W), False, ValueError, "has sample weights, but this training has none"),
        (lambda: Batch.of(X, Y), True, ValueError, "has no sample weights, but this training has"),
    ],
)
def test_a_wrong_batch_is_told(make_batch, weighted, error, message):
    trainer = make()
    with trainer.session(weighted=weighted), pytest.raises(error, match=message):
        trainer.train_epoch([make_batch()])


def all_first(self, batches):
    return Trainer.train_epoch(self, list(batches))


def half(self, batches):
    return Trainer.train_epoch(self, (batch for batch, _ in zip(batches, range(2), strict=False)))


def unrecorded(self, batches):
    for batch in batches:
        self.train_step(batch)
    return self.epoch_logs()


def returns_none(self, batches):
    Trainer.train_epoch(self, batches)


def returns_other(self, batches):
    Trainer.train_epoch(self, batches)
    return {"time": 1.0}


def swallows(self, batches):
    try:
        return Trainer.train_epoch(self, batches)
    except ZeroDivisionError:
        return self.epoch_logs()


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        (all_first, RuntimeError, "made a step without a batch: the step of each batch must be made before"),
        (half, RuntimeError, r"must take all batches that it is given, but ended in step 3 of epoch 0: use"),
        (unrecorded, RuntimeError, r"did not record it: call `self.state.record\(results, batch.size\)`"),
        (returns_none, TypeError, "must return the means of the epoch .* got None"),
        (returns_other, TypeError, r"must return the means of the epoch .* got \{'time': 1.0\}"),
        (swallows, RuntimeError, "must take all batches that it is given, but ended in step 2 of epoch 0"),
    ],
)
def test_an_override_that_breaks_the_counting_is_told(override, error, message):
    class Wrong(Callback):
        def on_batch_end(self, step, logs):
            if override is swallows and step == 1:
                raise ZeroDivisionError

    trainer = make(type("Own", (Trainer,), {"train_epoch": override}))
    with pytest.raises(error, match=message):
        fit(trainer, callbacks=[Wrong()])
