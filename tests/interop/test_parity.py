import importlib
import importlib.util
import json

import keras
import numpy as np
import pytest

from minicnn import models
from minicnn.cli import main
from minicnn.interop import compare, parity
from minicnn.interop.parity.report import compare_text


@pytest.fixture
def floatx():
    """Restore what the net of Keras sets for its process."""
    yield
    keras.config.set_floatx("float32")


@pytest.mark.parametrize("name", ["tensorflow", "keras"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [pytest.param("float32", 1e-5, marks=pytest.mark.ci), ("float64", 1e-12)]
)
def test_the_nets_that_compare_runs_agree(floatx, name, dtype, tolerance):
    rng = np.random.default_rng(0)
    x, y = rng.random((8, 28, 28, 1)).astype(dtype), rng.integers(0, 10, 8).astype(np.uint8)
    weights = models.lenet5().build((28, 28, 1), rng=0, dtype="float64").get_weights()
    modules = [importlib.import_module(f"minicnn.interop.parity.{each}_net") for each in ("minicnn", name)]
    ours, theirs = (module.Net(weights, dtype) for module in modules)
    rows = parity.differences.compare_layers(
        *({f"{dtype} {key}": value for key, value in net.layers(x, y).items()} for net in (ours, theirs))
    )[dtype]
    assert sum(len(row) - 1 for row in rows) == 12 * 2 + 5 * 2  # outputs and dx; kernels and biases
    assert all(row[key] < tolerance for row in rows for key in row.keys() - {"layer"})
    losses = [[net.step(x, y) for _ in range(2)] for net in (ours, theirs)]
    np.testing.assert_allclose(*losses, rtol=1e-4 if dtype == "float32" else 1e-10)
    np.testing.assert_array_equal(*(net.predict(x).argmax(axis=1) for net in (ours, theirs)))
    theirs.epoch(x, y, 4)
    assert theirs.step(x, y) < losses[1][1]


@pytest.mark.campaign  # each framework is imported by its own process: .ci/run runs the command, too
def test_compare_runs_all_three_and_tells_the_truth(tmp_path, capsys):
    assert (
        main(["compare", "--steps", "4", "--batch-size", "8", "--test-images", "99", "--out", str(tmp_path)])
        == 0
    )
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "compare.json").read_text())
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")
    assert results["missing"] == {}
    for name in ("tensorflow", "keras"):
        for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-12)):
            rows = results["layers"][name][dtype]
            assert [row["layer"] for row in rows][:3] == ["0 Conv2D", "1 ReLU", "2 Pool2D"]
            assert sum(len(row) - 1 for row in rows) == 12 * 2 + 5 * 2  # outputs and dx; kernels and biases
            assert all(row[key] < tolerance for row in rows for key in row.keys() - {"layer"})
        assert max(results["curve_differences"][name]["float64"]) < 1e-10
        assert len(results["curves"][name]["float32"]) == 4
        rounding = [abs(a - b) / b for a, b in zip(*results["curves"][name].values(), strict=True)]
        assert results["rounding"][name] == rounding
        assert f"{max(rounding):.1e}" in printed
    costs = results["costs"]
    assert costs["minicnn"]["installed_mb"] < costs["tensorflow"]["installed_mb"]
    assert f"{costs['keras']['step_ms']:.1f} ms" in printed
    assert all(0 < cost["test_accuracy"] < 1 and cost["first_step_s"] > 0 for cost in costs.values())


def test_compare_says_what_is_missing_and_runs_without(monkeypatch, tmp_path, capsys):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tensorflow" else found(name)
    )
    assert (
        main(["compare", "--steps", "2", "--batch-size", "8", "--test-images", "9", "--out", str(tmp_path)])
        == 0
    )
    results = json.loads((tmp_path / "compare.json").read_text())
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")
    assert len(results["curves"]["minicnn"]["float64"]) == 2
    assert 0 <= results["costs"]["minicnn"]["test_accuracy"] < 1
    assert results["missing"].keys() == {"tensorflow", "keras"}
    text = compare_text(results)
    assert text in capsys.readouterr().out
    assert "Left out: TensorFlow; pip install 'minicnn-numpy[tensorflow]'" in text
    assert "minicnn" in text.splitlines()[-6]
    assert "TensorFlow" not in text.partition("Largest relative difference")[2]


def test_compare_refuses_what_it_cannot_count():
    for wrong in ({"steps": 0}, {"batch_size": 0}, {"seed": -1}, {"test_images": 0}):
        with pytest.raises(ValueError, match=f"`{next(iter(wrong))}` must be at least"):
            compare(**wrong)


def test_a_framework_that_does_not_run_is_left_out(tmp_path):
    with pytest.raises(RuntimeError, match=r"could not run: .*weight0"):
        parity.run_worker("minicnn", tmp_path)  # no task is there


def test_relative_difference_is_that_of_the_largest():
    assert parity.differences.relative_difference(np.array([1.0, -4]), np.array([1.5, -5])) == 0.2


def test_curves_that_reach_zero_can_be_compared():
    assert parity.differences.compare_curves([1.5, 0.0, 0.25], [1.0, 0.0, 0.0]) == [0.5, 0.0, 0.25]
