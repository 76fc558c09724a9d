from pathlib import Path

import numpy as np
import pytest

from minicnn.datasets import load_fashion_mnist, load_mnist, mnist, write_idx
from minicnn.errors import FileFormatError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def fill(folder):
    """Write a sound data set that is neither MNIST nor Fashion-MNIST."""
    folder.mkdir(parents=True)
    for split in ("train", "t10k"):
        write_idx(folder / f"{split}-images-idx3-ubyte.gz", np.zeros((2, 28, 28), np.uint8))
        write_idx(folder / f"{split}-labels-idx1-ubyte.gz", np.zeros(2, np.uint8))
    return folder


def test_load_mnist_returns_the_published_data():
    (x_train, y_train), (x_test, y_test) = load_mnist()
    assert x_train.shape == (60000, 28, 28, 1)
    assert x_test.shape == (10000, 28, 28, 1)
    # Counts of the digits 0 to 9, and mean and deviation of the pixels, as published in many places.
    assert np.bincount(y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert x_train.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert x_train.std() / 255 == pytest.approx(0.3081, abs=5e-5)
    for array in (x_train, y_train, x_test, y_test):
        assert array.dtype == np.uint8
        assert array.flags.writeable
        assert array.flags.c_contiguous


def test_load_mnist_refuses_other_data(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "_MNIST_FOLDER", fill(tmp_path / "mnist"))
    with pytest.raises(
        FileFormatError, match=r"train-images\S+ is not a valid IDX file: its SHA-256 is .*, expected ba89"
    ):
        load_mnist()


@pytest.mark.skipif(not DEBIAN.exists(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_load_fashion_mnist_returns_the_published_data(monkeypatch):
    monkeypatch.delenv("MINICNN_DATA", raising=False)
    (x_train, y_train), (x_test, y_test) = load_fashion_mnist()
    assert x_train.shape == (60000, 28, 28, 1)
    assert x_test.shape == (10000, 28, 28, 1)
    assert np.bincount(y_train).tolist() == [6000] * 10
    assert np.bincount(y_test).tolist() == [1000] * 10
    assert x_train.mean() / 255 == pytest.approx(0.2860, abs=5e-5)
    assert x_train.std() / 255 == pytest.approx(0.3530, abs=5e-5)


@pytest.mark.parametrize("subfolder", ["", "fashion-mnist"])
@pytest.mark.parametrize("source", ["argument", "variable", "Debian"])
def test_load_fashion_mnist_finds_the_folder_and_checks_the_digest(tmp_path, monkeypatch, source, subfolder):
    # That other data are refused, and by which name, tells where they were found.
    place = fill(tmp_path / "here" / subfolder)
    monkeypatch.delenv("MINICNN_DATA", raising=False)
    monkeypatch.setattr(mnist, "_FASHION_FOLDER", place if source == "Debian" else tmp_path / "nowhere")
    if source == "variable":
        monkeypatch.setenv("MINICNN_DATA", str(tmp_path / "here"))
    with pytest.raises(FileFormatError, match=r"SHA-256 is .*, expected c59f") as caught:
        load_fashion_mnist(tmp_path / "here" if source == "argument" else None)
    assert str(place / "train-images-idx3-ubyte.gz") in str(caught.value)


def test_load_fashion_mnist_prefers_the_argument_then_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("MINICNN_DATA", str(fill(tmp_path / "variable")))
    monkeypatch.setattr(mnist, "_FASHION_FOLDER", fill(tmp_path / "Debian"))
    with pytest.raises(FileFormatError, match="argument"):
        load_fashion_mnist(fill(tmp_path / "argument"))
    with pytest.raises(FileFormatError, match="variable"):
        load_fashion_mnist()
    # A folder for data of all kinds need not hold these; a folder that was asked for must.
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    with pytest.raises(FileFormatError, match="Debian"):
        load_fashion_mnist()
    with pytest.raises(FileNotFoundError, match="Fashion-MNIST was not found in"):
        load_fashion_mnist(tmp_path)


def test_load_fashion_mnist_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MINICNN_DATA", "")
    monkeypatch.setattr(mnist, "_FASHION_FOLDER", tmp_path / "nowhere")
    with pytest.raises(
        FileNotFoundError, match=r"not found in \S+nowhere; .*`dataset-fashion-mnist`.*MINICNN_DATA"
    ):
        load_fashion_mnist()
