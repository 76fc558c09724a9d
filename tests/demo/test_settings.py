import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from minicnn.demo.architecture import MAX_MACS, MAX_WEIGHTS, make_net
from minicnn.demo.presets import PRESETS
from minicnn.demo.settings import ACTIVATIONS, OPTIONS, Settings, read_settings
from minicnn.models import lenet5

OPENED = lenet5().build((28, 28, 1), rng=0)


def test_the_usual_settings_are_those_of_an_empty_address():
    assert read_settings({}) == Settings()
    assert read_settings(Settings().to_texts()) == Settings()


values = st.fixed_dictionaries(
    {},
    optional={
        "lr": st.floats(1e-6, 999),
        "momentum": st.floats(0, 0.999),
        "batch_size": st.integers(1, 4096),
        "seed": st.integers(0, (1 << 32) - 1),
        "optimizer": st.sampled_from(["sgd", "adam", "adamw", "rmsprop"]),
        "filters": st.lists(st.integers(1, 64), max_size=6).map(tuple),
        "units": st.lists(st.integers(1, 512), max_size=10).map(tuple),
        "kernel": st.sampled_from(["1", "3", "5", "7"]),
        "init": st.floats(0, 100),
    },
)


@limits(max_examples=30)
@given(values)
def test_an_address_gives_the_settings_that_it_was_made_from(values):
    chosen = Settings(**values)
    again = read_settings(chosen.to_texts())
    for name in OPTIONS:
        one, other = getattr(again, name), getattr(chosen, name)
        assert one == (pytest.approx(other, rel=1e-5) if isinstance(other, float) else other)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (None, "must be an object, got NoneType"),
        ([], "must be an object, got list"),
        ({"evil": "1"}, "unknown: evil"),
        ({"lr": None}, "`lr` must be a text or a number, got NoneType"),
        ({"lr": True}, "`lr` must be a text or a number, got bool"),
        ({"lr": "fast"}, "`lr` must be a number, got fast"),
        ({"lr": "nan"}, r"`lr` must be in \(0, 1000\)"),
        ({"lr": "1e999"}, r"`lr` must be in \(0, 1000\)"),
        ({"lr": 0}, r"`lr` must be in \(0, 1000\)"),
        ({"momentum": "1"}, r"`momentum` must be in \[0, 1\)"),
        ({"batch_size": "1.5"}, "`batch_size` must be an integer, got 1.5"),
        ({"batch_size": 10**400}, "fewer digits"),
        ({"batch_size": "9" * 5000}, "at most 4,096, got more"),
        ({"batch_size": 0}, "at least 1, got 0"),
        ({"seed": "-1"}, "at least 0"),
        ({"seed": str(1 << 32)}, "at most"),
        ({"optimizer": ["sgd"]}, "must be one of adam, adamw, rmsprop, sgd"),
        ({"optimizer": "x" * 5000}, "got x{40}$"),
        ({"filters": "6-x"}, "`filters` must be an integer, got x"),
        ({"filters": "65"}, "at most 64"),
        ({"filters": "1-1-1-1-1-1-1"}, "at most 6 numbers, got 7"),
        ({"units": {}}, "text or a number, got dict"),
        ({"images": "5"}, "must be one of all, 10000"),
    ],
)
def test_wrong_settings_are_refused_in_a_sentence(given, sentence):
    with pytest.raises((TypeError, ValueError)) as caught:
        read_settings(given)
    assert re.search(sentence, str(caught.value)), caught.value


@limits(max_examples=30)
@given(st.dictionaries(st.sampled_from([*OPTIONS, "x"]), st.text(max_size=6) | st.integers() | st.floats()))
def test_whatever_is_given_there_are_settings_or_a_sentence(given):
    try:
        read = read_settings(given)
    except (TypeError, ValueError):
        return
    assert read_settings(read.to_texts()).to_texts() == read.to_texts()


def test_a_network_of_ones_own_has_the_layers_that_were_chosen():
    settings = Settings(
        net="own", filters=(3, 5), kernel="3", activation="elu", pooling="avg", batchnorm="yes",
        units=(7,), dropout=0.25, init=2.0, seed=4,
    )  # fmt: skip
    net = make_net(settings, OPENED)
    assert [repr(layer).partition(", kernel_initializer")[0].rstrip(")") for layer in net] == [
        "Conv2D(3, 3, padding='same'", "BatchNorm(momentum=0.9", "ELU(", "Pool2D(2, mode='avg'",
        "Conv2D(5, 3, padding='same'", "BatchNorm(momentum=0.9", "ELU(", "Pool2D(2, mode='avg'",
        "Flatten(", "Dense(7", "BatchNorm(momentum=0.9", "ELU(", "Dropout(0.25", "Dense(10",
    ]  # fmt: skip
    once = make_net(Settings(**{**vars(settings), "init": 1.0}), OPENED)
    np.testing.assert_allclose(net[0].kernel.value, 2 * once[0].kernel.value, rtol=1e-6)


def test_the_opened_network_gets_the_random_weights_of_the_seed():
    expected = lenet5().build((28, 28, 1), rng=3).get_weights()
    for one, other in zip(make_net(Settings(seed=3), OPENED).get_weights(), expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_makes_a_network(activation):
    net = make_net(Settings(net="own", filters=(2,), units=(), activation=activation), OPENED)
    assert net.output_shape == (10,)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"filters": (64,), "pooling": "none"}, f"weights, and this page allows {MAX_WEIGHTS:,}"),
        ({"filters": (64,), "kernel": "1", "batch_size": 4096}, "choose a smaller batch size"),
        ({"net": "run", "batch_size": 10**5}, "choose a smaller batch size"),
        ({"filters": (64,) * 6, "kernel": "7"}, f"an image, and this page allows {MAX_MACS:,}"),
    ],
)
def test_a_network_that_would_be_too_large_is_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        make_net(Settings(**({"net": "own"} | settings)), OPENED)


def test_the_numbers_of_a_network_are_those_that_the_limits_are_compared_with(monkeypatch):
    monkeypatch.setattr("minicnn.demo.architecture.MAX_WEIGHTS", 0)
    with pytest.raises(ValueError, match=r"would have 107,786 weights"):  # 61,706 with the first padding only
        make_net(Settings(net="own"), OPENED)
    monkeypatch.undo()
    assert sum(p.size for p in make_net(Settings(net="own"), OPENED).parameters()) == 107_786


@pytest.mark.parametrize("name", PRESETS)
def test_presets_can_be_written_in_an_address(name):
    preset = PRESETS[name]
    for settings in (preset.settings, preset.rival):
        if settings is not None:
            assert read_settings(settings.to_texts()) == settings
            make_net(settings, OPENED)
