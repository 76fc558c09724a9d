"""Weights of examples and classes, metrics of an epoch, validation splits, and steps by hand."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn import (
    SGD,
    Adam,
    AverageWeights,
    BatchNorm,
    Callback,
    Dense,
    EarlyStopping,
    ReLU,
    Sequential,
    Trainer,
)
from minicnn.losses import mean_squared_error, softmax_cross_entropy
from minicnn.metrics import macro_f1
from minicnn.training import Batch
from minicnn.training.splitting import split_validation
from minicnn.training.weighting import pack, unpack

RNG = np.random.default_rng(0)
X, Y, W = RNG.standard_normal((30, 4)), RNG.integers(0, 3, 30), RNG.uniform(0, 2, 30)


def net(*middle, dtype=np.float64):
    return Sequential([Dense(6), ReLU(), *middle, Dense(3)]).build((4,), rng=0, dtype=dtype)


def fit(model=None, optimizer=None, trainer=None, **options):
    model = model or net()
    trainer = trainer or Trainer(model, optimizer or SGD(0.1), threads=1)
    trainer.fit(X, Y, **{"epochs": 2, "batch_size": 8, "verbose": 0} | options)
    return trainer


def weights(trainer):
    return np.concatenate([value.ravel() for value in trainer.model.get_weights()])


# --- weights ----------------------------------------------------------------------------------------------


def test_a_weight_for_a_class_without_examples_is_told():
    with pytest.warns(UserWarning, match="has a weight for classes 3, 7, which have no examples"):
        fit(class_weight={0: 2.0, 3: 2.0, 7: 0.5})
    rare = np.where(Y == 2, 1, Y)
    with pytest.warns(UserWarning, match="for class 2, which has no examples"):
        Trainer(net(), SGD(0.1), threads=1).fit(X, np.eye(3)[rare], class_weight={2: 4.0}, verbose=0)


def test_an_integer_weight_is_as_many_copies_of_an_example():
    counts = np.array([0, 1, 2, 3] * 3)
    x, y = X[:12], Y[:12]
    one = Trainer(net(), SGD(0.1), threads=1)
    one.fit(x, y, batch_size=12, sample_weight=counts * (12 / counts.sum()), verbose=0)
    many = Trainer(net(), SGD(0.1), threads=1)
    many.fit(x.repeat(counts, axis=0), y.repeat(counts), batch_size=99, verbose=0)
    np.testing.assert_allclose(weights(one), weights(many), rtol=1e-12)
    for loss, labels in ((mean_squared_error, RNG.standard_normal((12, 4))), (softmax_cross_entropy, y)):
        value, gradient = loss(x, labels, sample_weight=counts)
        again, _ = loss(x.repeat(counts, axis=0), labels.repeat(counts, axis=0))
        assert value == pytest.approx(again * counts.sum() / 12)
        assert not gradient[counts == 0].any()


def test_what_has_no_weight_has_no_influence_even_if_it_is_not_finite():
    logits = np.array([[np.nan, 1.0], [0.0, 2.0]])
    expected, _ = softmax_cross_entropy(logits[1:], [1])
    value, gradient = softmax_cross_entropy(logits, [0, 1], sample_weight=[0, 1])
    assert value == expected / 2
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    "labels", [np.array([3, 1]), np.array([[0, 1], [1, 0]]), np.array([[0.5], [2.0]]), np.ones((2, 3, 2))]
)
def test_labels_and_weights_come_back_from_one_array(labels):
    found, sample_weight = unpack(pack(labels, np.array([0.25, 2.0])), labels.shape)
    np.testing.assert_array_equal(found, labels)
    assert (found.dtype.kind, sample_weight.tolist()) == (labels.dtype.kind, [0.25, 2.0])


def test_weights_reach_the_loss_of_the_user_and_the_validation():
    seen = []

    def loss(predictions, labels, sample_weight=None):
        seen.append(sample_weight)
        return softmax_cross_entropy(predictions, labels, sample_weight)

    trainer = Trainer(net(), SGD(0.0), loss, threads=1)
    history = trainer.fit(X, Y, 1, 30, sample_weight=W, validation_data=(X, Y, W), verbose=0).history
    assert history["loss"][0] == pytest.approx(history["val_loss"][0])
    assert trainer.evaluate(X, Y, sample_weight=W)["loss"] == pytest.approx(history["loss"][0])
    assert trainer.evaluate(X, Y)["loss"] != pytest.approx(history["loss"][0])
    assert any(given is not None and len(given) == 30 for given in seen)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sample_weight": W[:3]}, ValueError, r"`sample_weight` must have shape \(30,\), got \(3,\)"),
        ({"sample_weight": -W}, ValueError, "`sample_weight` must be finite and not negative"),
        ({"class_weight": [1, 2]}, TypeError, "`class_weight` must be a dict"),
        (
            {"class_weight": {"cat": 2.0}},
            TypeError,
            "the keys of `class_weight` must be class indices, got 'cat'",
        ),
        ({"class_weight": {0: -1}}, ValueError, "`class_weight` must be"),
        ({"class_weight": {0: 0, 1: 0.0, 2: 0}}, ValueError, "`class_weight` gives weight 0 to each example"),
        ({"sample_weight": np.zeros(30)}, ValueError, "`sample_weight` must have a weight above 0"),
        ({"accumulate_steps": 0}, ValueError, "`accumulate_steps` must be at least 1"),
        ({"validation_split": 1.0}, ValueError, "`validation_split` must be in"),
        ({"validation_split": 0.01}, ValueError, "`validation_split` must leave examples to train on"),
        ({"validation_split": 0.1, "validation_data": (X, Y)}, ValueError, "not both"),
    ],
)
def test_wrong_weights_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        fit(**options)


def test_weights_for_a_loss_of_two_arguments_are_a_type_error():
    def own(predictions, labels):
        return softmax_cross_entropy(predictions, labels)

    for options in ({"sample_weight": W}, {"class_weight": {0: 2.0}}):
        with pytest.raises(TypeError, match=r"need a loss f\(.*sample_weight=None\).*got own"):
            fit(trainer=Trainer(net(), SGD(0.1), own, threads=1), **options)


def test_losses_and_metrics_by_name():
    trainer = Trainer(net(), SGD(0.1), "softmax_cross_entropy", metrics=["accuracy", "macro_f1"], threads=1)
    assert trainer.loss is softmax_cross_entropy
    assert list(trainer.metrics) == ["accuracy", "macro_f1"]
    with pytest.raises(ValueError, match=r"no loss is called .*; did you mean 'softmax_cross_entropy'"):
        Trainer(net(), SGD(0.1), "softmax_crossentropy")
    with pytest.raises(ValueError, match="no metric is called 'f'"):
        Trainer(net(), SGD(0.1), metrics=["f"])
    with pytest.raises(ValueError, match="each metric needs a name of its own, got 'accuracy' twice"):
        Trainer(net(), SGD(0.1), metrics=["accuracy", "accuracy"])


def batches_of(epoch, weighted=True):
    order = np.random.default_rng([0, epoch]).permutation(30)
    rows = [order[i : i + 8] for i in range(0, 30, 8)]
    return [(X[own], Y[own], *([W[own]] if weighted else [])) for own in rows]


def test_a_function_of_the_epoch_may_give_weights():
    called = []

    def batches(epoch):
        called.append(epoch)
        return iter(batches_of(epoch))

    arrays = fit(sample_weight=W)
    given = Trainer(net(), SGD(0.1), threads=1)
    given.fit(batches, epochs=2, verbose=0)
    assert called == [0, 1]
    np.testing.assert_array_equal(weights(given), weights(arrays))
    assert given.history == arrays.history
    assert weights(fit()).tobytes() != weights(arrays).tobytes()
    mixed = [*batches_of(0, False), *batches_of(0)]
    with pytest.raises(ValueError, match="the first batch has no sample weights"):
        Trainer(net(), SGD(0.1), threads=1).fit(lambda epoch: mixed, verbose=0)
    with pytest.raises(TypeError, match=r"`x\(0\)` must return an iterable of batches \(x, y\), got int"):
        Trainer(net(), SGD(0.1), threads=1).fit(lambda epoch: 5, verbose=0)


def test_weighted_batches_of_a_function_resume_to_the_same_bits(tmp_path):
    def run(folder, *callbacks):
        trainer = Trainer(net(), Adam(0.01), threads=1)
        options = {"checkpoint": tmp_path / folder, "checkpoint_every": 1, "callbacks": callbacks}
        trainer.fit(batches_of, epochs=3, verbose=0, **options)
        return weights(trainer).tobytes()

    expected = run("whole")
    run("again", Interrupt(6))
    assert run("again") == expected


def test_lr_find_takes_the_weights_of_batches():
    trainer = Trainer(net(), SGD(0.1), threads=1)
    found = [trainer.lr_find(x, steps=4).losses for x in (batches_of, batches_of(0), batches_of(0, False))]
    assert found[0] == found[1]
    assert found[1] != found[2]


def test_lr_find_takes_weights_of_examples_and_classes():
    trainer = Trainer(net(), SGD(0.1), threads=1)
    joined = W * np.where(Y == 1, 3.0, 1.0)
    found = trainer.lr_find(X, Y, 30, steps=8, sample_weight=W, class_weight={1: 3.0}).losses
    np.testing.assert_allclose(found, trainer.lr_find([(X, Y, joined)], steps=8).losses, rtol=1e-10)
    loss, _ = softmax_cross_entropy(trainer.predict(X), Y, sample_weight=joined)
    assert found[0] == pytest.approx(loss, rel=1e-10)
    by_class = trainer.lr_find(X, Y, 30, steps=8, class_weight={1: 3.0}).losses
    assert by_class[0] != pytest.approx(loss, rel=1e-3)
    with pytest.raises(TypeError, match="need a loss f"):
        Trainer(net(), SGD(0.1), lambda p, y: softmax_cross_entropy(p, y), threads=1).lr_find(
            X, Y, sample_weight=W
        )


class Rows:
    """A source of examples."""

    def __init__(self):
        self.shape, self.y = X.shape, Y

    def __len__(self):
        return len(X)

    def batches(self, indices):
        return ((X[rows], Y[rows]) for rows in indices)

    def digest(self):
        return "rows"


@pytest.mark.parametrize("sample_weight", [None, W], ids=["unweighted", "weighted"])
def test_a_source_is_split_and_weighted_as_arrays_are(sample_weight):
    options = {"validation_split": 0.2, "class_weight": {1: 3.0}, "sample_weight": sample_weight}
    expected = fit(**options)
    trainer = Trainer(net(), SGD(0.1), threads=1)
    trainer.fit(Rows(), epochs=2, batch_size=8, verbose=0, **options)
    np.testing.assert_array_equal(weights(trainer), weights(expected))
    assert trainer.history.history == expected.history.history
    found = trainer.lr_find(Rows(), batch_size=8, steps=5, class_weight={1: 3.0})
    assert found == trainer.lr_find(X, Y, 8, steps=5, class_weight={1: 3.0})
    with pytest.raises(ValueError, match=r"needs arrays `x` and `y`; for batches, give `validation_data`"):
        trainer.fit([(X, Y, W)], validation_split=0.2)


def test_examples_of_a_source_have_weights_as_those_of_arrays(tmp_path):
    def run(folder, x, y, weights, *callbacks):
        trainer = Trainer(net(), Adam(0.01), threads=1)
        options = {"checkpoint": tmp_path / folder, "checkpoint_every": 1, "callbacks": callbacks}
        given = {"sample_weight": weights, "class_weight": {1: 3.0}, "accumulate_steps": 2, "verbose": 0}
        trainer.fit(x, y, epochs=3, batch_size=4, **given, **options)
        return trainer.model.get_weights(), trainer.history.history

    weights, history = run("arrays", X, Y, W)
    run("again", Rows(), None, W, Interrupt(6))
    found, same = run("again", Rows(), None, W)
    assert all(map(np.array_equal, found, weights))
    assert same == history
    with pytest.warns(UserWarning, match="not be bit-identical, because data changed"):
        Trainer(net(), Adam(0.01), threads=1).fit(
            *(Rows(), None, 4, 4),
            sample_weight=W[::-1],
            class_weight={1: 3.0},
            accumulate_steps=2,
            verbose=0,
            checkpoint=tmp_path / "again",
        )
    for wrong, message in ((W[:3], r"must have shape \(30,\)"), (0 * W, "must have a weight above 0")):
        with pytest.raises(ValueError, match=message):
            Trainer(net(), Adam(0.01)).fit(Rows(), sample_weight=wrong)


# --- metrics ----------------------------------------------------------------------------------------------


def test_a_metric_that_is_no_mean_is_computed_from_the_whole_epoch():
    trainer = Trainer(net(), SGD(0.0), metrics={"f1": macro_f1, "n": lambda p, y: len(y)}, threads=1)
    history = trainer.fit(X, Y, 1, 7, verbose=0).history
    assert history["f1"][0] == pytest.approx(macro_f1(trainer.predict(X), Y), rel=1e-12)
    assert history["n"] == [30.0]


def test_early_stopping_maximizes_what_says_that_higher_is_better():
    def score(predictions, labels):
        return [0.2, 0.8, 0.4][trainer.epoch]

    score.higher_is_better = True
    stopping, model = EarlyStopping("score", patience=9), net()
    trainer = Trainer(model, SGD(0.1), metrics={"score": score}, threads=1)
    trainer.fit(X, Y, 3, callbacks=[stopping], verbose=0)
    assert -stopping.best == 0.8


def test_metrics_that_are_assigned_are_those_that_callbacks_see():
    def score(predictions, labels):
        return 0.5

    score.higher_is_better = True
    stopping, trainer = EarlyStopping("score", patience=9), Trainer(net(), SGD(0.1), threads=1)
    trainer.metrics = {"score": score}
    assert trainer.fit(X, Y, 1, callbacks=[stopping], verbose=0).history.keys() == {"loss", "score"}
    assert -stopping.best == 0.5


class Interrupt(Callback):
    def __init__(self, step):
        self.at = step

    def on_batch_end(self, step, logs):
        if self.state.optimizer.steps == self.at:
            self.state.interrupted = True


@pytest.mark.parametrize("step", [2, 5])
def test_an_interrupted_fit_with_all_of_it_ends_with_the_same_bits(tmp_path, step):
    def run(folder, *callbacks):
        model = net(BatchNorm())
        model[0].trainable = False
        optimizer = Adam(0.01, weight_decay=0.1).set_group("*.bias", weight_decay=0.0, lr_scale=2.0)
        loss = functools.partial(softmax_cross_entropy, label_smoothing=0.1)
        trainer = Trainer(model, optimizer, loss, metrics=["accuracy", "macro_f1"], threads=1)
        options = {
            "sample_weight": W,
            "class_weight": {1: 3.0},
            "accumulate_steps": 2,
        }
        history = trainer.fit(
            *(X, Y, 3, 4),
            callbacks=[AverageWeights(0.9), *callbacks],
            checkpoint=folder,
            checkpoint_every=1,
            validation_split=0.2,
            verbose=0,
            **options,
        )
        return weights(trainer).tobytes(), history

    whole, interrupted = tmp_path / "whole", tmp_path / "interrupted"
    expected = run(whole)
    run(interrupted, Interrupt(step))
    assert run(interrupted) == expected


# --- validation_split -------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 3), min_size=2, max_size=60), st.floats(0.05, 0.9), st.integers(0, 9))
def test_a_split_has_its_part_of_each_class(labels, fraction, seed):
    labels = np.array(labels)
    count = int(np.floor(len(labels) * fraction + 0.5))
    if count in (0, len(labels)):
        return
    rows, others = split_validation(labels, fraction, seed)
    assert sorted([*rows, *others]) == list(range(len(labels)))
    assert len(others) == count
    for label in range(4):
        assert abs((labels[others] == label).sum() - fraction * (labels == label).sum()) <= 1


def test_the_split_is_drawn_by_the_seed_and_not_trained_on():
    rows, others = split_validation(Y, 0.2, seed=0)
    assert not np.array_equal(others, split_validation(Y, 0.2, seed=1)[1])
    split = fit(validation_split=0.2)
    by_hand = Trainer(net(), SGD(0.1), threads=1)
    history = by_hand.fit(X[rows], Y[rows], 2, 8, validation_data=(X[others], Y[others]), verbose=0).history
    np.testing.assert_array_equal(weights(split), weights(by_hand))
    assert split.history.history == history


# --- groups, accumulation, steps --------------------------------------------------------------------------


def test_groups_need_names_that_exist():
    with pytest.raises(ValueError, match=r"no parameter matches '\*.biass'; there are layers.0"):
        fit(optimizer=SGD(0.1).set_group("*.biass", lr_scale=0))
    model = net()
    with pytest.raises(TypeError, match=r"pass model.named_parameters\(\), not parameters\(\)"):
        SGD(0.1).set_group("*.bias", lr_scale=0).step(model.parameters())
    before = model.get_weights()
    fit(model, SGD(0.1).set_group("layers.0.*", lr_scale=0))
    assert [np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)] == [True] * 2 + [
        False
    ] * 2


@given(st.integers(1, 4), st.integers(3, 9))
def test_accumulated_batches_are_one_large_batch(steps, size):
    parts, whole = fit(accumulate_steps=steps, batch_size=size), fit(batch_size=steps * size)
    np.testing.assert_allclose(weights(parts), weights(whole), rtol=1e-10)
    assert parts.optimizer.steps == whole.optimizer.steps
    assert parts.history.history["loss"] == pytest.approx(whole.history.history["loss"])


def test_steps_by_hand_are_those_of_fit():
    trainer, batches = Trainer(net(), SGD(0.1), threads=1), [(X[:20], Y[:20]), (X[20:], Y[20:])]
    with trainer.session():
        for x, y in batches * 2:
            trainer.train_step(Batch.of(x, y))
    other = Trainer(net(), SGD(0.1), threads=1)
    other.fit(batches, epochs=2, verbose=0)
    np.testing.assert_array_equal(weights(trainer), weights(other))
    with pytest.raises(RuntimeError, match=r"only during `fit` or inside .*trainer.session"):
        trainer.compute(Batch.of(X, Y))


def test_a_second_optimizer_may_have_groups():
    class Second(Trainer):
        def train_step(self, batch):
            results = self.compute(batch)
            self.apply_gradients(second)
            return results

    second = SGD(0.1).set_group("*", lr_scale=2.0)
    trainer, other = Second(net(), SGD(0.3), threads=1), Trainer(net(), SGD(0.2), threads=1)
    for each in (trainer, other):
        each.fit(X, Y, 1, 8, verbose=0)
    assert weights(trainer).tobytes() == weights(other).tobytes()


def test_a_step_of_ones_own_with_two_optimizers_resumes_to_the_same_bits(tmp_path):
    class TwoRates(Trainer):
        def train_step(self, batch):
            results = self.compute(batch)
            parameters = [parameter for _, parameter in self.named_parameters()]
            SGD(0.5).step(parameters[:2])
            self.apply_gradients()
            return results

    def run(folder, *callbacks):
        trainer = TwoRates(net(), Adam(0.01), threads=1)
        trainer.fit(X, Y, 2, 8, callbacks=callbacks, checkpoint=folder, checkpoint_every=1, verbose=0)
        return weights(trainer).tobytes()

    expected = run(tmp_path / "whole")
    run(tmp_path / "a", Interrupt(3))
    assert run(tmp_path / "a") == expected
    assert expected != weights(fit(optimizer=Adam(0.01))).tobytes()


@pytest.mark.parametrize("arguments", [{"pattern": 3, "lr_scale": 1.0}, {"pattern": "*.bias"}])
def test_a_group_without_effect_is_refused(arguments):
    with pytest.raises(TypeError, match="a group needs a pattern of names and a setting, got "):
        SGD(0.1).set_group(**arguments)


def test_a_group_of_running_averages_is_refused():
    with pytest.raises(ValueError, match=r"no parameter matches '\*.running_mean'; there are .*gamma"):
        fit(net(BatchNorm()), SGD(0.1).set_group("*.running_mean", lr_scale=0.0))


def test_a_group_that_is_set_between_two_fits_counts_from_then_on():
    trainer = fit()
    trainer.optimizer.set_group("*.bias", lr_scale=0.0)
    before = [p.value.copy() for p in trainer.model.parameters()]
    fit(trainer=trainer)
    same = [np.array_equal(a, p.value) for a, p in zip(before, trainer.model.parameters(), strict=True)]
    assert same == [False, True, False, True]


def test_class_weights_need_classes():
    with pytest.raises(ValueError, match="class indices or one-hot rows, got rows that are no probabilities"):
        Trainer(net(), SGD(0.1), mean_squared_error).fit(X, X[:, :3], class_weight={0: 2.0})


def test_a_metric_is_told_what_is_wrong_with_it():
    with pytest.raises(TypeError, match="the metric 'ce' must return a number, got a tuple"):
        Trainer(net(), SGD(0.1), metrics={"ce": softmax_cross_entropy}).fit(X, Y, verbose=0)
    with pytest.raises(TypeError, match="for a function without a name, give `metrics` as a dict"):
        Trainer(net(), SGD(0.1), metrics=[functools.partial(macro_f1)])


def test_two_callbacks_that_set_the_weights_at_the_end_are_told():
    stopping, average = EarlyStopping("loss", patience=5), AverageWeights(0.5)
    with pytest.warns(UserWarning, match="those of AverageWeights, the last, remain; `EarlyStopping"):
        fit(callbacks=[stopping, average])
    fit(callbacks=[EarlyStopping("loss", patience=5, restore_best=False), average])
