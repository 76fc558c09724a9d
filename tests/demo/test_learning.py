import time
from dataclasses import replace

import numpy as np
import pytest

from minicnn import SGD, Trainer
from minicnn.demo import Session
from minicnn.demo.learning import Learning
from minicnn.demo.presets import PRESETS
from minicnn.demo.settings import Settings
from minicnn.demo.training import Training
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


def train(session, settings):
    data = session.inputs.training, session.inputs.examples
    return Training(session.model, session.inputs, settings, *data, threads=1)


@pytest.fixture
def learning(session):
    learning = Learning([train(session, SETTINGS)])
    yield learning
    learning.close()


@pytest.fixture
def race(session):
    learning = Learning([train(session, SETTINGS), train(session, Settings(lr=0.1, batch_size=40, seed=5))])
    yield learning
    learning.close()


def do(learning, command, image=None):
    """Do a command, wait for its end, and return what is seen of the first network then."""
    learning.command(command)
    start = time.monotonic()
    while learning.busy:
        assert learning._thread.is_alive()
        assert time.monotonic() - start < 30
        time.sleep(0.002)
    seen = learning.look(image)
    return seen["nets"][0] | {name: seen[name] for name in ("playing", "back")}


def weights_of(training):
    return training._shown["weights"]


def test_an_epoch_is_that_of_the_trainer(learning, session):
    do(learning, "epoch")
    model = make_model(SETTINGS.seed)
    trainer = Trainer(model, SGD(0.1, momentum=0.9, nesterov=True), seed=SETTINGS.seed, threads=1)
    x, y = session.inputs.training
    trainer.fit(x, y, epochs=1, batch_size=16, verbose=0)
    (training,) = learning.trainings
    for learned, expected in zip(weights_of(training), model.get_weights(), strict=True):
        np.testing.assert_array_equal(learned, expected)
    seen = learning.look(session.inputs.examples[0][0])
    assert (seen["playing"], seen["error"]) == (False, "")
    (seen,) = seen["nets"]
    assert (seen["step"], seen["error"]) == (7, "")
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
    squares = [np.r_[layer.kernel.grad.ravel(), layer.bias.grad] ** 2 for layer in (model[0], model[3])]
    sizes = [entry["size"] for entry in seen["gradients"]]
    np.testing.assert_allclose(sizes, [np.sqrt(square.mean()) for square in squares], rtol=1e-5)
    assert [entry["name"] for entry in seen["maps"]] == ["1 ReLU, after 0 Conv2D"]


def test_back_returns_to_where_the_last_command_began(learning):
    do(learning, "step")
    before = do(learning, "step")
    (training,) = learning.trainings
    weights = weights_of(training)
    assert do(learning, "epoch")["step"] == 7
    after = do(learning, "back")
    assert (after["step"], after["train"], after["back"]) == (2, before["train"], 2)
    for was, now in zip(weights, weights_of(training), strict=True):
        np.testing.assert_array_equal(was, now)
    again = do(learning, "epoch")
    assert again["step"] == 7
    for _ in range(4):  # once more than there is to go back
        last = do(learning, "back")
    assert (last["step"], last["train"], last["test"], last["back"]) == (0, [], [], 0)
    np.testing.assert_array_equal(weights_of(training)[0], make_model(SETTINGS.seed).get_weights()[0])


@pytest.mark.parametrize("threads", [1, 2])
def test_back_takes_back_the_random_numbers_of_dropout(session, threads):
    settings = replace(SETTINGS, net="own", filters=(2,), units=(6,), dropout=0.5)
    data = session.inputs.training, session.inputs.examples
    learning = Learning([Training(session.model, session.inputs, settings, *data, threads=threads)])
    (training,) = learning.trainings
    do(learning, "step")
    found = []
    for _ in range(2):
        do(learning, "epoch")
        found.append([weight.copy() for weight in weights_of(training)])
        do(learning, "back")
    learning.close()
    for first, second in zip(*found, strict=True):
        np.testing.assert_array_equal(first, second)


def test_play_goes_on_until_pause_or_until_nobody_watches(learning, monkeypatch):
    learning.command("play")
    while learning.look(None)["nets"][0]["step"] < 10:
        time.sleep(0.005)
    assert not do(learning, "pause")["playing"]
    monkeypatch.setattr("minicnn.demo.learning._UNWATCHED", 0.05)
    learning.command("play")
    time.sleep(0.1)
    while learning.playing:
        time.sleep(0.005)


def test_in_a_race_both_see_the_same_number_of_images(race):
    do(race, "epoch")
    assert [training.step for training in race.trainings] == [7, 3]
    do(race, "step")
    assert [training.step for training in race.trainings] == [8, 4]
    seen = race.look(None)
    assert seen["nets"][1]["train"][-1][0] == 4
    do(race, "back")
    assert [training.step for training in race.trainings] == [7, 3]
    race.command("play")
    while race.trainings[0].step < 60:
        time.sleep(0.002)
    do(race, "pause")
    epochs = [training.epoch for training in race.trainings]
    assert abs(epochs[0] - epochs[1]) <= 1 / 3


def test_each_network_of_a_race_is_as_it_would_be_alone(race, learning):
    do(race, "epoch")
    do(learning, "epoch")
    for one, other in zip(weights_of(race.trainings[0]), weights_of(learning.trainings[0]), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_training_that_diverges_says_so_and_can_be_taken_back(session):
    learning = Learning([train(session, Settings(lr=999.0, batch_size=16))])
    try:
        learning.trainings[0].model.parameters()[0].value[:] = 1e38
        error = do(learning, "epoch")["error"]
        assert "became" in error
        assert "smaller learning rate" in error
        assert do(learning, "back")["error"] == ""
    finally:
        learning.close()


# For each preset, the sentence that must come within so many steps, for the first network and for its rival.
PROVOKED = {
    "dead": (40, ["is dead", ""]),
    "vanishing": (2, ["The gradient vanishes", ""]),
    "exploding": (1, ["The gradient explodes", ""]),
    "zeros": (1, ["All kernels are 0", ""]),
    "overfitting": (40, ["It overfits", ""]),
    "rescue": (30, ["The gradient vanishes", "It learns"]),
}


@pytest.mark.parametrize("name", PROVOKED)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_preset_provokes_what_it_promises(name, opened, monkeypatch):
    monkeypatch.setattr("minicnn.demo.snapshots._PROBE_EVERY", 0.0)
    steps, sentences = PROVOKED[name]
    preset = PRESETS[name]
    for settings, sentence in zip((preset.settings, preset.rival), sentences, strict=True):
        if settings is None:
            continue
        training = train(opened, settings)
        training.goal = steps
        with training.trainer.session():
            while training.step < training.goal and sentence not in training.look(None)["advice"]:
                for _ in range(1 + steps // 8):
                    training.advance()
                training.publish()
        assert sentence in training.look(None)["advice"]
    assert name == "rescue" or preset.rival is None


def test_who_watches_gets_pictures_until_the_training_pauses(learning, session):
    learning.command("play")
    steps = []
    for seen in learning.watch(session.inputs.examples[0][0]):
        steps.append(seen["nets"][0]["step"])
        if len({*steps}) == 3:
            learning.command("pause")
    assert not seen["playing"]
    assert seen["nets"][0]["probabilities"].shape == (2,)
    assert steps == sorted(steps)
    assert steps[-1] == do(learning, "pause")["step"]
    assert len(list(learning.watch(None))) == 1  # nothing learns


def test_the_oldest_of_many_who_watch_ends(learning):
    learning.command("play")
    first, *others = [learning.watch(None) for _ in range(5)]
    assert next(first, None) is None
    assert all(next(one)["playing"] for one in others)
    learning.close()
    assert [next(one, None) for one in others] == [None] * 4
