import csv
import errno
import json
import os
import subprocess
import sys

import pytest
from full_disk import full_disk
from toy_data import write_folder

import minicnn
from minicnn.cli import main
from minicnn.runs import TrainConfig, create_run, load_data, open_run, read_history, read_result
from minicnn.training.progress import numbers_text


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("toy") / "toy")


def train(*arguments):
    return main(["train", "--threads", "1", *map(str, arguments)])


def test_train_writes_a_run_folder_and_prints_its_progress(dataset, tmp_path, capsys):
    out = tmp_path / "run"
    options = ("--epochs", 8, "--batch-size", 20, "--val-split", 0)
    assert train("--dataset", dataset, *options, "--out", out) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        *("checkpoints", "config.json", "confusion.png", "curves.png", "errors.png"),
        *("history.csv", "model.safetensors", "result.json"),
    ]
    assert all((out / name).read_bytes().startswith(b"\x89PNG") for name in ("curves.png", "errors.png"))
    with (out / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == list("01234567")
    assert list(rows[0]) == ["epoch", "loss", "accuracy"]
    result = read_result(out)
    assert result["test_accuracy"] == 1.0  # of ten squares at ten places
    config = json.loads((out / "config.json").read_text())
    assert config["train"]["dataset"] == str(dataset)
    assert (config["input_shape"], config["num_classes"]) == ([28, 28, 1], 10)

    out_text, progress = capsys.readouterr()
    printed = " ".join(out_text.split())
    assert "lenet5: 12 layers, 61,706 parameters" in printed
    assert "160 images of 28x28x1, evaluated on 40 test images" in printed
    assert "100.00 % of 40 test images (error 0.00 %" in printed
    assert f"minicnn predict {out} IMAGE..." in printed
    lines = progress.splitlines()
    assert len(lines) == 8
    shown = numbers_text({"loss": float(rows[7]["loss"]), "accuracy": 1.0})
    assert lines[7].startswith(f"epoch 8/8: {shown}, ")


def test_every_option_reaches_the_config(tmp_path):
    colour = write_folder(tmp_path / "colour", size=16, channels=3, train=60)
    options = {
        "model": "lenet5-1998",
        "dataset": str(colour),
        "epochs": 1,
        "batch_size": 17,
        "optimizer": "sgd",
        "lr": 0.25,
        "weight_decay": 0.125,
        "schedule": "constant",
        "label_smoothing": 0.25,
        "seed": 9,
        "limit": 50,
        "val_split": 0.2,
        "threads": 2,
    }
    arguments = [
        text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", str(value))
    ]
    assert main(["train", *arguments, "--augment", "--out", str(tmp_path / "run")]) == 0
    run = open_run(tmp_path / "run")
    assert run.config.to_dict() == options | {
        "augment": True,
        "data": None,
        "labels": None,
        "size": None,
        "channels": None,
        "resize": "crop",
        "background": "white",
        "value_range": None,
        "skip_unreadable": False,
        "stream": False,
    }
    assert run.model.input_shape == (32, 32, 3)
    assert "val_accuracy" in read_history(tmp_path / "run").history


def test_train_names_the_folder_and_remembers_where_the_data_are(dataset, monkeypatch, capsys):
    monkeypatch.chdir(dataset.parent)
    # It diverges at once, which spares the pictures.
    assert train("--dataset", dataset.name, "--lr", 1e30, "--schedule", "constant") == 2
    assert "runs/lenet5-toy-1\n" in capsys.readouterr().out
    config = json.loads((dataset.parent / "runs" / "lenet5-toy-1" / "config.json").read_text())
    assert config["train"]["dataset"] == str(dataset)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "-1"], "--epochs must be at least 0, got -1"),
        (["--lr", "nan"], "--lr must be in [0, inf), got nan"),
        (["--seed", "-3"], "--seed must be at least 0, got -3"),
        (["--dataset", "nmist"], "the data set must be mnist, fashion-mnist"),
        (["--dataset", "empty"], "empty has no class folders: make a folder for each class"),
        (["--data", "."], "--data is only for fashion-mnist, not for mnist"),
        (["--dataset", "fashion-mnist", "--data", "nowhere"], "Fashion-MNIST was not found in"),
        (["--dataset", "TOY", "--val-split", "1"], "--val-split must be in [0, 1), got 1"),
        (["--dataset", "TOY", "--size", "9"], "--size is for folders of pictures, not for "),
        (["--dataset", "TOY", "--out", "full"], "full is not an empty folder: choose a new one"),
        (["--dataset", "TOY", "--out", "full/file/run"], "full/file/run: Not a directory"),
        (["--dataset", "TOY", "--out", "/proc/run"], "/proc/run: No such file or directory"),
        (
            ["--dataset", "TOY", "--lr", "1e30", "--schedule", "constant"],
            "loss became nan in epoch 0, step 1",
        ),
    ],
)  # fmt: skip
def test_wrong_input_ends_in_one_line(dataset, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "full" / "file").touch()
    assert train(*(str(dataset) if argument == "TOY" else argument for argument in arguments)) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("minicnn train: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_images_too_small_for_the_net_are_refused(tmp_path, capsys):
    write_folder(tmp_path / "tiny", size=8)
    assert train("--dataset", tmp_path / "tiny", "--out", tmp_path / "run") == 2
    assert "layer 3 (Conv2D)" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_full_disk_is_reported_in_one_line(dataset, tmp_path):
    command = [sys.executable, "-m", "minicnn", "train", "--dataset", str(dataset)]
    command += ["--epochs", "1", "--batch-size", "128"]
    with full_disk(2000):
        result = subprocess.run([*command, "--out", str(tmp_path / "run")], capture_output=True, text=True)
    assert result.returncode == 2
    checkpoint = tmp_path / "run" / "checkpoints" / "step-00000002.safetensors"
    assert result.stderr.splitlines()[-1] == (
        f"minicnn train: {checkpoint}: File too large; free some disk space; "
        f"to resume from the last checkpoint, call fit again or run `minicnn train --resume`"
    )
    names = ["checkpoints", "config.json", "history.csv"]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == names


def stop(folder, monkeypatch):
    """Train until the fourth step is made and its checkpoint cannot be written; no pictures from now on."""
    monkeypatch.setitem(sys.modules, "minicnn.plots", None)
    monkeypatch.delattr(minicnn, "plots", raising=False)
    monkeypatch.setattr(os, "replace", lambda a, b: FULL(b) if "step-00000004" in str(b) else REPLACE(a, b))
    assert train(*folder, "--checkpoint-every", 1) == 2
    monkeypatch.setattr(os, "replace", REPLACE)


REPLACE = os.replace


def FULL(path):  # noqa: N802
    raise OSError(errno.ENOSPC, "No space left on device")


def test_resume_continues_and_reports_a_finished_run(dataset, tmp_path, monkeypatch, capsys):
    arguments = ["--dataset", dataset, "--epochs", 2, "--batch-size", 50, "--seed", 3, "--optimizer", "adam"]
    stop([*arguments, "--out", tmp_path / "run"], monkeypatch)
    assert "free some disk space" in capsys.readouterr().err
    assert train(*arguments, "--out", tmp_path / "whole") == 0
    assert main(["train", "--resume", str(tmp_path / "run")]) == 0
    assert "accuracy" in capsys.readouterr().out
    for name in ("model.safetensors", "history.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()}
    assert main(["train", "--resume", str(tmp_path / "run"), "--seed", "3"]) == 0
    assert f"{tmp_path / 'run'} is already finished" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()} == before


def test_resume_reports_a_broken_checkpoint_in_a_line(dataset, tmp_path, monkeypatch, capsys):
    stop(["--dataset", dataset, "--epochs", 2, "--batch-size", 50, "--out", tmp_path / "run"], monkeypatch)
    (tmp_path / "run" / "checkpoints" / "step-00000003.safetensors").write_bytes(b"")
    capsys.readouterr()
    assert main(["train", "--resume", str(tmp_path / "run"), "--checkpoint-every", "9"]) == 0
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith("minicnn train: ")
    assert first.endswith("resuming from step-00000002.safetensors, the one before")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lr", "0.5"], "--lr must be 0.003, as in the resumed run, or omitted, got 0.5"),
        (["--augment"], "--augment must be False, as in the resumed run, or omitted, got True"),
        (["--dataset", "mnist"], "--dataset must be /"),
        (["--batch-size", "128"], "--batch-size must be 50, as in the resumed run, or omitted, got 128"),
        (["--out", "elsewhere"], "--out must be the folder of the resumed run"),
        (["--checkpoint-every", "0"], "--checkpoint-every must be at least 1, got 0"),
    ],
)
def test_resume_refuses_what_contradicts_the_run(dataset, tmp_path, monkeypatch, capsys, arguments, message):
    config = TrainConfig(dataset=str(dataset), epochs=2, batch_size=50, threads=1)
    create_run(config, load_data(config), tmp_path / "run")
    assert main(["train", "--resume", str(tmp_path / "run"), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_resume_refuses_what_is_not_a_run(tmp_path, capsys):
    assert main(["train", "--resume", str(tmp_path)]) == 2
    assert "is not a run folder" in capsys.readouterr().err


def test_a_ruined_net_is_reported_without_pictures(dataset, tmp_path, capsys):
    arguments = (
        "--lr",
        1e30,
        "--optimizer",
        "sgd",
        "--schedule",
        "constant",
        "--batch-size",
        160,
        "--val-split",
        0,
    )
    assert train("--dataset", dataset, *arguments, "--epochs", 1, "--out", tmp_path / "run") == 1
    assert "no pictures: the network's outputs are not finite" in capsys.readouterr().out
    assert read_result(tmp_path / "run")["test_loss"] is None
