import doctest
import importlib
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from minicnn.datasets import load_mnist

FOLDER = Path(__file__).parent.parent.parent / "examples" / "alexnet"
FASHION = Path("/usr/share/datasets/fashion-mnist")
MODULES = ("figures", "lab", "looking", "patches")


@pytest.fixture
def script(monkeypatch):
    """Run a script as `python examples/alexnet/NAME` would, its neighbours importable; return its names."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield lambda name: runpy.run_path(str(FOLDER / name))
    for module in MODULES:
        sys.modules.pop(module, None)


@pytest.fixture
def claims(script, monkeypatch):
    """Return the main function of claims.py, which tests with the first 1,000 digits: 10,000 take longer."""
    main = script("claims.py")["main"]
    train, (x, y) = load_mnist()
    monkeypatch.setitem(sys.modules["lab"].DATA, "mnist", lambda: (train, (x[:1000], y[:1000])))
    return main


@pytest.mark.ci
def test_a_claim_is_tried_reported_and_drawn(claims, tmp_path, capsys):
    arguments = ["pooling", "--dataset", "mnist", "--size", "0.03", "--seeds", "3", "4", "--processes", "1"]
    claims([*arguments, "--out", str(tmp_path)])
    found = json.loads((tmp_path / "claims.json").read_text())["pooling"]
    # 150 images of digits: far from guessing, which is 90 % wrong, far from good.
    assert all(2 < error < 70 for errors in found["test"].values() for error in errors)
    assert [len(errors) for errors in found["test"].values()] == [2, 2]
    assert found["seeds"] == [3, 4]
    assert found["seen"] in capsys.readouterr().out
    assert (tmp_path / "pooling.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("claim", "size", "verdict"),
    [
        # No image was learned, which says nothing against ReLU.
        pytest.param(*("relu", "0.004", "undecided: 4 runs did not come so far"), marks=pytest.mark.campaign),
        # The pixels are the better neighbours, though nearer.
        ("looking", "0.01", "not distinguishable from chance"),
    ],
)
def test_a_claim_that_cannot_be_tried_has_no_verdict(claims, tmp_path, claim, size, verdict):
    arguments = [claim, "--dataset", "mnist", "--size", size, "--seeds", "0", "1", "--processes", "1"]
    claims([*arguments, "--out", str(tmp_path)])
    assert json.loads((tmp_path / "claims.json").read_text())[claim]["verdict"] == verdict


def test_variants_differ_only_in_their_switch(script):
    lab = script("lab.py")
    run, net = lab["Run"], lab["make_net"]
    weights = net(run(seed=5)).get_weights()
    for switched in (run(seed=5, pool=2), run(seed=5, alpha=1e-4), run(seed=5, dropout=0.5)):
        for own, other in zip(weights, net(switched).get_weights(), strict=True):
            np.testing.assert_array_equal(own, other)
    (x, _), _ = lab["split"](run(seed=5, data="mnist"))
    (same, _), _ = lab["split"](run(seed=5, data="mnist", dropout=0.5))
    (other, _), _ = lab["split"](run(seed=6, data="mnist"))
    np.testing.assert_array_equal(x, same)
    assert (x != other).any()


def test_the_held_out_images_are_not_trained_on(script):
    lab = script("lab.py")
    (x, _), (held_out, _) = lab["split"](lab["Run"](data="mnist", images=20_000, validate=True))
    assert len(held_out) == 5000
    trained = {image.tobytes() for image in x}
    assert sum(image.tobytes() in trained for image in held_out) <= 1  # MNIST may hold an image twice


def test_verdict_on_is_the_paired_t_interval(script):
    verdict_on = script("lab.py")["verdict_on"]
    # By hand: mean 2, standard deviation 1, half width 4.30 / sqrt(3) = 2.48.
    assert verdict_on([1.0, 2.0, 3.0]) == (
        "+2.00 (95 % interval -0.48 to +4.48)",
        "not distinguishable from chance",
    )
    assert verdict_on([2.9, 3.0, 3.1])[1] == "agrees"
    assert verdict_on([-2.9, -3.0, -3.1])[1] == "disagrees"


@pytest.mark.parametrize("module", ["lab", "looking"])
def test_the_examples_in_docstrings_are_true(script, module):
    script(f"{module}.py")  # which is what makes it importable
    assert doctest.testmod(importlib.import_module(module)) == (0, 1 + (module == "lab"))


def test_ten_patches_are_moved_and_mirrored(script):
    patches = script("patches.py")["ten_patches"](
        np.arange(1, 10, dtype=np.uint8).reshape(1, 3, 3, 1), shift=1
    )
    shown = [patch[0, :, :, 0].tolist() for patch in patches]
    assert shown[0] == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert shown[1] == [[3, 2, 1], [6, 5, 4], [9, 8, 7]]
    assert shown[2] == [[5, 6, 0], [8, 9, 0], [0, 0, 0]]  # one up, one to the left
    assert shown[8] == [[0, 0, 0], [0, 1, 2], [0, 4, 5]]  # one down, one to the right
    assert len(shown) == 10


def test_nearest_rows_come_in_order_of_distance(script):
    nearest = script("looking.py")["nearest_rows"](
        np.array([[0.0, 0.0], [9.0, 1.0]]), np.array([[8.0, 0.0], [1.0, 1.0], [3.0, 0.0]]), count=2
    )
    np.testing.assert_array_equal(nearest, [[1, 2], [0, 2]])


@pytest.mark.skipif(not FASHION.exists(), reason="Debian's package dataset-fashion-mnist is not installed")
@pytest.mark.ci
def test_small_alexnet_trains(script, capsys, tmp_path):
    small = script("small.py")
    assert sum(p.size for p in small["small_alexnet"]().build((28, 28, 1)).parameters()) == 210_298
    small["main"](["--limit", "640", "--epochs", "2", "--threads", "1", "--out", str(tmp_path)])
    one, ten = capsys.readouterr().out.splitlines()[-2:]
    assert one.startswith("held_out accuracy, the image alone: ")
    assert float(one.split()[5]) > 20  # after 20 steps; guessing gives 10
    assert ten.startswith("held_out accuracy, ten patches: ")
