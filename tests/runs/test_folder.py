import copy
import json
import math
import os
import tracemalloc

import numpy as np
import pytest
from toy_data import write_folder

from minicnn import FileFormatError, save_weights
from minicnn.runs import (
    TrainConfig,
    create_run,
    is_finished,
    load_data,
    open_run,
    open_unfinished_run,
    read_history,
    read_result,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = write_folder(tmp_path_factory.mktemp("toy") / "toy", train=10, test=10)
    return load_data(TrainConfig(dataset=str(folder)))


@pytest.fixture
def saved(data, tmp_path):
    """Return a run with weights, as a training leaves it."""
    run = create_run(TrainConfig(seed=5), data, tmp_path / "run")
    save_weights(run.model, run.folder / "weights.safetensors")
    return run


def test_create_run_writes_what_open_run_reads(saved):
    opened = open_run(saved.folder)
    assert opened.config == saved.config
    assert opened.folder == saved.folder
    for ours, theirs in zip(opened.model.get_weights(), saved.model.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)
    assert not is_finished(saved.folder)


def test_a_run_of_a_version_without_checkpoints_is_opened(saved):
    path = saved.folder / "config.json"
    config = json.loads(path.read_text())
    del config["checkpoint_every"]
    path.write_text(json.dumps(config))
    assert open_run(saved.folder).checkpoint_every is None


def test_open_run_takes_the_weights_of_the_file_not_of_the_seed(saved):
    saved.model[0].bias.value = np.arange(6.0)
    save_weights(saved.model, saved.folder / "weights.safetensors")
    assert open_run(saved.folder).model[0].bias.value.tolist() == [0, 1, 2, 3, 4, 5]


def test_create_run_counts_folders(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = TrainConfig(dataset="/somewhere/kmnist")
    assert [str(create_run(config, data).folder) for _ in range(2)] == [
        "runs/lenet5-kmnist-1",
        "runs/lenet5-kmnist-2",
    ]


def test_create_run_takes_an_empty_folder_and_no_other(data, tmp_path):
    (tmp_path / "empty").mkdir()
    assert create_run(TrainConfig(), data, tmp_path / "empty").folder == tmp_path / "empty"
    with pytest.raises(FileExistsError, match="is not an empty folder: choose a new one"):
        create_run(TrainConfig(), data, tmp_path / "empty")
    (tmp_path / "file").write_text("precious")
    with pytest.raises(FileExistsError, match="is not an empty folder: choose a new one"):
        create_run(TrainConfig(), data, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "precious"


def test_create_run_refuses_wrong_checkpoints_before_it_makes_a_folder(data, tmp_path):
    with pytest.raises(ValueError, match="`checkpoint_every` must be at least 1, got 0"):
        create_run(TrainConfig(), data, tmp_path / "run", checkpoint_every=0)
    assert not (tmp_path / "run").exists()


def test_create_run_makes_no_folder_for_a_model_that_cannot_be(tmp_path):
    tiny = load_data(TrainConfig(dataset=str(write_folder(tmp_path / "tiny", size=8))))
    with pytest.raises(ValueError, match="layer 3"):
        create_run(TrainConfig(), tiny, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def change(**changes):
    def rewrite(config):
        for place, value in changes.items():
            where = config["train"] if place in config["train"] else config
            where[place] = value
        return json.dumps(config)

    return rewrite


@pytest.mark.parametrize(
    ("rewrite", "message"),
    [
        (lambda config: "", "is not valid JSON"),
        (lambda config: "[1, 2]", "must be a JSON object, got list"),
        (lambda config: "{" * 100_000, "is not valid JSON"),
        (lambda config: "[" * 100_000, "is not valid JSON"),
        (lambda config: json.dumps(config)[:-1], "is not valid JSON"),
        (lambda config: json.dumps(config) + " " * (1 << 20), "the file is too long"),
        (lambda config: '{"train": 1, "train": {}}', "a key occurs twice"),
        (lambda config: "{}", "`train` must be dict, got None"),
        (change(model="minicnn.models.lenet5"), "`model` must be one of"),
        (change(model={"__reduce__": "os.system"}), "`model` must be str"),
        (change(epochs="15"), "`epochs` must be int"),
        (change(lr=math.nan), "`lr` must be in"),
        (change(lr=10**400), "`lr` must be in"),
        (change(checkpoint_every="often"), "`checkpoint_every` must be int, got 'often'"),
        (change(checkpoint_every=0), "`checkpoint_every` must be at least 1, got 0"),
        (change(num_classes=10.0), "`num_classes` must be int, got 10.0"),
        (change(num_classes=True), "`num_classes` must be int, got True"),
        (change(num_classes=10**12), "too small for a model of images"),
        (change(threads=10**6), "`threads` must be at most 64"),
        (change(epochs=10**400), "`epochs` must be at most 1,000,000,000, got one of 1329 bits"),
        (change(batch_size=10**400), "`batch_size` must be at most"),
        (change(optimizer="__import__('os').system('true')"), "`optimizer` must be one of"),
        (lambda config: json.dumps(config | {"layers": "os.system"}), "unknown: 'layers'"),
        (change(num_classes=0), "`num_classes` must be 1 to 10,000"),
        (change(input_shape="28"), "`input_shape` must be list"),
        (change(input_shape=[28, 28, "1"]), "`input_shape`.2 must be int, got '1'"),
        (change(input_shape=[28, 10**9, 1]), "too small for a model of images"),
        (change(input_shape=[28, 28, 65]), "`input_shape` must be"),
        (change(input_shape=[28, 28, -1]), "positive sizes"),
    ],
)
def test_open_run_refuses_a_wrong_configuration(saved, rewrite, message):
    path = saved.folder / "config.json"
    path.write_text(rewrite(json.loads(path.read_text())))
    with pytest.raises(FileFormatError, match=message):
        open_run(saved.folder)


def test_an_unfinished_run_must_have_a_checkpoint_or_data_as_large_as_its_model(saved):
    path = saved.folder / "config.json"
    config = json.loads(path.read_text())
    assert open_unfinished_run(saved.folder).config == saved.config
    for changes in ({"num_classes": 10**12}, {"num_classes": 9999}, {"input_shape": [256, 256, 64]}):
        path.write_text(change(**changes)(copy.deepcopy(config)))
        with pytest.raises(FileFormatError, match=r"of 'mnist': \(28, 28, 1\), 10"):
            open_unfinished_run(saved.folder)
    with (saved.folder / "checkpoints" / "step-00000001.safetensors").open("wb") as file:
        file.truncate(10**13)  # takes no room
    path.write_text(change(num_classes=10**10)(copy.deepcopy(config)))
    with pytest.raises(FileFormatError, match="`num_classes` must be 1 to 10,000"):
        open_unfinished_run(saved.folder)


def test_a_configuration_does_not_take_more_memory_than_the_weights_justify(saved):
    path = saved.folder / "config.json"
    path.write_text(change(input_shape=[256, 256, 1])(json.loads(path.read_text())))
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match=r"too small for a model of images \(256, 256, 1\)"):
            open_run(saved.folder)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors", "history.csv", "checkpoints"])
@pytest.mark.parametrize("opening", [open_run, open_unfinished_run])
def test_a_run_with_a_link_is_refused_since_training_would_write_where_it_leads(saved, opening, name):
    precious = saved.folder.parent / "precious"
    precious.write_text("{}")
    path = saved.folder / name
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.symlink_to(precious)
    with pytest.raises(FileFormatError, match=f"{name} is a link"):
        opening(saved.folder)
    assert precious.read_text() == "{}"


def test_a_link_among_the_checkpoints_is_refused(saved):
    (saved.folder / "checkpoints" / ".lock").symlink_to(saved.folder.parent / "elsewhere")
    with pytest.raises(FileFormatError, match="is a link"):
        open_unfinished_run(saved.folder)


def test_pipes_and_folders_in_a_run_are_refused_and_not_waited_for(saved):
    for name, reading in (
        ("config.json", open_run),
        ("weights.safetensors", open_run),
        ("history.csv", read_history),
        ("result.json", read_result),
    ):
        path = saved.folder / name
        content = path.read_bytes() if path.exists() else None
        for make in (os.mkfifo, os.mkdir):
            path.unlink(missing_ok=True)
            make(path)
            with pytest.raises(FileFormatError):
                reading(saved.folder)
            path.rmdir() if path.is_dir() else path.unlink()
        if content is not None:
            path.write_bytes(content)


def test_open_run_refuses_bytes_that_are_not_text(saved):
    (saved.folder / "config.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(FileFormatError, match="is not valid JSON"):
        open_run(saved.folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [("config.json", "is not a run folder"), ("weights.safetensors", "its training has not finished")],
)
def test_open_run_says_which_file_is_missing(saved, name, message):
    (saved.folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=message):
        open_run(saved.folder)


def test_open_run_demands_a_folder(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="nowhere' is not a run folder: `minicnn train` creates those"
    ):
        open_run(tmp_path / "nowhere")


def test_open_run_refuses_truncated_weights(saved):
    path = saved.folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FileFormatError, match="is not a valid safetensors file"):
        open_run(saved.folder)


def test_open_run_refuses_the_weights_of_another_model(saved):
    (path := saved.folder / "config.json").write_text(
        change(num_classes=11)(json.loads((saved.folder / "config.json").read_text()))
    )
    assert path.exists()
    with pytest.raises(
        ValueError, match=r"wrongly shaped: layers.11.kernel \(84, 10\) instead of \(84, 11\)"
    ):
        open_run(saved.folder)
