"""Layers and losses that need the whole batch: those that do not ask for it are refused."""

import contextlib
import functools

import numpy as np
import pytest
from together import Center

from minicnn import (
    SGD,
    BatchNorm,
    Dense,
    Dropout,
    Flatten,
    Layer,
    Parameter,
    Residual,
    Sequential,
    Trainer,
    sum_over_batch,
)
from minicnn.losses import mean_squared_error, softmax_cross_entropy
from minicnn.parallel.whole_batch import asks_for_sums
from minicnn.testing import LayerCheckError, check_layer

RNG = np.random.default_rng(0)
X, Y = RNG.random((23, 6, 6, 1), np.float32), np.arange(23) % 3


class Mixes(Layer):
    """Subtracts the mean of the shard."""

    def forward(self, x):
        return x - x.mean(axis=0) if self.training else x.copy()

    def backward(self, dy):
        return dy - dy.mean(axis=0)


class HalfCentered(Center):
    """Asks for the sum, and divides it by the number of its own examples."""

    def forward(self, x):
        self.cache = len(x)
        return x - self.sum_over_batch(x.sum(axis=0)) / len(x) if self.training else x.copy()


class OwnCount(Center):
    """Counts the examples of its shard only."""

    def init_params(self, input_shape, rng):
        self.count = Parameter(np.zeros(1), trainable=False)

    def forward(self, x):
        if self.training:
            self.count.value = self.count.value + len(x)
        return super().forward(x)


class WholeBatch(Mixes):
    """Needs the whole batch, says so, and does not ask."""

    batch_dependent = True


class Draws(Layer):
    """Is random in its own way."""

    def __init__(self):
        self.random = np.random.RandomState(0)

    def forward(self, x):
        return x + self.random.random_sample(x.shape).astype(x.dtype) if self.training else x.copy()

    def backward(self, dy):
        return dy.copy()


def fit(*middle, loss=softmax_cross_entropy, threads=2, y=Y, **options):
    model = Sequential([Flatten(), *middle, Dense(3)]).build((6, 6, 1), rng=0)
    trainer = Trainer(model, SGD(0.1), loss, threads=threads, workers="threads", seed=0, **options)
    return trainer, trainer.fit(X, y, batch_size=len(X), verbose=0)


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (Mixes(), r"layers\.1 \(Mixes\)"),
        (Residual([Dense(36), Mixes()]), r"layers\.1\.layers\.1 \(Mixes\)"),
        (HalfCentered(), r"layers\.1 \(HalfCentered\)"),
        (OwnCount(), r"layers\.1 \(OwnCount\)"),
    ],
    ids=["mixes", "nested", "half", "statistics"],
)
def test_a_layer_that_depends_on_the_shards_is_named(layer, name):
    with pytest.raises(
        ValueError, match=f"the results of {name} for the first batch .*`minicnn.sum_over_batch`"
    ):
        fit(layer)
    fit(layer, threads=1)


@pytest.mark.parametrize("layer", [Center, Draws, functools.partial(Dropout, 0.5)])
def test_other_layers_are_not_refused(layer):
    fit(layer())
    fit(Mixes(), Dropout(0.5))  # the other kind of mistake: a random net hides it


def test_running_averages_around_zero_may_be_rounded_otherwise():
    trainer, history = fit(Center(), BatchNorm())
    assert np.max(np.abs(trainer.model[2].running_mean.value)) < 1e-6
    other = fit(Center(), BatchNorm(), threads=1)[1]
    assert history.history["loss"] == pytest.approx(other.history["loss"], rel=1e-5)


def test_running_statistics_of_a_shard_are_noticed_in_a_random_net():
    with pytest.raises(
        ValueError, match=r"the shards of a batch changed weights in forward .*in different ways"
    ):
        fit(OwnCount(), Dropout(0.5))  # 12 and 11 examples


def test_a_layer_that_needs_the_whole_batch_without_asking_gets_it():
    trainer, history = fit(WholeBatch(), threads=None)
    assert len(trainer._data_parallel.models) == 1
    assert history == fit(WholeBatch(), threads=1)[1]
    with pytest.raises(ValueError, match=r"a model with WholeBatch that needs whole batches .*threads=2"):
        fit(WholeBatch())


def total(predictions, labels):
    """A sum instead of a mean."""
    loss, dpredictions = softmax_cross_entropy(predictions, labels)
    return loss * len(labels), dpredictions * np.float32(len(labels))


def right_value(predictions, labels):
    """A mean, with the derivative of another function."""
    loss, dpredictions = softmax_cross_entropy(predictions, labels)
    return loss, dpredictions / np.abs(dpredictions).max()


@pytest.mark.parametrize("loss", [total, right_value, functools.partial(total)])
def test_a_loss_that_depends_on_the_shards_is_refused(loss):
    with pytest.raises(
        ValueError, match=r"the loss of the first batch is .* in 2 shards: a loss must be a mean"
    ):
        fit(loss=loss)
    warned = pytest.warns(UserWarning, match="24 times the derivative of its value, so the learning rate is")
    with warned if loss is right_value else contextlib.nullcontext():
        fit(loss=loss, threads=1)


def test_a_loss_that_declares_it_is_computed_in_one_shard():
    def declared(predictions, labels):
        return total(predictions, labels)

    declared.batch_dependent = True
    trainer, history = fit(loss=declared)
    assert len(trainer._data_parallel.models) == 1
    assert history == fit(loss=total, threads=1)[1]


def test_a_random_loss_and_one_that_remembers_are_not_refused():
    rng = np.random.default_rng(0)

    def noisy(predictions, labels):
        loss, dpredictions = softmax_cross_entropy(predictions, labels)
        return loss * (1 + rng.random()), dpredictions

    class Remembers:
        calls = 0

        def __call__(self, predictions, labels):
            self.calls += 1
            loss, dpredictions = softmax_cross_entropy(predictions, labels)
            return loss * self.calls, dpredictions

    fit(loss=noisy)
    remembers = Remembers()
    fit(loss=remembers)
    assert remembers.calls == 2  # the calls of the comparison are those of a copy


def helper(values):
    return sum_over_batch(values)


def by_helper(predictions, labels):
    return helper(predictions), predictions


class Called:
    def __call__(self, predictions, labels):
        return sum_over_batch(predictions), predictions

    def method(self, predictions, labels):
        return predictions, predictions


@pytest.mark.parametrize(
    ("part", "asks"),
    [
        (Center(), True),
        (HalfCentered(), True),
        (Mixes(), False),
        (Sequential([Dense(2), Residual([Center()])]), True),
        (Dense(2), False),
        (by_helper, True),
        (functools.partial(functools.partial(by_helper)), True),
        (Called(), True),
        (Called().method, True),  # its object asks elsewhere: no harm
        (mean_squared_error, False),
        (lambda p, labels: (sum_over_batch(p), p), True),
        (np.sum, False),
    ],
)
def test_the_code_that_asks_is_found(part, asks):
    assert asks_for_sums(part) == asks


def test_check_layer_finds_sums_over_the_shard():
    check_layer(Center(), (4,), only=["examples"])
    check_layer(WholeBatch(), (4,), only=["examples"])  # is trained on whole batches
    for layer in (HalfCentered(), OwnCount()):
        with pytest.raises(LayerCheckError, match=r"examples: .*in(terleaved)? shards[^~]*sum_over_batch"):
            check_layer(layer, (4,), only=["examples"])
