import functools
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import minicnn
from minicnn import (
    SGD,
    Adam,
    BatchNorm,
    Callback,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    ReLU,
    Sequential,
)
from minicnn.losses import softmax_cross_entropy
from minicnn.optimizers import _memory

# Fits of toy data end before a worker process has started: these do without.
Trainer = functools.partial(minicnn.Trainer, workers="threads")

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 200, (64, 6, 6, 1)).astype(np.uint8), RNG.integers(0, 3, 64)


def net(*layers):
    return Sequential([Conv2D(3, 3), ReLU(), Flatten(), *layers, Dense(3)]).build((6, 6, 1), rng=0)


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


class During(Callback):
    """Does something in the middle of a fit."""

    def __init__(self, action):
        self.action = action

    def on_batch_end(self, step, logs):
        if step == 1:
            self.action()


def test_a_model_is_not_trained_from_two_threads():
    model, alone = net(), net()
    outer = Sequential([model]).build((6, 6, 1))
    model.set_weights(alone.get_weights())  # that build has made them anew
    refused = []

    def in_another_thread(other):
        def attempt():
            try:
                other.fit(X, Y)
            except RuntimeError as error:
                refused.append(str(error))

        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()

    trainer = Trainer(model, SGD(0.1), threads=1)
    others = [trainer, Trainer(model, SGD(0.1)), Trainer(outer, SGD(0.1))]
    history = trainer.fit(X, Y, callbacks=[During(lambda: [in_another_thread(other) for other in others])])
    assert len(refused) == 3
    assert set(refused) == {"the model is already being trained by another fit, perhaps in another thread"}
    assert history == Trainer(alone, SGD(0.1), threads=1).fit(X, Y)
    assert equal(model, alone)
    others[1].fit(X, Y)  # the first fit is over
    assert not model.training


def test_models_of_their_own_are_trained_in_two_threads():
    models = [net(), net(), net()]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda model: Trainer(model, SGD(0.1), threads=1).fit(X, Y, epochs=3), models))
    assert equal(models[0], models[1])
    assert equal(models[0], models[2])


def test_an_optimizer_trains_one_model_only():
    first, second, optimizer = net(), net(), Adam()
    Trainer(first, optimizer).fit(X, Y, batch_size=32)
    Trainer(first, optimizer).fit(X, Y, batch_size=32)
    before = second.get_weights()
    with pytest.raises(
        ValueError, match=r"this optimizer already holds state for another model, .*\(4 steps\); make a new"
    ):
        Trainer(second, optimizer).fit(X, Y)
    assert all(np.array_equal(a, b) for a, b in zip(before, second.get_weights(), strict=True))
    assert not second.training
    first.layers[-1] = type(first[-1])(first[-1].units)
    first.build(first.input_shape, rng=1)
    with pytest.raises(ValueError, match="or for this one before it was built again"):
        Trainer(first, optimizer).fit(X, Y)
    del first
    with pytest.raises(ValueError, match="already holds state for another model"):
        Trainer(second, optimizer).fit(X, Y)


class Fails(Layer):
    """Fails in one of the shards, in training, forwards or backwards."""

    def __init__(self, error, where):
        self.error, self.where, self.armed = error, where, True

    def forward(self, x):
        if self.training and self.where == "forward":
            self.fail()
        self.cache = x.shape
        return x.copy()

    def backward(self, dy):
        if self.where == "backward":
            self.fail()
        return dy.copy()

    def fail(self):
        if self.armed and threading.current_thread() is not threading.main_thread():
            raise self.error


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("error", [MemoryError("no room"), ZeroDivisionError("a mistake")])
def test_an_error_in_a_worker_is_raised_and_nothing_is_half_updated(error, where):
    model = net(Fails(error, where))
    trainer, before = Trainer(model, Adam(), threads=2), model.get_weights()
    with pytest.raises(type(error), match=str(error)):
        trainer.fit(X, Y)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert trainer.optimizer.steps == 0
    for replica in trainer._data_parallel.models:
        replica[3].armed = False
    whole = net(Fails(error, ""))
    assert trainer.fit(X, Y) == Trainer(whole, Adam(), threads=2).fit(X, Y)
    assert equal(model, whole)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("parts", [1, 2])
def test_an_error_after_forward_takes_back_the_batch_statistics(parts, threads):
    """Also those of the parts of a step before the one that fails."""
    model, calls = net(BatchNorm()), []

    def fails(predictions, labels):
        calls.append(predictions)
        if len(calls) > (parts - 1) * threads:
            raise MemoryError("no room")
        return softmax_cross_entropy(predictions, labels)

    trainer = Trainer(model, Adam(), fails, threads=threads, workers="threads")
    with pytest.raises(MemoryError):
        trainer.fit(X, Y, accumulate_steps=parts)
    assert equal(model, net(BatchNorm()))


def test_an_error_in_a_metric_leaves_the_step_unmade():
    model = net(BatchNorm())

    def fails(predictions, labels):
        raise KeyError("metric")

    fails.mean_over_examples = True
    trainer = Trainer(model, Adam(), metrics={"bad": fails})
    with pytest.raises(KeyError, match="metric"):
        trainer.fit(X, Y)
    assert trainer.optimizer.steps == 0
    assert equal(model, net(BatchNorm()))


def test_too_little_memory_for_the_optimizers_state_can_be_tried_again(monkeypatch):
    model, whole, optimizer = net(), net(), Adam()

    def full(*_):
        raise MemoryError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(_memory, "aligned_zeros", full)
        with pytest.raises(MemoryError, match="no room"):
            Trainer(model, optimizer).fit(X, Y)
    Trainer(model, optimizer, threads=1).fit(X, Y)
    Trainer(whole, Adam(), threads=1).fit(X, Y)
    assert equal(model, whole)


def test_an_error_in_a_callback_leaves_whole_steps_and_a_model_that_can_be_used():
    class Stops(Callback):
        def on_batch_end(self, step, logs):
            if step == 1:
                raise ZeroDivisionError("in a callback")

    model, whole = net(), net()
    trainer = Trainer(model, SGD(0.1), threads=2)
    with pytest.raises(ZeroDivisionError, match="in a callback"):
        trainer.fit(X, Y, callbacks=[Stops()])
    Trainer(whole, SGD(0.1), threads=2).fit(X, Y)
    assert equal(model, whole)  # there are two steps in the epoch
    assert not model.training
    trainer.fit(X, Y)


class KeepsTemporaries(Layer):
    """As users write them: what forward computes on the way goes into attributes."""

    def forward(self, x):
        self.centred = x - x.mean(axis=1, keepdims=True)
        self.std = np.sqrt((self.centred**2).mean(axis=1, keepdims=True) + 1e-5)
        return self.centred / self.std

    def backward(self, dy):
        raise NotImplementedError


def count_wrong(calls):
    """Predict in four threads at once; return how often the result was wrong."""
    layers = [Conv2D(4, 3, strides=2), ReLU(), Flatten(), KeepsTemporaries(), Dropout(0.5), Dense(3)]
    model = Sequential(layers).build((28, 28, 1), rng=0)
    trainer = Trainer(model, SGD())
    images = np.random.default_rng(0).integers(0, 256, (8, 20, 28, 28, 1)).astype(np.uint8)
    expected = [model.predict(part) for part in images]

    def wrong(i):
        predict = trainer.predict if i % 4 == 0 else model.predict
        return not np.allclose(predict(images[i % 8], batch_size=10), expected[i % 8], rtol=1e-4, atol=1e-5)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # Python is to change threads as often as it can
    try:
        with ThreadPoolExecutor(4) as pool:
            return sum(pool.map(wrong, range(calls)))
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize(
    "calls", [150, pytest.param(400, marks=pytest.mark.ci), pytest.param(10_000, marks=pytest.mark.campaign)]
)
def test_predict_is_right_in_four_threads_at_once(calls):
    assert count_wrong(calls) == 0
