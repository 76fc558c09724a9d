import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.ops.padding import check_images, check_padding, output_size, pair, resolve_padding


@pytest.mark.parametrize(
    ("value", "expected"), [(3, (3, 3)), ((2, 5), (2, 5)), ([1, 2], (1, 2)), (np.int64(4), (4, 4))]
)
def test_pair_accepts_one_or_two_integers(value, expected):
    assert pair(value, "strides") == expected


@pytest.mark.parametrize("value", ["3", 1.5, (1, 2, 3), (1,), None, (1.0, 2), "ab"])
def test_pair_refuses_what_is_no_pair_of_integers(value):
    with pytest.raises(TypeError, match="`strides` must be an integer or two of them, got"):
        pair(value, "strides")


@pytest.mark.parametrize("value", [0, -1, (1, 0)])
def test_pair_refuses_less_than_one(value):
    with pytest.raises(ValueError, match="`strides` must be at least 1"):
        pair(value, "strides")


@pytest.mark.parametrize(
    "padding", ["SAME", "full", 3, None, (1, 2), ((1, 2), (1.5, 2)), ((1, 2), (1, 2), (1, 2))]
)
def test_check_padding_refuses_unknown(padding):
    with pytest.raises(ValueError, match="`padding` must be"):
        check_padding(padding)


def test_check_padding_refuses_negative():
    with pytest.raises(ValueError, match="must not be negative"):
        check_padding(((0, -1), (0, 0)))


@given(n=st.integers(1, 40), k=st.integers(1, 9), s=st.integers(1, 5))
def test_same_padding_gives_ceil_of_size_by_stride_and_the_odd_row_after(n, k, s):
    (top, bottom), _ = resolve_padding("same", (n, n), (k, k), (s, s))
    out, _ = output_size((n, n), (k, k), (s, s), ((top, bottom), (top, bottom)))
    assert out == (n + s - 1) // s
    assert bottom - top in (0, 1)


def test_explicit_padding_is_kept():
    assert resolve_padding([[1, 2], [3, 0]], (5, 5), (2, 2), (1, 1)) == ((1, 2), (3, 0))


def test_output_size_names_window_and_padded_input():
    with pytest.raises(ValueError, match=r"window \(5x3\) does not fit into the padded input \(4x7\)"):
        output_size((3, 5), (5, 3), (1, 1), ((1, 0), (2, 0)))


def test_check_images_refuses_other_ranks_and_types():
    with pytest.raises(ValueError, match=r"must be images of shape \(N, H, W, C\), got \(3, 3\)"):
        check_images(np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"must be images of shape \(N, H, W, C\), got \(1, 2\)"):
        check_images([[1.0, 2.0]])
    with pytest.raises(TypeError, match="must be float32 or float64, got int64"):
        check_images(np.zeros((1, 3, 3, 1), np.int64))
