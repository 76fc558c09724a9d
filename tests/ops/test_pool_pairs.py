import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from references import naive_pool2d_backward

from minicnn.ops import max_pool2d
from minicnn.ops.pool_pairs import max_pool_pairs, max_pool_pairs_backward, pools_pairs

STEP = (2, 2), (2, 2), ((0, 0), (0, 0))


@given(
    sizes=st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3)),
    axes=st.permutations(range(4)),
    dy_axes=st.permutations(range(4)),
    tied=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_pairs_equal_loops_in_any_memory_layout(sizes, axes, dy_axes, tied, seed):
    n, h, w, c = sizes
    rng = np.random.default_rng(seed)
    shape = (n, 2 * h, 2 * w, c)
    x = rng.integers(-2, 2, shape).astype(float) if tied else rng.standard_normal(shape)
    x = in_layout(x, axes)
    dy = in_layout(rng.standard_normal((n, h, w, c)), dy_axes)
    before = dy.copy()
    y, comparisons = max_pool_pairs(x)
    dx = max_pool_pairs_backward(dy, comparisons)
    np.testing.assert_array_equal(y, max_pool2d(x, 2))
    np.testing.assert_array_equal(dx, naive_pool2d_backward(dy, x, *STEP, "max", "first"))
    np.testing.assert_array_equal(dy, before)
    if min(sizes) > 1:  # axes of length 1 have any stride
        assert np.argsort(dx.strides).tolist() == np.argsort(x.strides).tolist()


def in_layout(array, axes):
    return np.ascontiguousarray(array.transpose(axes)).transpose(np.argsort(axes))


def test_images_decide_the_dtype():
    y, comparisons = max_pool_pairs(np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1))
    assert y.dtype == np.float32
    dx = max_pool_pairs_backward(np.full((1, 2, 2, 1), 0.1), comparisons)
    assert dx.dtype == np.float32
    np.testing.assert_array_equal(dx.max(), np.float32(0.1))


@pytest.mark.parametrize(
    ("shape", "arguments"),
    [
        ((1, 4, 4, 1), (3, None, "valid", "first")),
        ((1, 4, 4, 1), (2, 1, "valid", "first")),
        ((1, 4, 4, 1), (2, None, ((1, 1), (0, 0)), "first")),
        ((1, 4, 4, 1), (2, None, "valid", "split")),
        ((1, 4, 4, 1), ((2, 1), None, "valid", "first")),
        ((1, 5, 4, 1), (2, None, "valid", "first")),
        ((1, 4, 5, 1), (2, None, "same", "first")),
        ((1, 0, 4, 1), (2, None, "valid", "first")),
    ],
)
def test_other_windows_are_left_to_others(shape, arguments):
    assert not pools_pairs(np.zeros(shape), *arguments)
    assert pools_pairs(np.zeros((1, 4, 4, 1)), 2, (2, 2), "same", "first")


def test_a_dy_of_another_shape_is_refused():
    _, comparisons = max_pool_pairs(np.zeros((1, 4, 4, 1)))
    with pytest.raises(ValueError, match=r"dy must have"):
        max_pool_pairs_backward(np.zeros((1, 2, 1, 1)), comparisons)
