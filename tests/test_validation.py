import math
import re

import numpy as np
import pytest

from minicnn.errors import FileFormatError
from minicnn.validation import check_class_indices, check_file, check_int, check_real


@pytest.mark.parametrize("value", [0, 0.5, np.float32(0.5), np.int64(0), np.array(0.25)])
def test_real_returns_a_python_float(value):
    result = check_real(value, "rate", high=1)
    assert type(result) is float
    assert result == value


@pytest.mark.parametrize(
    ("value", "limits", "sentence"),
    [
        (1.2, {"high": 1}, "`rate` must be in [0, 1), got 1.2"),
        (1, {"high": 1}, "`rate` must be in [0, 1), got 1"),
        (-1e-9, {}, "`rate` must be in [0, inf), got -1e-09"),
        (0, {"above_low": True}, "`rate` must be in (0, inf), got 0"),
        (math.nan, {}, "`rate` must be in [0, inf), got nan"),
        (math.inf, {}, "`rate` must be in [0, inf), got inf"),
        (10**400, {}, "`rate` must be in [0, inf), got inf"),
        (-math.inf, {"low": -math.inf}, "`rate` must be in [-inf, inf), got -inf"),
    ],
)
def test_real_outside_the_limits_is_refused(value, limits, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        check_real(value, "rate", **limits)


@pytest.mark.parametrize("value", ["0.5", None, [0.5], np.zeros(2), 1j])
def test_real_of_another_type_is_refused(value):
    with pytest.raises(TypeError, match="`rate` must be a number, got"):
        check_real(value, "rate")


def test_integer_returns_a_python_int_and_refuses_floats_and_small_numbers():
    assert type(check_int(np.uint8(7), "steps")) is int
    with pytest.raises(TypeError, match=r"`steps` must be an integer, got 2\.0"):
        check_int(2.0, "steps")
    with pytest.raises(ValueError, match="`steps` must be at least 1, got 0"):
        check_int(0, "steps", low=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.int64, np.uint64])
def test_class_indices_are_the_same_numbers_as_indices(dtype):
    labels = np.array([0, 9, 3], dtype)
    assert check_class_indices(labels, 10).dtype == np.intp
    assert check_class_indices(labels, 10).tolist() == [0, 9, 3]


@pytest.mark.parametrize("wrong", [np.array([0, 10]), np.array([2, -1]), np.array([0, 2**64 - 1], np.uint64)])
def test_class_indices_out_of_range_are_refused_and_named(wrong):
    with pytest.raises(ValueError, match=rf"in \[0, 10\), got {wrong[1]}$"):
        check_class_indices(wrong, 10)


def test_class_indices_that_are_no_integers_are_refused():
    with pytest.raises(TypeError, match="must be integers, got float64"):
        check_class_indices(np.array([1.0, 2.0]), 10)


def test_file_is_neither_nothing_nor_a_folder(tmp_path):
    path = tmp_path / "some.idx"
    with pytest.raises(FileNotFoundError, match=f"^no such file: {re.escape(str(path))}$"):
        check_file(path, "an IDX file")
    path.write_bytes(b"")
    assert check_file(str(path), "an IDX file") == path
    with pytest.raises(FileFormatError, match=r"is a folder or a device, not an IDX file$"):
        check_file(tmp_path, "an IDX file")
