import time

import numpy as np
import pytest

from minicnn import SGD, Trainer
from minicnn.demo import Session
from minicnn.demo.learners import Learners
from minicnn.demo.learning import Learning
from minicnn.demo.settings import Settings
from minicnn.layers import Conv2D, Dense, Flatten, ReLU, Sequential
from minicnn.runs import TrainConfig

SETTINGS = Settings(lr=0.1, batch_size=16, seed=5)


def make_model(seed):
    return Sequential([Conv2D(3, 3), ReLU(), Flatten(), Dense(2)]).build((6, 6, 1), rng=seed)


@pytest.fixture
def session(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 100, (150, 6, 6, 1), np.uint8), np.arange(150) % 2
    x[y == 1, :, 3:] += 100
    path = tmp_path / "set.npz"
    np.savez(path, x_train=x[:100], y_train=y[:100], x_test=x[100:], y_test=y[100:])
    return Session(make_model(1), TrainConfig(dataset=str(path), val_split=0.0))


@pytest.fixture
def learning(session):
    learning = Learning(session, SETTINGS, threads=1)
    yield learning
    learning.close()


def do(learning, command):
    """Do a command, and wait for its end."""
    learning.command(command)
    start = time.monotonic()
    while learning._todo or learning._takes_back or not learning._thread.is_alive():
        assert time.monotonic() - start < 30
        time.sleep(0.002)
    time.sleep(0.02)  # it publishes what it did
    return learning.look(None)


def test_an_epoch_is_that_of_the_trainer(learning, session):
    do(learning, "epoch")
    model = make_model(SETTINGS.seed)
    trainer = Trainer(model, SGD(0.1, momentum=0.9, nesterov=True), seed=SETTINGS.seed, threads=1)
    x, y = session.inputs.training
    trainer.fit(x, y, epochs=1, batch_size=16, verbose=0)
    for learned, expected in zip(learning._shown["weights"], model.get_weights(), strict=True):
        np.testing.assert_array_equal(learned, expected)
    seen = learning.look(session.inputs.examples[0][0])
    assert (seen["step"], seen["playing"], seen["error"]) == (7, False, "")
    steps, losses, accuracies = np.transpose(seen["train"])
    assert steps.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert losses[-1] < losses[0]
    assert accuracies[-1] > 0.8
    measured = trainer.evaluate(*session.inputs.examples)
    assert seen["test"][-1] == pytest.approx([7, measured["loss"], measured["accuracy"]], rel=1e-5)
    np.testing.assert_array_equal(seen["kernels"], model[0].kernel.value[:, :, 0])
    logits = model.predict(session.inputs.examples[0][:1])[0]
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(seen["probabilities"], expected, rtol=1e-4)
    assert [entry["name"] for entry in seen["gradients"]] == ["0 Conv2D", "3 Dense"]
    assert [entry["name"] for entry in seen["maps"]] == ["0 Conv2D"]


def test_back_returns_to_where_the_last_command_began(learning):
    do(learning, "step")
    before = do(learning, "step")
    weights = learning._shown["weights"]
    assert do(learning, "epoch")["step"] == 7
    after = do(learning, "back")
    assert (after["step"], after["train"], after["back"]) == (2, before["train"], 2)
    for was, now in zip(weights, learning._shown["weights"], strict=True):
        np.testing.assert_array_equal(was, now)
    again = do(learning, "epoch")
    assert again["step"] == 7
    for _ in range(4):  # once more than there is to go back
        last = do(learning, "back")
    assert (last["step"], last["train"], last["test"], last["back"]) == (0, [], [], 0)
    np.testing.assert_array_equal(learning._shown["weights"][0], make_model(SETTINGS.seed).get_weights()[0])


def test_play_goes_on_until_pause_or_until_nobody_watches(learning, monkeypatch):
    learning.command("play")
    while learning.look(None)["step"] < 10:
        time.sleep(0.005)
    assert not do(learning, "pause")["playing"]
    monkeypatch.setattr("minicnn.demo.learning._UNWATCHED", 0.05)
    learning.command("play")
    time.sleep(0.1)
    while learning._todo:
        time.sleep(0.005)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_training_that_diverges_says_so_and_can_be_taken_back(session):
    learning = Learning(session, Settings(lr=999.0, batch_size=16), threads=1)
    try:
        learning._model.parameters()[0].value[:] = 1e38
        error = do(learning, "epoch")["error"]
        assert "became" in error
        assert "smaller learning rate" in error
        assert do(learning, "back")["error"] == ""
    finally:
        learning.close()


def test_learners_have_a_limit_and_replace_their_own(session, monkeypatch):
    monkeypatch.setattr("minicnn.demo.learners.LIMIT", 1)
    learners = Learners(session, threads=1)
    body = {"optimizer": "adam", "lr": 0.01, "batch_size": 16, "seed": 0}
    try:
        assert learners.start("a", body)["steps_per_epoch"] == 7
        assert learners.start("a", body | {"batch_size": 50})["steps_per_epoch"] == 2
        with pytest.raises(ValueError, match="1 networks learn on this server already"):
            learners.start("b", body)
        monkeypatch.setattr("minicnn.demo.learners.IDLE", 0.0)
        learners.start("b", body)
        with pytest.raises(ValueError, match="start one"):
            learners.look("a", {})
        with pytest.raises(ValueError, match="`command` must be one of play, pause, step, epoch, back"):
            learners.command("b", {"command": "stop"})
    finally:
        learners.close()


def test_without_a_data_set_nothing_is_learned():
    learners = Learners(Session(make_model(0), TrainConfig(dataset="")), threads=1)
    body = {"optimizer": "adam", "lr": 0.01, "batch_size": 16, "seed": 0}
    with pytest.raises(FileNotFoundError, match="does not hold its data set"):
        learners.start("a", body)
