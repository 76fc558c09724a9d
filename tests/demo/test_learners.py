import base64

import numpy as np
import pytest

from minicnn.demo import Session
from minicnn.demo.learners import MOST_DRAWINGS, Learners
from minicnn.demo.settings import OPTIONS, Settings
from minicnn.layers import Dense, Flatten, Sequential
from minicnn.runs import TrainConfig

BODY = {"settings": {"optimizer": "adam", "lr": "0.01", "batch_size": "500"}}
SEVEN = {"image": base64.b64encode(bytes(784)).decode(), "label": 7}


@pytest.fixture
def learners(opened):
    learners = Learners(opened, threads=1)
    yield learners
    learners.close()


def make_model(seed):
    return Sequential([Flatten(), Dense(2)]).build((6, 6, 1), rng=seed)


def test_the_form_of_the_page_lists_every_setting_with_its_usual_value(learners):
    found = learners.options("a", {})
    assert [option["name"] for option in found["options"]] == list(OPTIONS)
    assert {option["name"]: option["usual"] for option in found["options"]} == Settings().to_texts()
    assert {option["group"] for option in found["options"]} == set(found["groups"])
    assert all(option["help"] and option["label"] for option in found["options"])
    assert dict(found["options"][5]["values"])["run"] == "lenet5, as opened"


def test_learners_have_a_limit_and_replace_their_own(learners, monkeypatch):
    monkeypatch.setattr("minicnn.demo.learners.LIMIT", 1)
    assert learners.start("a", BODY)["nets"][0]["steps_per_epoch"] == 120
    larger = {"settings": BODY["settings"] | {"batch_size": "1000"}}
    assert learners.start("a", larger)["nets"][0]["steps_per_epoch"] == 60
    with pytest.raises(ValueError, match="1 networks learn on this server already"):
        learners.start("b", BODY)
    monkeypatch.setattr("minicnn.demo.learners.IDLE", 0.0)
    learners.start("b", BODY)
    with pytest.raises(ValueError, match="start one"):
        learners.look("a", {})
    with pytest.raises(ValueError, match="`command` must be one of play, pause, step, epoch, back"):
        learners.command("b", {"command": "stop"})


def test_the_memory_of_a_server_has_a_limit(learners, monkeypatch):
    monkeypatch.setattr("minicnn.demo.learners.MOST_BYTES", 1 << 20)
    learners.start("a", BODY)  # 61,706 weights of 4 bytes, three times
    learners.start("a", BODY)
    with pytest.raises(ValueError, match="the memory of this server"):
        learners.start("b", BODY)


def test_settings_that_are_refused_leave_the_browser_its_network(learners):
    learners.start("a", BODY)
    with pytest.raises(ValueError, match="this page allows"):
        learners.start("a", {"settings": {"net": "own", "pooling": "none", "filters": "64", "units": "512"}})
    assert learners.look("a", {})["nets"][0]["step"] == 0


def test_a_race_has_two_networks_each_with_its_number_of_weights(learners):
    rival = {"net": "own", "filters": "", "units": ""}
    found = learners.start("a", BODY | {"rival": rival})
    assert [net["weights"] for net in found["nets"]] == [61_706, 7_850]
    assert len(learners.look("a", {})["nets"]) == 2


def test_ones_own_drawings_are_learned_and_tested_on_those_of_others(learners):
    own = {"settings": {"data": "own"}}
    with pytest.raises(ValueError, match="no images of your own yet"):
        learners.start("a", own)
    found = learners.start("a", own | {"drawings": [SEVEN, SEVEN | {"label": 1}]})["nets"][0]
    assert (found["images"], found["tests"], found["steps_per_epoch"]) == (2, 1000, 1)


@pytest.mark.parametrize(
    ("drawings", "sentence"),
    [
        (None, "must be a list of objects"),
        ([1], "must be a list of objects"),
        ([{}], "missing or unknown: image, label"),
        ([SEVEN | {"label": 10}], r"\[0, 10\)"),
        ([SEVEN | {"image": "AAAA"}], "28x28x1 bytes"),
        ([SEVEN | {"image": base64.b64encode(bytes(4 * 784)).decode()}], "a byte for each pixel"),
        ([SEVEN] * (MOST_DRAWINGS + 1), f"at most {MOST_DRAWINGS}, got {MOST_DRAWINGS + 1}"),
    ],
)
def test_wrong_drawings_are_refused_in_a_sentence(learners, drawings, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        learners.start("a", {"settings": {"data": "own"}, "drawings": drawings})


def test_without_a_data_set_only_drawings_are_learned():
    learners = Learners(Session(make_model(0), TrainConfig(dataset="")), threads=1)
    try:
        with pytest.raises(
            ValueError, match="a model file has no images to learn, and there are no images of"
        ):
            learners.start("a", {"settings": {}})
        assert not learners.options("a", {})["has_data"]
        image = base64.b64encode(np.arange(36, dtype=np.uint8).tobytes()).decode()
        body = {"settings": {"data": "own"}, "drawings": [{"image": image, "label": 1}]}
        assert learners.start("a", body | {"settings": {}})["nets"][0]["images"] == 1
        assert learners.start("a", body)["nets"][0]["tests"] == 0
        learners.command("a", {"command": "step"})
        learning = learners._of("a")
        while learning.busy:
            pass
        (seen,) = learners.look("a", {})["nets"]
        assert (seen["step"], seen["test"], len(seen["train"])) == (1, [], 1)
    finally:
        learners.close()
