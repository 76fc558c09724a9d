"""What a run recorded, in words; also where somebody has edited its files."""

import pytest

from minicnn.runs import TrainConfig
from minicnn.runs.wording import config_in_words, duration, in_words, percent, software_in_words


def test_settings_leave_out_what_the_data_do_not_use():
    named = config_in_words(TrainConfig(limit=1, val_split=0.1, augment=True).to_dict())
    assert named["limit"] == "1 training image"
    assert named["held out for validation"] == "10 % of the training images"
    assert named["augmentation"] == "yes"
    assert not {"resize", "background", "size"} & set(named)
    assert config_in_words(TrainConfig(dataset="letters", size="24x32").to_dict())["size"] == "24x32"


def test_every_number_of_a_result_is_rounded():
    result = {"epochs": 15, "steps": 7035, "seconds": 57.214, "images_per_second": 15729.4}
    result |= {"peak_memory_mb": 169.72, "parameters": 61706, "ranks": 1, "threads": 2}
    assert list(in_words(result).values()) == (
        ["15", "7,035", "57 s", "15,700 images a second", "170 MB", "61,706", "1", "2"]
    )


@pytest.mark.parametrize("value", ["soon", [1], {"a": 1}, True, 1e400])
def test_an_edited_value_is_shown_as_it_is(value):
    for name in ("seconds", "images_per_second", "peak_memory_mb", "val_split", "unknown"):
        assert in_words({name: value})
    assert in_words({"seconds": None}) == {}
    assert software_in_words(value) == ({"a": "1"} if isinstance(value, dict) else {})
    assert software_in_words({"blas": value, "python": value})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.96, "10 s"), (59.4, "59 s"), (3599.6, "1 h 0 min"), (86_400, "24 h 0 min")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_percentages_of_rare_mistakes_keep_a_digit():
    assert [percent(share) for share in (0, 1, 0.5, 0.9999, 1e-5, float("nan"))] == (
        ["0 %", "100 %", "50.00 %", "99.99 %", "0.001 %", "nan %"]
    )
