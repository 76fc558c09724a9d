"""What the commands print fits into 80 columns. (Their help: test_parser; `report`: test_report.)"""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_data import write_folder

from minicnn.bench import PEERS, bench_text
from minicnn.bench.plan import Plan
from minicnn.bench.ratios import ratio
from minicnn.cli import main
from minicnn.cli.evaluate import confusion_text
from minicnn.datasets import DATASETS
from minicnn.interop.parity.report import compare_text
from minicnn.models import MODELS, lenet5
from minicnn.profiling import describe_machine, profile, profile_text
from minicnn.testing import ZOO


@pytest.fixture(autouse=True)
def place(monkeypatch):
    """Work on 80 columns in an empty folder with a short path, since paths are not broken."""
    monkeypatch.setenv("COLUMNS", "80")
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.chdir(folder)
        yield Path(folder)
        monkeypatch.undo()


def fits(text):
    widest = max(text.splitlines(), key=len)
    assert len(widest) <= 80, widest
    return text


def test_commands_of_a_run(place, capsys):
    write_folder(place / "toy", train=60, test=40)
    Image.fromarray(np.pad(np.full((20, 4), 255, np.uint8), 8)).save("one.png")
    options = ["--dataset", "toy", "--epochs", "1", "--val-split", "0.2", "--augment", "--threads", "1"]
    for argv in (
        ["train", *options, "--out", "a-run-folder-with-a-long-name"],
        ["train", *options],
        ["train", "--resume", "runs/lenet5-toy-1"],
        ["evaluate", "runs/lenet5-toy-1"],
        ["predict", "runs/lenet5-toy-1", "one.png"],
        ["export", "runs/lenet5-toy-1", "toy.onnx"],
        ["profile", "runs/lenet5-toy-1", "--steps", "1", "--batch-size", "32"],
    ):
        assert main(argv) == 0
        printed = fits(capsys.readouterr().out)
        assert len(printed) > 30


@pytest.mark.parametrize("model", MODELS)
def test_summary(model, capsys):
    assert main(["summary", "--model", model]) == 0
    fits(capsys.readouterr().out)


def test_profile_of_a_large_network():
    found = profile(lenet5().build((28, 28, 1), rng=0), 2, 1, 1)
    for row in (*found["layers"], found["total"]):  # about AlexNet's, in a batch of 128
        row |= {key: 1000 * row[key] for key in ("forward_ms", "backward_ms", "macs", "bytes_cached")}
    found["layers"][1]["name"] = "14 LocalResponseNorm"
    assert "LocalResponseNorm" in fits(profile_text(found))


def test_verdicts_of_grade_and_check(place, capsys):
    (place / "solution.py").write_text("def pool_forward(A_prev, kernel_shape, **more):\n    return A_prev\n")
    assert main(["grade", "solution.py"]) == 1
    report, protection = capsys.readouterr().out.split("\n\n", 1)
    verdicts = [line for line in report.splitlines() if not line.startswith(" " * 6)]
    assert len(verdicts) == 6  # the rest are calls and arrays
    fits("\n".join(verdicts))
    fits(protection)
    assert main(["check", "minicnn:Conv2D(2, 3)", "--input", "4,4,2"]) == 0
    fits(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("dataset", "counts"),
    [
        ("mnist", [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),
        ("fashion-mnist", [1000] * 10),
    ],
)
def test_confusion_matrix_of_a_test_set(dataset, counts):
    matrix = np.full((10, 10), 10) + np.diag(np.array(counts) - 100)
    names = list(DATASETS[dataset].class_names or "0123456789")
    header, *rows = fits(confusion_text(matrix, names)).splitlines()
    assert header.split() == ["truth", "\\", "answer", *"0123456789", "right"]
    for k, row in enumerate(rows):
        right = f"{100 * (counts[k] - 90) / counts[k]:.1f}"
        assert row.split()[-12:] == [*(str(n) for n in matrix[k]), right, "%"]
        assert names[k] in row


def test_confusion_matrix_too_wide_becomes_a_list_of_classes():
    matrix = np.full((12, 12), 1000) + 9000 * np.eye(12, dtype=int)
    matrix[3, 5], matrix[4] = 4321, 0
    lines = fits(confusion_text(matrix, [f"class {k}" for k in range(12)])).splitlines()
    assert len(lines) == 13
    assert lines[4].split() == ["class", "3", "24321", "41.1", "%", "class", "5", "(4321)"]
    assert lines[5].split() == ["class", "4", "0", "·", "·"]


def test_comparison():
    names = ["minicnn", "tensorflow", "keras"]
    layers = [
        {"layer": f"{i} {kind}", "output": 1.2e-16, "dx": 1.2e-16}
        | ({"dkernel": 1.2e-16, "dbias": 1.2e-16} if kind in ("Conv2D", "Dense") else {})
        for i, kind in enumerate(["Conv2D", "ReLU", "Flatten"] * 4)
    ]
    costs = {
        "step_ms": 1234.5,
        "first_step_s": 123.4,
        "peak_memory_mb": 12345.0,
        "installed_mb": 12345.0,
        "test_accuracy": 0.98765,
    }
    results = {
        "settings": {"steps": 10_000, "batch_size": 4096, "seed": 123456789},
        "missing": {},
        "layers": {name: {"float32": layers, "float64": layers} for name in names[1:]},
        "curve_differences": {name: {"float32": [1.2e-7], "float64": [1.2e-16]} for name in names[1:]},
        "rounding": {name: [1.2e-7] for name in names},
        "costs": dict.fromkeys(names, costs),
    }
    text = fits(compare_text(results))
    assert text.count("1.2e-16") == 2 * 2 * (12 * 2 + 4 * 2) + 2
    alone = results | {"layers": {}, "curve_differences": {}, "missing": {"keras": "not installed " * 20}}
    fits(compare_text(alone))


def test_benchmark():
    plan = Plan(tuple(PEERS), 2)
    cases = []
    for case in [case for make in plan.cases.values() for case in make()]:
        values = {name: [100.25, 123.25, 150.25] for name in case.peers}
        ratios = {name: ratio([1.0, 1.0, 1.0], [0.1, 5.0, 99.99]) for name in case.peers[1:]}
        details = {name: [{"epochs": 2}] * 3 for name in case.peers}
        shown = {key: getattr(case, key) for key in ("benchmark", "name", "task", "threads", "unit", "macs")}
        cases.append(shown | {"values": values, "ratios": ratios, "details": details})
    results = {
        "machine": describe_machine(1),
        "settings": {"threads": 2, "limit": 12},
        "peers": dict.fromkeys(PEERS, "10.11.12"),
        "missing": {"dezero": PEERS["dezero"][1]},
        "cases": cases,
        "peaks": {"1": 70.0, "2": 140.0},
        "failed": ["keras, epoch, batch 128: it failed " + "again " * 20],
        "interrupted": True,
    }
    text = fits(bench_text(results))
    assert all(case["name"] in text for case in cases)


@pytest.mark.parametrize("specimen", list(ZOO.values())[:6], ids=lambda specimen: specimen.name)
def test_the_report_of_a_broken_layer(specimen, capsys):
    target = f"{specimen.layer.__module__}:{specimen.layer.__name__}{specimen.arguments or '()'}"
    shape = ",".join(map(str, specimen.input_shape))
    assert main(["check", target, "--input", shape]) == 1
    assert f"\n{specimen.check}: " in fits(capsys.readouterr().out)
