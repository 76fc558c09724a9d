import io
import random
import struct
import zipfile

import numpy as np
import pytest
from fuzz.mutations import mutated

from minicnn import FileFormatError
from minicnn.datasets import load_npz
from minicnn.datasets.npz import read_npz

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 256, (6, 4, 5), dtype=np.uint8), np.array([3, 1, 2, 0, 3, 3], np.uint8)


def saved(folder, save=np.savez, **arrays):
    path = folder / "set.npz"
    save(path, **({"x_train": X, "y_train": Y, "x_test": X[:2], "y_test": Y[:2]} | arrays))
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, ">i4", np.uint16])
def test_load_npz_has_the_arrays(tmp_path, save, dtype):
    labels = Y.reshape(-1, 1).astype(np.int64)
    path = saved(tmp_path, save, x_train=np.asfortranarray(X.astype(dtype)), y_train=labels)
    (x, y), (x_test, y_test) = load_npz(path)
    assert x.dtype == np.uint8
    assert np.array_equal(x, X[..., None])
    assert y.tolist() == Y.tolist()
    assert np.array_equal(x_test, X[:2, ..., None])
    assert y_test.tolist() == [3, 1]


def test_load_npz_leaves_floats_as_they_are(tmp_path):
    colours = RNG.random((6, 4, 5, 3)).astype(np.float32)
    (x, _), _ = load_npz(saved(tmp_path, x_train=colours, x_test=colours[:2]))
    assert x.dtype == np.float32
    assert np.array_equal(x, colours)


def test_read_npz_takes_sets_without_test(tmp_path):
    path = tmp_path / "set.npz"
    np.savez(path, x_train=X, y_train=Y)
    assert [*read_npz(path)[0]] == ["train"]
    np.savez(path, x_train=X, y_train=Y, x_val=X, y_val=Y)
    assert [*read_npz(path)[0]] == ["train", "val"]
    with pytest.raises(FileFormatError, match="has no arrays x_test and y_test"):
        load_npz(path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": X[0]}, r"x_train must be images, .* got uint8 \(4, 5\)"),
        ({"x_train": X.astype(str)}, "x_train must be images"),
        ({"x_train": X.astype(np.int64) - 1}, "x_train must be integers from 0 to 255, or floats, got -1 to"),
        ({"x_train": X.astype(np.uint16) * 9}, "x_train must be integers from 0 to 255, or floats, got "),
        ({"x_train": X[:5]}, "x_train has 5 images, but y_train 6 labels"),
        ({"x_test": X[:2, :3]}, r"images of x_train have shape \(4, 5, 1\), those of x_test \(3, 5, 1\)"),
        (
            {"y_train": np.eye(6)},
            r"y_train must be integers \(N,\), got float64 \(6, 6\); give one-hot labels as class indices",
        ),
        ({"y_train": Y.astype(np.int8) - 1}, "y_train must be labels of at least 0, got -1"),
        ({"y_train": np.array([None] * 6)}, "y_train holds Python objects, which are never read"),
    ],
)
def test_load_npz_says_what_is_wrong(tmp_path, arrays, message):
    with pytest.raises(FileFormatError, match=message):
        load_npz(saved(tmp_path, **arrays))


def test_an_archive_may_name_its_classes(tmp_path):
    arrays, path = {"x_train": X, "y_train": Y}, tmp_path / "set.npz"
    np.savez(path, **arrays)
    assert read_npz(path)[1] is None
    names = [f"class {number}" for number in range(Y.max() + 1)]
    np.savez(path, **arrays, class_names=names)
    assert read_npz(path)[1] == names
    for wrong, message in (
        (names[:-1], rf"y_train has the label {Y.max()}, but there are {Y.max()} class_names"),
        ([names[0], *names[:-1]], "must be printable, and each a different one"),
        ([*names[:-1], "a\nb"], "must be printable"),
        ([*names[:-1], ""], "must be printable"),
        (range(len(names)), r"class_names must be text \(classes,\), got int64"),
        ([names], r"class_names must be text \(classes,\)"),
    ):
        np.savez(path, **arrays, class_names=wrong)
        with pytest.raises(FileFormatError, match=message):
            read_npz(path)


def test_images_with_channels_first_are_refused(tmp_path):
    for shape in ((6, 3, 8, 8), (6, 1, 28, 28)):
        np.savez(tmp_path / "set.npz", x_train=np.zeros(shape, np.uint8), y_train=np.arange(6) % 2)
        with pytest.raises(FileFormatError, match=r"looks like \(N, C, H, W\): transpose it by"):
            read_npz(tmp_path / "set.npz")
    for shape in ((6, 3, 8, 4), (6, 1, 4, 4), (6, 8, 8, 3)):
        np.savez(tmp_path / "set.npz", x_train=np.zeros(shape, np.uint8), y_train=np.arange(6) % 2)
        assert read_npz(tmp_path / "set.npz")[0]["train"][0].shape == shape


def test_load_npz_names_the_arrays_that_are_there(tmp_path):
    np.savez(tmp_path / "set.npz", images=X, labels=Y)
    message = r"it has no array x_train, y_train; its arrays are 'images', 'labels'"
    with pytest.raises(FileFormatError, match=message):
        load_npz(tmp_path / "set.npz")
    with pytest.raises(FileNotFoundError, match=r"no such file: \S+nowhere\.npz"):
        load_npz(tmp_path / "nowhere.npz")
    np.save(tmp_path / "set.npy", X)
    with pytest.raises(FileFormatError, match="is not a data set of arrays"):
        load_npz(tmp_path / "set.npy")


def test_an_archive_that_declares_more_than_it_has_is_refused_unread(tmp_path):
    header = str({"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**4, 10**2)}).encode()
    member = b"\x93NUMPY\1\0" + struct.pack("<H", len(header) + 1) + header + b"\n"
    path = saved(tmp_path)
    arrays = dict(np.load(path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", member)
        for name in ("y_train", "x_test", "y_test"):
            file = io.BytesIO()
            np.save(file, arrays[name])
            archive.writestr(f"{name}.npy", file.getvalue())
    with pytest.raises(FileFormatError, match=r"x_train declares shape \(1000000, 10000, 100\)"):
        load_npz(path)


def test_an_archive_whose_index_declares_more_than_the_file_has_is_refused_unread(tmp_path):
    path = saved(tmp_path)
    content, size = bytearray(path.read_bytes()), (1 << 32) - 2
    entry = content.index(b"PK\1\2")  # of the index: sizes at 20 (compressed) and 24
    content[entry + 20 : entry + 28] = struct.pack("<II", size, size)
    path.write_bytes(content)
    with pytest.raises(
        FileFormatError, match=f"x_train declares {size} bytes, more than the file can contain"
    ):
        load_npz(path)


def test_a_mutated_archive_gives_its_content_or_our_error(tmp_path):
    draws = random.Random(0)
    wholes = [saved(tmp_path, save).read_bytes() for save in (np.savez, np.savez_compressed)]
    path, accepted = tmp_path / "mutated.npz", 0
    for _ in range(150):
        path.write_bytes(mutated(draws.choice(wholes), draws))
        try:
            (x, _), _ = load_npz(path)
        except FileFormatError:
            continue
        accepted += 1
        assert x.dtype.kind in "uf"
    assert accepted < 75


@pytest.mark.parametrize("part", ["val", "test"])
def test_parts_of_other_scales_are_refused(tmp_path, part):
    x, y = np.arange(2 * 16, dtype=np.uint8).reshape(2, 4, 4), np.arange(2)
    arrays = {f"{name}_{other}": array for other in ("train", "test") for name, array in (("x", x), ("y", y))}
    np.savez(tmp_path / "a.npz", **arrays, **({"x_val": x, "y_val": y} if part == "val" else {}))
    read_npz(tmp_path / "a.npz")
    others = {f"x_{part}": x / 255, f"y_{part}": y}
    np.savez(tmp_path / "a.npz", **arrays | others)
    with pytest.raises(FileFormatError, match=f"x_train is uint8, but x_{part} float64: .* the same dtype"):
        read_npz(tmp_path / "a.npz")
