import hashlib

import numpy as np
import pytest

from minicnn.datasets import FOLDER_FORMATS, load_idx_folder, write_idx
from minicnn.datasets.folder import is_idx_folder, load_folder
from minicnn.errors import FileFormatError

SIZES = {"train": 5, "t10k": 3}


def content(split, channels=None):
    """The images and labels of a small data set; all values differ."""
    n = SIZES[split]
    shape = (n, 4, 6) if channels is None else (n, 4, 6, channels)
    first = 0 if split == "train" else 100
    images = (np.arange(np.prod(shape)) + first).astype(np.uint8).reshape(shape)
    return images, np.arange(n, dtype=np.uint8)[::-1]


def fill(folder, style="{name}-idx{ndim}-ubyte.gz", channels=None):
    """Write the four files of a small data set."""
    folder.mkdir(exist_ok=True)
    for split in SIZES:
        images, labels = content(split, channels)
        write_idx(folder / style.format(name=f"{split}-images", ndim=images.ndim), images)
        write_idx(folder / style.format(name=f"{split}-labels", ndim=1), labels)
    return folder


@pytest.mark.parametrize(
    "style",
    [
        "{name}-idx{ndim}-ubyte.gz",
        "{name}-idx{ndim}-ubyte",
        "{name}.idx{ndim}-ubyte",
        "{name}.idx{ndim}-ubyte.gz",
    ],
)
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_load_idx_folder_reads_what_was_written(tmp_path, style, channels):
    splits = load_idx_folder(fill(tmp_path, style, channels))
    for split, (images, labels) in zip(SIZES, splits, strict=True):
        expected_images, expected_labels = content(split, channels)
        assert images.dtype == np.uint8
        assert images.shape == (SIZES[split], 4, 6, channels or 1)
        assert images.tobytes() == expected_images.tobytes()
        assert images.flags.writeable
        assert images.flags.c_contiguous
        np.testing.assert_array_equal(labels, expected_labels)


def test_load_idx_folder_accepts_four_dimensions_under_the_usual_name(tmp_path):
    fill(tmp_path, "{name}-idx3-ubyte", channels=2)
    for split in SIZES:
        (tmp_path / f"{split}-labels-idx3-ubyte").rename(tmp_path / f"{split}-labels-idx1-ubyte")
    assert load_idx_folder(tmp_path)[0][0].shape == (5, 4, 6, 2)


def test_load_idx_folder_accepts_other_integers_as_labels(tmp_path):
    fill(tmp_path)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", np.array([70_000, 0, 1], np.int32))
    assert load_idx_folder(tmp_path)[1][1].tolist() == [70_000, 0, 1]


def test_load_idx_folder_accepts_an_empty_half(tmp_path):
    fill(tmp_path)
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", np.zeros((0, 4, 6), np.uint8))
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", np.zeros(0, np.uint8))
    images, labels = load_idx_folder(tmp_path)[1]
    assert images.shape == (0, 4, 6, 1)
    assert labels.shape == (0,)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (
            "train-images-idx3-ubyte.gz",
            np.zeros((5, 4), np.uint8),
            r"train-images\S+ must contain images.*\(5, 4\)",
        ),
        (
            "t10k-images-idx3-ubyte.gz",
            np.zeros((3, 4, 6), np.float32),
            r"t10k-images\S+ must contain images.*float32",
        ),
        (
            "t10k-images-idx3-ubyte.gz",
            np.zeros((3, 6, 4), np.uint8),
            r"differ in shape: \(4, 6, 1\) and \(6, 4, 1\)",
        ),
        (
            "train-labels-idx1-ubyte.gz",
            np.zeros((5, 1), np.uint8),
            r"train-labels\S+ must contain labels.*\(5, 1\)",
        ),
        (
            "train-labels-idx1-ubyte.gz",
            np.zeros(5, np.float64),
            r"train-labels\S+ must contain labels.*float64",
        ),
        ("train-labels-idx1-ubyte.gz", np.array([0, 1, -3, 1, 0], np.int8), r"train-labels\S+ .* got -3"),
        (
            "train-labels-idx1-ubyte.gz",
            np.zeros(4, np.uint8),
            r"train-labels\S+ .* each of the 5 images .* got 4",
        ),
    ],
)
def test_load_idx_folder_refuses_what_is_no_data_set(tmp_path, name, array, message):
    write_idx(fill(tmp_path) / name, array)
    with pytest.raises(FileFormatError, match=message):
        load_idx_folder(tmp_path)


@pytest.mark.parametrize(
    "name", ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"]
)
def test_load_idx_folder_names_the_missing_or_broken_file(tmp_path, name):
    path = fill(tmp_path) / f"{name}-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(FileFormatError, match=f"{name}-ubyte"):
        load_idx_folder(tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"no such file: .*{name}-ubyte"):
        load_idx_folder(tmp_path)


def test_load_idx_folder_wants_a_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match="must be a folder with four IDX files"):
            load_idx_folder(path)


def test_load_folder_checks_the_digest_of_each_file(tmp_path):
    fill(tmp_path, "{name}-idx{ndim}-ubyte")
    digests = {
        f.name.rsplit("-", 2)[0]: hashlib.sha256(f.read_bytes()).hexdigest() for f in tmp_path.iterdir()
    }
    assert len(digests) == 4
    assert load_folder(tmp_path, digests)[1][1].tolist() == [2, 1, 0]
    for path in sorted(tmp_path.iterdir()):
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        with pytest.raises(FileFormatError, match=f"{path.name} .*SHA-256"):
            load_folder(tmp_path, digests)
        path.write_bytes(good)


def test_a_folder_with_any_of_the_four_files_is_recognised(tmp_path):
    assert not is_idx_folder(tmp_path)
    assert not is_idx_folder(tmp_path / "nowhere")
    write_idx(tmp_path / "t10k-labels.idx1-ubyte.gz", np.zeros(3, np.uint8))
    assert is_idx_folder(tmp_path)


def test_the_format_that_matches_a_folder_loads_it(tmp_path):
    (entry,) = [entry for entry in FOLDER_FORMATS.values() if entry.matches(fill(tmp_path))]
    (x_train, _), (_, y_test) = entry.load(tmp_path)
    np.testing.assert_array_equal(x_train[..., 0], content("train")[0])
    np.testing.assert_array_equal(y_test, content("t10k")[1])
