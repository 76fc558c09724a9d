"""Which scale of examples a model takes, and what it says about others."""

import gc
import json
import warnings

import numpy as np
import pytest

from minicnn import (
    SGD,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePool2D,
    Layer,
    Rescaling,
    Sequential,
    Trainer,
    load_model,
    save_model,
)
from minicnn.errors import FileFormatError
from minicnn.safeguards import notes
from minicnn.saving.tensors import read_tensors, write_tensors

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 256, (12, 8, 8, 1), dtype=np.uint8), RNG.integers(0, 3, 12)
UNIT = (X / 255).astype(np.float32)


def trainer(*first, **options):
    model = Sequential([*first, Conv2D(2, 3), Flatten(), Dense(3)]).build((8, 8, 1), rng=0)
    return Trainer(model, SGD(1e-4), threads=1, **options)


def fit(own, x=X):
    own.fit(x, Y, 1, 6, verbose=0)


ACTIONS = {
    "fit": fit,
    "evaluate": lambda own, x: own.evaluate(x, Y),
    "predict": lambda own, x: own.predict(x),
    "model.predict": lambda own, x: own.model.predict(x),
}
UNSCALED = {
    "int64": X.astype(np.int64),
    "int16": X.astype(np.int16),
    "float32": X.astype(np.float32),
    "a list": X.tolist(),
    "16 bits": X.astype(np.uint16) * 257,
}
USUAL = {"uint8": X, "floats": UNIT, "float64": X / 255, "standardized": (X - X.mean()) / X.std()}


@pytest.mark.parametrize("kind", UNSCALED)
@pytest.mark.parametrize("action", ACTIONS)
def test_values_that_are_not_scaled_are_told_once(kind, action):
    own = trainer()
    with pytest.warns(UserWarning, match=r"values from 0 to \d+, .* only uint8 images are scaled") as told:
        ACTIONS[action](own, UNSCALED[kind])
    assert len(told) == 1
    ACTIONS[action](own, UNSCALED[kind])


def test_the_remedy_gives_the_numbers_of_uint8():
    own = trainer()
    with pytest.warns(UserWarning, match="pass them as uint8, or divide them by 255"):
        own.evaluate(X.astype(np.int64), Y)
    right = own.evaluate(X, Y)
    assert own.evaluate(X.astype(np.int64) / 255, Y) == pytest.approx(right)
    assert own.evaluate(X.astype(np.int64).astype(np.uint8), Y) == right


@pytest.mark.parametrize("kind", USUAL)
def test_usual_values_pass_without_a_word(kind):
    own = trainer()
    for action in ACTIONS.values():
        action(own, USUAL[kind])


@pytest.mark.parametrize("scale", [255, 1])
def test_what_augment_returns_is_looked_at(scale):
    own = trainer(augment=lambda images, rng: (images / 255 * scale).astype(np.float32))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fit(own)
    assert [str(one.message)[:24] for one in told] == ["what `augment` returned "] * (scale == 255)


@pytest.mark.parametrize(
    ("then", "now", "message"),
    [
        ("standardized", "uint8", r"inputs from 0 to 1, but the model was trained on -1\.\d+ to 1\.\d+"),
        ("standardized", "floats", "but the model was trained on -1"),
        ("floats", "unscaled", "float32 values from 0 to 255, which are used as they are"),
        ("uint8", "unscaled", "float32 values from 0 to 255, which are used as they are"),
        ("unscaled", "uint8", "inputs from 0 to 1, but the model was trained on 0 to 255"),
    ],
)
def test_another_scale_than_in_fit_is_told(then, now, message):
    data = USUAL | {"unscaled": X.astype(np.float32)}
    for action in ("predict", "model.predict", "evaluate"):
        own = trainer()
        with warnings.catch_warnings(action="ignore"):
            fit(own, data[then])
        with pytest.warns(UserWarning, match=message) as told:
            ACTIONS[action](own, data[now])
        assert len(told) == 1


def test_tables_and_small_numbers_are_not_taken_for_images():
    model = Sequential([Dense(3)]).build((5,), rng=0)
    model.predict(np.array([[255, 0, 40, 3, 99]]))
    model = Sequential([Flatten(), Dense(3)]).build((8, 8, 1), rng=0)
    model.predict(np.full((1, 8, 8, 1), 12))  # stones on a board
    model.predict(np.zeros((0, 8, 8, 1), np.int64))
    model.predict(np.full((1, 8, 8, 1), -100.0))


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("rescaling", [Rescaling(1 / 255), Rescaling([1 / 127.5], -1)])
def test_a_model_that_rescales_gets_bytes(nested, rescaling):
    first = Sequential([Sequential([rescaling])]) if nested else rescaling
    own = trainer(first)
    by_hand = own.model(X.astype(np.float32))
    for x in (X, X.astype(np.int64), X.astype(np.float32)):
        assert np.allclose(own.model.predict(x), by_hand, atol=1e-5)
        assert np.allclose(own.predict(x), by_hand, atol=1e-5)
    plain, shifted = trainer(), rescaling.offset == -1
    plain.model.set_weights(own.model.get_weights())
    fit(own)
    fit(plain, UNIT * 2 - 1 if shifted else X)
    for found, expected in zip(own.model.get_weights(), plain.model.get_weights(), strict=True):
        assert np.allclose(found, expected, atol=1e-6)
    with pytest.warns(UserWarning, match="begins with Rescaling, which takes 0 to 255: pass uint8 images"):
        own.predict(UNIT)


def test_a_model_that_standardizes_floats_gets_floats():
    own = trainer(Rescaling(1 / 0.3, -0.5 / 0.3))
    assert np.array_equal(own.model.predict(X), own.model.predict(np.divide(X, 255, dtype=np.float32)))
    with pytest.warns(UserWarning, match="only uint8 images are scaled"):
        own.predict(X.astype(np.float32))


def test_nothing_is_kept_of_models_that_are_gone():
    gc.collect()
    before = len(notes._noted)
    model = Sequential([GlobalAveragePool2D()]).build((8, 8, 1), rng=0)
    model.predict(X)
    assert len(notes._noted) > before
    del model
    gc.collect()
    assert len(notes._noted) <= before


@pytest.mark.parametrize("channels", [1, 3])
def test_images_with_channels_first_are_told_once(channels):
    x = RNG.normal(size=(12, channels, 8, 8)).astype(np.float32)
    own = Trainer(Sequential([Flatten(), Dense(3)]).build(x.shape[1:], rng=0), SGD(1e-4), threads=1)
    with pytest.warns(
        UserWarning, match=r"looks like \(N, C, H, W\), .* `x.transpose\(0, 2, 3, 1\)`"
    ) as told:
        fit(own, x)
    assert len(told) == 1
    fit(own, x)


class ChannelsLast(Layer):
    """Moves the channels to the end."""

    def forward(self, x):
        return x.transpose(0, 2, 3, 1)


@pytest.mark.filterwarnings("error")
def test_channels_first_are_right_where_the_first_layer_moves_them():
    model = Sequential([Sequential([ChannelsLast(), Conv2D(2, 3)]), Flatten(), Dense(3)])
    model.build((1, 8, 8), rng=0)
    fit(Trainer(model, SGD(1e-4), threads=1), UNIT.transpose(0, 3, 1, 2))


# --- contents, and other scales ---------------------------------------------------------------------------

CONTENTS = {
    "one value": (np.full_like(UNIT, 0.5), r"all values of `x` are 0\.5, so that there is nothing to learn"),
    "zeros of uint8": (X * 0, "all values of `x` are 0"),
    "bits": ((X > 99).astype(np.uint8), "uint8 values of 0 and 1 only, which are scaled .* to 0 and 1/255"),
    "scaled twice": (UNIT / 255, "as of images that were divided by 255 twice"),
    "signed": (X.astype(np.int16) * 10 - 999, "bring them to a scale of about 1"),
    "mean subtracted": (X.astype(np.float32) - 128, "bring them to a scale of about 1"),
    "channels first": (
        np.repeat(UNIT, 3, axis=3).transpose(0, 3, 1, 2)[..., :6],
        r"looks like \(N, C, H, W\)",
    ),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_examples_that_hold_hardly_anything_are_warned_of(name):
    x, message = CONTENTS[name]
    model = Sequential([Flatten(), Dense(3)]).build(x.shape[1:], rng=0)
    with pytest.warns(UserWarning, match=message):
        fit(Trainer(model, SGD(1e-6), threads=1), x)


@pytest.mark.filterwarnings("error")
def test_outliers_of_a_table_are_nothing_to_warn_of():
    x = RNG.normal(size=(64, 80)).astype(np.float32)
    own = Trainer(Dense(3).build((80,), rng=0), SGD(1e-4), threads=1)
    own.fit(x, np.arange(64) % 3, 1, 32, verbose=0)
    own.predict(np.where(RNG.random(x.shape) < 0.01, x * 20, x))
    own.predict(x / 20)


@pytest.mark.filterwarnings("error")
def test_a_dark_image_or_two_is_nothing_to_warn_of():
    own = trainer()
    own.fit(X[:2] * 0, Y[:2], 1, 2, verbose=0)
    own = trainer()
    fit(own)
    for x in (X[:1] * 0, UNIT[:1] / 255, np.concatenate([UNIT, UNIT / 50])):
        own.predict(x)


@pytest.mark.parametrize(
    ("trained", "other"),
    [
        (UNIT, UNIT * 2 - 1),
        (UNIT, (UNIT - 0.5) / 0.25),
        (UNIT * 2 - 1, UNIT),
        (UNIT, UNIT * 16),
        (np.repeat(UNIT * 16, 3, axis=0), np.repeat(UNIT, 3, axis=0)),
        (X, UNIT * 2 - 1),
    ],
)
def test_another_scale_is_warned_of_once_in_validation_and_prediction(trained, other):
    labels, others = np.arange(len(trained)) % 3, np.arange(len(other)) % 3
    own = trainer()
    with pytest.warns(UserWarning, match="`validation_data` gives inputs from .*preprocess both in the same"):
        own.fit(trained, labels, 1, 6, validation_data=(other, others), verbose=0)
    own = trainer()
    own.fit(trained, labels, 1, 6, validation_data=(trained[::-1], labels), verbose=0)
    with pytest.warns(UserWarning, match="`x` gives inputs from .*preprocess both in the same way"):
        own.evaluate(other, others)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        own.predict(other)


@pytest.mark.parametrize(
    ("then", "now"), [("standardized", "uint8"), ("floats", "unscaled"), ("uint8", "sixteenths")]
)
def test_a_loaded_model_knows_the_scale_of_its_training(tmp_path, then, now):
    data = USUAL | {"unscaled": X.astype(np.float32), "sixteenths": UNIT * 16}
    own = trainer()
    fit(own, data[then])
    save_model(own.model, tmp_path / "net.safetensors")
    loaded = load_model(tmp_path / "net.safetensors")
    save_model(loaded, tmp_path / "again.safetensors")
    for model in (loaded, load_model(tmp_path / "again.safetensors")):
        model.predict(data[then])
        with pytest.warns(UserWarning, match="but the model was trained on|divide them by 255"):
            model.predict(np.repeat(data[now], 3, axis=0))


def test_a_fit_with_another_scale_than_the_first_is_told_also_after_loading(tmp_path):
    own = trainer()
    fit(own, USUAL["standardized"])
    save_model(own.model, tmp_path / "net.safetensors")
    fit(own, USUAL["standardized"] * 1.5)
    for model in (own.model, load_model(tmp_path / "net.safetensors")):
        with pytest.warns(UserWarning, match="`x` gives inputs from 0 to 1, but the model was trained on -1"):
            fit(Trainer(model, SGD(1e-4), threads=1), X)


def test_a_file_without_a_range_loads_and_a_wrong_range_is_refused(tmp_path):
    own, path = trainer(), tmp_path / "net.safetensors"
    fit(own, UNIT)
    save_model(own.model, path)
    tensors, text = read_tensors(path)
    content = json.loads(text)
    assert content["input_range"] == [float(UNIT.min()), float(UNIT.max())]
    del content["input_range"]
    write_tensors(path, tensors, json.dumps(content))
    load_model(path).predict(USUAL["standardized"])
    for wrong in ([1, 0], [0], "0 to 1", [0, True], [0, 1e999]):
        write_tensors(path, tensors, json.dumps(content | {"input_range": wrong}))
        with pytest.raises(FileFormatError, match="`input_range` must"):
            load_model(path)


def test_a_resumed_fit_knows_the_range_of_the_first_step(tmp_path):
    dark = UNIT * np.linspace(0.5, 1, len(UNIT), dtype=np.float32).reshape(-1, 1, 1, 1)
    files = []
    for parts in ([4], [2, 4]):
        folder = tmp_path / str(len(parts))
        for epochs in parts:
            own = trainer()
            own.fit(dark, Y, epochs, 4, checkpoint=folder, verbose=0)
        save_model(own.model, folder / "net.safetensors")
        files.append((folder / "net.safetensors").read_bytes())
    assert files[0] == files[1]


@pytest.mark.filterwarnings("error")
def test_the_range_of_a_training_is_that_of_all_examples_not_of_the_first_batch():
    x = np.tile(UNIT, (6, 1, 1, 1))
    own, first = trainer(), np.random.default_rng([0, 0]).permutation(len(x))[:6]
    x[first] /= 20
    own.fit(x, np.tile(Y, 6), 1, 6, verbose=0)
    own.predict(x)
    own.predict(np.tile(UNIT, (3, 1, 1, 1)))


def test_a_model_with_preprocessing_says_where_it_is(tmp_path):
    own = trainer()
    fit(own, USUAL["standardized"])
    save_model(own.model, tmp_path / "net.safetensors", preprocessing={"scale": 1 / 73, "offset": -1.7})
    with pytest.warns(UserWarning, match=r"in the same way \(`model.preprocessing` says how\)$"):
        load_model(tmp_path / "net.safetensors").predict(X)
