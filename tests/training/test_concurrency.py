"""A fit beside other threads: what they get is what one after the other would give, or a sentence."""

import copy
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minicnn import (
    SGD,
    Adam,
    BatchNorm,
    Callback,
    Conv2D,
    CSVLogger,
    Dense,
    Dropout,
    Flatten,
    Layer,
    ReLU,
    Sequential,
    Trainer,
    load_weights,
    save_weights,
)
from minicnn.insight import Trace, occlusion
from minicnn.losses import softmax_cross_entropy

RNG = np.random.default_rng(0)
X, Y = RNG.random((64, 6, 6, 1), np.float32), RNG.integers(0, 3, 64)


def net():
    layers = [Conv2D(3, 3), BatchNorm(), ReLU(), Flatten(), Dropout(0.5), Dense(3)]
    return Sequential(layers).build((6, 6, 1), rng=0)


class Gate:
    """A loss that stops in its second call until it is opened."""

    def __init__(self):
        self.calls, self.reached, self.opened = 0, threading.Event(), threading.Event()

    def __call__(self, predictions, labels):
        self.calls += 1
        if self.calls == 2:
            self.reached.set()
            assert self.opened.wait(30)
        return softmax_cross_entropy(predictions, labels)


class Record(Callback):
    """Keeps the weights before the first step and after each."""

    def on_train_begin(self):
        self.weights = [self.state.model.get_weights()]

    def on_batch_end(self, step, logs):
        self.weights.append(self.state.model.get_weights())


def during_a_step(action):
    """Return what `action` gave in another thread during the second step of a fit, and all its weights."""
    model, gate, record = net(), Gate(), Record()
    with ThreadPoolExecutor(2) as pool:
        trainer = Trainer(model, SGD(0.1), gate, threads=1)
        fit = pool.submit(trainer.fit, X, Y, 1, 16, callbacks=[record], verbose=0)
        assert gate.reached.wait(30)
        result = pool.submit(action, model, trainer)
        while not (result.done() or waits_for_the_step(model)):
            pass
        gate.opened.set()
        fit.result(30)
        return result.result(30), record.weights


def waits_for_the_step(model):
    from minicnn.safeguards import claims

    return bool(claims._claims[id(model)]._queue)


def with_weights(weights):
    twin = net()
    twin.set_weights(weights)
    return twin


def flat(model):
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


def saved(model, trainer, path):
    save_weights(model, path)
    twin = net()
    load_weights(twin, path)
    return twin.get_weights()


@pytest.mark.parametrize(
    "read",
    [
        lambda model, _: model.predict(X),
        lambda model, _: model[0].predict(X),
        lambda model, _: model.replica().predict(X),
        # One thread: for others, the trainer pickles the model, and predicts after a later step.
        lambda model, trainer: Trainer(model, SGD(), metrics={}, threads=1).predict(X, 16),
        lambda model, _: list(Trainer(model, SGD(), metrics={}, threads=1).evaluate(X, Y).values()),
        lambda model, _: np.concatenate([w.ravel() for w in model.get_weights()]),
        lambda model, _: Trace(model, X).outputs[-1],
        lambda model, _: occlusion(model, X[0], 1, size=3),
        lambda model, _: flat(copy.deepcopy(model)),
        lambda model, _: flat(copy.deepcopy([model])[0]),
        lambda model, _: flat(pickle.loads(pickle.dumps(model))),
        lambda model, _: flat(pickle.loads(pickle.dumps(model[1]))),
    ],
)
def test_what_is_read_during_a_step_is_of_the_weights_after_it(read):
    got, weights = during_a_step(read)
    np.testing.assert_array_equal(got, read(with_weights(weights[2]), None))


def test_weights_saved_during_a_step_are_those_after_it(tmp_path):
    got, weights = during_a_step(lambda model, trainer: saved(model, trainer, tmp_path / "w.safetensors"))
    for value, expected in zip(got, weights[2], strict=True):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model(X),
        lambda model: model[1](X[:, :4, :4]),
        lambda model: model.eval(),
        lambda model: model[4].train(),
        lambda model: model.set_weights(net().get_weights()),
        lambda model: model[0].set_weights(net()[0].get_weights()),
        lambda model: model.build((6, 6, 1)),
        lambda model: model.zero_grad(),
        lambda model: setattr(model[0], "trainable", False),
    ],
)
def test_what_would_change_the_model_of_a_fit_is_refused_in_other_threads(change):
    def attempt(model, trainer):
        with pytest.raises(RuntimeError, match="is being trained in another thread: meanwhile call predict"):
            change(model)

    _, weights = during_a_step(attempt)
    _, alone = during_a_step(lambda model, trainer: None)
    for value, expected in zip(weights[-1], alone[-1], strict=True):
        np.testing.assert_array_equal(value, expected)


def test_a_step_by_hand_with_the_optimizer_of_a_fit_is_refused():
    def attempt(model, trainer):
        with pytest.raises(RuntimeError, match="is being trained in another thread"):
            trainer.optimizer.step(model.parameters())

    _, weights = during_a_step(attempt)
    _, alone = during_a_step(lambda model, trainer: None)
    np.testing.assert_array_equal(weights[-1][0], alone[-1][0])


class Stops(Layer):
    """Stops in a prediction until it is opened."""

    def __init__(self):
        self.gates = None

    def forward(self, x):
        if self.gates and not self.training:
            self.gates[0].set()
            assert self.gates[1].wait(30)
        return x * 1

    def backward(self, dy):
        return dy * 1

    def __getstate__(self):
        return super().__getstate__() | {"gates": None}


def test_a_fit_waits_for_predictions_that_began_before_it():
    model = Sequential([Stops(), *net()]).build((6, 6, 1), rng=0)
    before = model.get_weights()
    right = model.predict(X)
    model[0].gates = reached, opened = threading.Event(), threading.Event()
    losses = []

    def loss(predictions, labels):
        losses.append(opened.is_set())
        return softmax_cross_entropy(predictions, labels)

    with ThreadPoolExecutor(2) as pool:
        prediction = pool.submit(model.predict, X, 16)
        assert reached.wait(30)
        fit = pool.submit(Trainer(model, SGD(0.1), loss, threads=1).fit, X, Y, 1, 16, verbose=0)
        assert not fit.done()
        threading.Timer(0.05, opened.set).start()
        fit.result(30)
    np.testing.assert_array_equal(prediction.result(), right)
    assert len(losses) >= 4  # and those that look at the loss in the first batch
    assert all(losses)
    assert not np.array_equal(before[0], model.get_weights()[0])


def test_predictions_of_several_threads_beside_a_fit_are_of_its_states():
    model, record, done = net(), Record(), threading.Event()

    def predict():
        found = []
        while not done.is_set():
            found.append(model.predict(X, 16))
        return found

    trainer = Trainer(model, Adam(), workers="threads")
    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(predict) for _ in range(2)]
        history = trainer.fit(X, Y, 4, 16, callbacks=[record], validation_data=(X, Y), verbose=0)
        done.set()
        found = [prediction for reader in readers for prediction in reader.result()]
    twin, alone, possible = net(), net(), set()
    for weights in record.weights:
        twin.set_weights(weights)
        possible.add(twin.predict(X, 16).tobytes())
    assert {prediction.tobytes() for prediction in found} <= possible
    expected = Trainer(alone, Adam(), workers="threads").fit(X, Y, 4, 16, validation_data=(X, Y), verbose=0)
    assert history == expected


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda model, hook, opt: Trainer(net(), opt).fit(X, Y), "the SGD object is already in use"),
        (
            lambda model, hook, opt: Trainer(net(), SGD()).fit(X, Y, callbacks=[hook]),
            "the CSVLogger object is already in use",
        ),
        (lambda model, hook, opt: Trainer(model[0], SGD()).fit(X, Y), "already being trained"),
        (
            lambda model, hook, opt: Trainer(model.replica(), SGD()).fit(X, Y),
            "shares weights with one that is being trained",
        ),
    ],
)
def test_two_fits_at_once_share_nothing(tmp_path, attempt, message):
    """Also before the first step, when the optimizer has no state yet."""
    model, optimizer, hook = net(), SGD(0.1), CSVLogger(tmp_path / "log.csv")

    class Attempt(Callback):
        error = None

        def on_train_begin(self):
            with ThreadPoolExecutor(1) as pool:
                self.error = pool.submit(attempt, model, hook, optimizer).exception(30)

    during = Attempt()
    Trainer(model, optimizer, workers="threads").fit(X, Y, callbacks=[hook, during], verbose=0)
    assert isinstance(during.error, RuntimeError)
    assert message in str(during.error)
    alone = net()
    Trainer(alone, SGD(0.1), workers="threads").fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.predict(X), alone.predict(X))


FORKS = """
import os, threading, time, warnings
import numpy as np
from minicnn import SGD, Dense, Trainer

warnings.simplefilter("ignore")
x, y = np.ones((32, 3), np.float32), np.zeros(32, int)
shared, done = Dense(2).build((3,), rng=0), threading.Event()
trainer = Trainer(shared, SGD(0.1), threads=2)
def fits():
    while not done.is_set():
        trainer.fit(x, y, 1, 8, verbose=0)
thread = threading.Thread(target=fits)
thread.start()
codes = []
for i in range(5):
    time.sleep(0.003 * i)
    child = os.fork()
    if child == 0:
        own = Dense(2).build((3,), rng=0)
        for model in (own, shared):
            model.predict(x)
            Trainer(model, SGD(0.1), threads=2).fit(x, y, 1, 8, verbose=0)
        os._exit(7)
    codes.append(os.waitpid(child, 0)[1])
done.set()
thread.join()
print(codes == [7 << 8] * 5)
"""


# A callback forks in the middle of a fit, with a worker that runs: both processes finish the fit.
FORKS_IN_A_FIT = """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import numpy as np
from minicnn import Adam, BatchNorm, Callback, Dense, ReLU, Sequential, Trainer

class Fork(Callback):
    child = None
    def on_batch_end(self, step, logs):
        if self.state.epoch == 1 and self.child is None:
            self.child = os.fork()

def weights(threads, callbacks=()):
    rng = np.random.default_rng(0)
    x, y = rng.random((64, 4000), np.float32), rng.integers(0, 3, 64)
    model = Sequential([Dense(8), BatchNorm(), ReLU(), Dense(3)]).build((4000,), rng=0)
    trainer = Trainer(model, Adam(), threads=threads, workers=sys.argv[1], callbacks=list(callbacks))
    trainer.fit(x, y, 4, 32, verbose=0)
    return b"".join(value.tobytes() for value in model.get_weights())

if __name__ == "__main__":
    expected, fork = weights(2), Fork()
    same = weights(2, [fork]) == expected
    if fork.child == 0:
        os._exit(7 if same else 1)
    print(same, os.waitpid(fork.child, 0)[1] == 7 << 8)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("workers", ["processes", "threads"])
def test_a_fork_of_a_fit_continues_it_with_threads_of_its_own(tmp_path, workers):
    path = tmp_path / "forks.py"
    path.write_text(FORKS_IN_A_FIT)
    process = subprocess.run([sys.executable, path, workers], capture_output=True, text=True, timeout=60)
    assert (process.stdout, process.stderr) == ("True True\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_process_forked_while_a_fit_starts_can_predict_and_fit():
    command = [sys.executable, "-c", FORKS]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (process.stdout, process.stderr) == ("True\n", "")
