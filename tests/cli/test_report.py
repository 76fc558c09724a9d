import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from toy_data import write_folder

from minicnn import save_model
from minicnn.cli import main
from minicnn.metrics import accuracy
from minicnn.runs import load_data, open_run
from minicnn.runs.evaluation import Evaluation
from minicnn.runs.sections import SECTIONS
from minicnn.runs.train import evaluate


class Read(HTMLParser):
    """Collects headings, rows of tables and alternative texts."""

    def __init__(self, path):
        super().__init__()
        self.alts, self.texts, self.path, self.rows = [], {}, [], {}
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.alts.append(dict(attrs)["alt"])
        self.path.append(tag)

    def handle_data(self, data):
        if data.strip():
            self.texts.setdefault(self.path[-1], []).append(data)
            if self.path[-1] == "td":
                self.rows.setdefault(self.texts["h2"][-1], {})[self.texts["th"][-1]] = data


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the folder of a run; its data are in a folder with an unfriendly name."""
    place = tmp_path_factory.mktemp("report")
    data = write_folder(place / "<b>toy & co", train=60, test=40)
    argv = ["--dataset", str(data), "--epochs", "2", "--threads", "1", "--out", str(place / "run")]
    assert main(["train", *argv, "--batch-size", "20"]) == 0
    return place / "run"


def trained_history(run):
    header, *_, last = (run / "history.csv").read_text().splitlines()
    return dict(zip(header.split(","), map(float, last.split(",")), strict=True))


@pytest.mark.ci
def test_report_has_all_of_a_run(run, capsys, monkeypatch):
    monkeypatch.chdir(run.parent)
    assert main(["report", run.name]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"written to {Path(run.name, 'report.html')}, ")
    assert max(map(len, printed.splitlines())) <= 80
    read = Read(run / "report.html")
    trained = open_run(run)
    images, labels = load_data(trained.config).test
    right = accuracy(trained.model.predict(images), labels)
    assert f"{100 * right:.2f} % of 40 test images right" in read.texts["p"][0]
    training, settings, evaluation = (read.rows[name] for name in ("Training", "Settings", "Evaluation"))
    assert settings["data set"] == trained.config.dataset  # escaped, it comes back as it was
    assert (settings["batch size"], settings["optimizer"]) == ("20 images", "adamw")
    assert (training["state"], training["parameters"]) == ("finished", "61,706")
    assert not [name for name in training if "test" in name]
    assert evaluation["right"] == f"{round(40 * right)} ({100 * right:.2f} %)"
    loss = json.loads((run / "result.json").read_text())["test_loss"]
    assert evaluation["loss"] == f"{loss:.3g}, the mean cross-entropy in nats"
    assert read.rows["Software"]["numpy"] == np.__version__
    assert read.texts["pre"][0] == trained.model.summary()
    assert read.texts["h2"] == [
        *("Learning curves", "Confusion matrix", "Mistakes", "One image, layer by layer"),
        *(
            "Map of the last hidden layer",
            "Kernels",
            "Evaluation",
            "Training",
            "Settings",
            "Layers",
            "Software",
        ),
    ]
    assert len(read.alts) == len(read.texts["figcaption"]) == 8
    assert all(read.alts)
    last = trained_history(run)
    assert (
        f"{100 * (1 - last['accuracy']):.2f} % wrong, loss {last['loss']:.3g}." in read.texts["figcaption"][0]
    )
    assert f"On the test images, the diamond: {100 * (1 - right):.2f} % wrong" in read.texts["figcaption"][0]


def test_sections_of_a_training_that_was_killed_and_of_a_single_image(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    trained = open_run(tmp_path / "run")
    images, labels = (array[:1] for array in load_data(trained.config).test)
    evaluation = Evaluation(trained, "test", images, labels, *evaluate(trained.model, images, labels))
    assert "of 1 test image right" in evaluation.headline
    assert "The training has not finished." in "".join(SECTIONS["Training"](evaluation))
    assert "<td>1 test image</td>" in "".join(SECTIONS["Evaluation"](evaluation))
    assert [*SECTIONS["Software"](evaluation), *SECTIONS["Map of the last hidden layer"](evaluation)] == []


@pytest.mark.campaign
def test_report_of_a_training_that_was_killed_evaluated_on_some_images(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    argv = ["report", str(tmp_path / "run"), "--limit", "1", "--out", str(tmp_path / "a.html")]
    assert main(argv) == 0
    read = Read(tmp_path / "a.html")
    assert "of 1 test image right" in read.texts["p"][0]
    assert "The training has not finished." in read.texts["p"]
    assert len(read.alts) == 7  # of a single image there is no map


def test_report_refuses_wrong_input(run, tmp_path, capsys):
    assert main(["report", str(run), "--out", str(tmp_path / "a.txt")]) == 2
    assert "--out must end in .html" in capsys.readouterr().err
    assert main(["report", str(run), "--limit", "0"]) == 2
    assert "--limit must be at least 1, got 0" in capsys.readouterr().err
    shutil.copytree(run, tmp_path / "ruined")
    ruined = open_run(run).model
    ruined[0].bias.value = np.full(6, np.nan)
    save_model(ruined, tmp_path / "ruined" / "model.safetensors")
    assert main(["report", str(tmp_path / "ruined"), "--out", str(tmp_path / "a.html")]) == 2
    assert "outputs are not finite" in capsys.readouterr().err
    assert not (tmp_path / "a.html").exists()
