import runpy
from pathlib import Path

import numpy as np
import pytest

from minicnn import load_model, save_model
from minicnn.datasets.class_folders import list_images
from minicnn.testing import check_layer

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name, *arguments):
    runpy.run_path(str(EXAMPLES / name))["main"](list(arguments))


def test_train_lenet5_learns(capsys):
    run("train_lenet5.py", "--epochs", "1", "--limit", "2500")
    lines = capsys.readouterr().out.splitlines()
    (accuracy,) = (line for line in lines if line.startswith("test accuracy: "))
    assert float(accuracy.split()[2]) > 60


def test_custom_layer_is_right_and_learns(capsys):
    run("custom_layer.py", "--epochs", "1", "--limit", "2500")
    error, checked, accuracy, slopes = capsys.readouterr().out.splitlines()
    assert float(error.split()[-1]) < 1e-7
    assert checked == "check_layer found nothing wrong"
    assert float(accuracy.split()[2]) > 60
    assert len(slopes.partition("[")[2].split()) == 8


def test_a_loop_of_ones_own_learns(capsys):
    run("own_loop.py", "--limit", "2500")
    attacked, accuracy = (float(line.split()[-1]) for line in capsys.readouterr().out.splitlines())
    assert 0.15 < attacked < accuracy
    assert accuracy > 0.6


@pytest.mark.campaign  # as the pictures of the other chapters, which .ci/run makes
def test_the_pictures_of_the_chapter_on_training(tmp_path, capsys):
    run("training/pictures.py", "--limit", "150", "--epochs", "0.1", "--out", str(tmp_path))
    names = ["classes.png", "rates.png", "schedules.png", "stopping.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert len(capsys.readouterr().out.splitlines()) == 14


def test_a_net_of_ones_own_comes_back_from_its_file(capsys):
    run("model_files/nets.py", "--limit", "2000")
    accuracy, size, same = capsys.readouterr().out.splitlines()
    assert float(accuracy.split()[2]) > 20
    assert "classes digit 0, digit 1, digit 2" in size
    assert same.endswith("bit for bit: True")


def test_the_net_of_the_chapter_on_own_nets(tmp_path):
    run("your_own_net/letters.py", str(tmp_path / "letters"), "--count", "1")
    listing = list_images(tmp_path / "letters", "test")
    assert (len(listing.files), listing.names) == (10, list("ABCDEFGHIJ"))
    nets = runpy.run_path(str(EXAMPLES / "your_own_net" / "nets.py"))
    check_layer(nets["ChannelGate"](2), (3, 2, 4), only=["gradients"])
    model = nets["gated"](3).build((16, 12, 3), rng=0)
    save_model(model, tmp_path / "net.safetensors")
    loaded = load_model(tmp_path / "net.safetensors", [nets["ChannelGate"]])
    x = np.random.default_rng(0).normal(size=(2, 16, 12, 3)).astype(np.float32)
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
