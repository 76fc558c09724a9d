import json

import numpy as np
import pytest
import safetensors.numpy

from minicnn import FileFormatError
from minicnn.training.arrays import read_arrays, write_arrays

ARRAYS = {
    "kernel": np.arange(6, dtype=np.float32).reshape(2, 3).T,  # not in C order
    "scalar": np.array(2.5),
    "none": np.zeros((0, 3), np.int64),
    "flags": np.array([True, False]),
}


def test_arrays_and_text_survive_a_round_trip_exactly(tmp_path):
    write_arrays(tmp_path / "a", ARRAYS, 'a text with "quotes", ü and\nlines')
    arrays, text = read_arrays(tmp_path / "a")
    assert text == 'a text with "quotes", ü and\nlines'
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(arrays[name], array)


def test_the_same_content_makes_the_same_bytes(tmp_path):
    for name in "ab":
        write_arrays(tmp_path / name, dict(reversed(ARRAYS.items())) if name == "b" else ARRAYS, "text")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_flipped_bit_of_values_and_text_is_found(tmp_path):
    path = tmp_path / "a"
    write_arrays(path, ARRAYS, "some text")
    good = path.read_bytes()
    header = 8 + int.from_bytes(good[:8], "little")
    text = range(good.index(b"some text"), good.index(b"some text") + 9)
    for place in (*text, *range(header, len(good))):
        broken = bytearray(good)
        broken[place] ^= 1
        path.write_bytes(broken)
        with pytest.raises(FileFormatError, match="must have the checksum of its content"):
            read_arrays(path)


def test_exchanged_names_and_shapes_are_found(tmp_path):
    a, b = np.zeros((2, 3)), np.ones((2, 3))
    write_arrays(tmp_path / "a", {"a": a, "b": b})
    header = json.loads((tmp_path / "a").read_bytes()[8:].partition(b"}}")[0] + b"}}")["__metadata__"]
    for arrays in ({"a": b, "b": a}, {"a": a.T, "b": b}, {"a": a.astype(np.float32), "b": b}, {"a": a}):
        copies = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        (tmp_path / "b").write_bytes(safetensors.numpy.save(copies, header))
        with pytest.raises(FileFormatError, match="checksum"):
            read_arrays(tmp_path / "b")


def test_a_file_of_others_has_no_text(tmp_path):
    (tmp_path / "a").write_bytes(safetensors.numpy.save({"x": np.ones(2)}, {"format": "pt"}))
    arrays, text = read_arrays(tmp_path / "a")
    assert text is None
    assert arrays["x"].tolist() == [1, 1]
