import math
import tracemalloc

import pytest

from minicnn import FileFormatError
from minicnn.runs import read_history, read_result
from minicnn.runs.records import write_json


def test_read_history_returns_the_numbers_exactly(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,loss,accuracy\n0,0.1,0.5\n1,0.30000000000000004,1.0\n")
    history = read_history(tmp_path)
    assert history.epoch == [0, 1]
    assert history.history == {"loss": [0.1, 0.30000000000000004], "accuracy": [0.5, 1.0]}


def test_read_history_of_a_run_without_an_epoch_is_empty(tmp_path):
    (tmp_path / "history.csv").write_text("")
    assert read_history(tmp_path).epoch == []


@pytest.mark.parametrize(
    "text",
    [
        "loss\n1\n",
        "epoch,loss\n0\n",
        "epoch,loss\n0,1,2\n",
        "epoch,loss\n0,low\n",
        "epoch,loss\nx,1\n",
        "epoch,loss,loss\n0,1,2\n",
        "epoch" + "".join(f",{i}" for i in range(100)) + "\n",
        "epoch\n" + "0\n" * (1 << 20),
    ],
)
def test_read_history_refuses_anything_else(tmp_path, text):
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(FileFormatError, match="is not the history of a run"):
        read_history(tmp_path)


def test_a_file_of_json_takes_no_more_than_a_mebibyte_of_memory_whatever_is_in_it(tmp_path):
    for content in ('"ā",' * 13_000, "999," * 16_000, "[]," * 20_000, '{"a":0},' * 8_000):
        (tmp_path / "result.json").write_text(f'{{"a":[{content}0]}}')
        tracemalloc.start()
        try:
            with pytest.raises(FileFormatError, match="strings, brackets and commas, too many"):
                read_result(tmp_path)
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()


def test_write_json_turns_what_json_does_not_know_into_null(tmp_path):
    write_json(tmp_path / "result.json", {"test_loss": math.nan, "test_accuracy": 0.1})
    assert read_result(tmp_path) == {"test_loss": None, "test_accuracy": 0.1}
