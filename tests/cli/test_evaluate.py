import io
import json
import shutil
import sys

import numpy as np
import pytest
from toy_data import write_folder

from minicnn import save_model
from minicnn.cli import main
from minicnn.datasets import write_idx
from minicnn.metrics import accuracy, confusion_matrix
from minicnn.runs import TrainConfig, create_run, load_data, open_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return an untrained net that was saved as a run."""
    place = tmp_path_factory.mktemp("evaluate")
    data = load_data(TrainConfig(dataset=str(write_folder(place / "toy"))))
    run = create_run(TrainConfig(dataset=str(place / "toy")), data, place / "run")
    save_model(run.model, run.folder / "model.safetensors")
    return run


def test_evaluate_json_is_what_the_metrics_say(run, capsys):
    assert main(["evaluate", str(run.folder), "--json"]) == 0
    images, labels = load_data(run.config).test
    logits = run.model.predict(images)
    answer = json.loads(capsys.readouterr().out)
    assert answer["accuracy"] == accuracy(logits, labels)
    assert answer["confusion"] == confusion_matrix(labels, logits).tolist()
    assert (answer["images"], answer["dataset"]) == (40, run.config.dataset)
    powers = np.exp(logits.astype(np.float64))
    shares = powers[np.arange(40), labels] / powers.sum(axis=1)
    assert answer["loss"] == pytest.approx(-np.log(shares).mean(), rel=1e-6)


def test_evaluate_prints_accuracy_and_counts(run, capsys):
    assert main(["evaluate", str(run.folder)]) == 0
    scores, table = capsys.readouterr().out.split("\n\n")
    header, *rows = table.splitlines()
    images, labels = load_data(run.config).test
    matrix = confusion_matrix(labels, run.model.predict(images))
    assert " ".join(scores.split()).startswith(
        f"accuracy {100 * np.trace(matrix) / 40:.2f} % of 40 test images of "
    )
    assert header.split() == ["truth", "\\", "answer", *"0123456789", "right"]
    assert [row.split()[1:11] for row in rows] == [[str(n) if n else "·" for n in line] for line in matrix]


def test_evaluate_escapes_what_the_output_cannot_hold(run, monkeypatch):
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    assert main(["evaluate", str(run.folder)]) == 0
    assert b"  \\xb7  " in output.buffer.getvalue()


def test_evaluate_on_another_data_set(run, tmp_path, capsys):
    write_folder(tmp_path / "other", test=10)
    assert main(["evaluate", str(run.folder), "--json", "--dataset", str(tmp_path / "other")]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 10


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 20}, "examples must have shape (28, 28, 1)"),
        ({"classes": 11}, "labels must be class indices in [0, 10), got 10"),
    ],
)
def test_evaluate_refuses_data_that_do_not_fit_the_net(run, tmp_path, capsys, settings, message):
    write_folder(tmp_path / "other", **settings)
    assert main(["evaluate", str(run.folder), "--dataset", str(tmp_path / "other")]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_evaluate_refuses_a_ruined_net(run, tmp_path, capsys, options):
    shutil.copytree(run.folder, tmp_path / "ruined")
    ruined = open_run(run.folder).model
    ruined[0].bias.value = np.full(6, np.nan)
    save_model(ruined, tmp_path / "ruined" / "model.safetensors")
    assert main(["evaluate", str(tmp_path / "ruined"), *options]) == 2
    captured = capsys.readouterr()
    assert captured.err == ("minicnn evaluate: the network's outputs are not finite: its training diverged\n")
    assert captured.out == ""


def test_evaluate_refuses_what_is_not_a_run(tmp_path, capsys):
    for folder in (tmp_path / "nowhere", tmp_path):
        assert main(["evaluate", str(folder)]) == 2
        captured = capsys.readouterr()
        assert captured.err == (
            f"minicnn evaluate: '{folder}' is not a run folder: `minicnn train` creates those\n"
        )


def test_evaluate_refuses_a_broken_data_set(run, tmp_path, capsys):
    write_folder(tmp_path / "other")
    write_idx(tmp_path / "other" / "t10k-labels-idx1-ubyte", np.zeros(39, np.uint8))
    assert main(["evaluate", str(run.folder), "--dataset", str(tmp_path / "other")]) == 2
    assert "must contain one label for each of the 40 images" in capsys.readouterr().err
