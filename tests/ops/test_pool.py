import tracemalloc

import numpy as np
import pytest
from cases import memory_full_of_nan, pool_cases
from hypothesis import given
from hypothesis import strategies as st
from references import naive_pool2d, naive_pool2d_backward

from minicnn.ops.pool import avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward
from minicnn.ops.windows import batch_first, batch_last

rules = st.sampled_from(["first", "all", "split"])


@given(case=pool_cases())
def test_max_pool2d_equals_loops(case):
    y = max_pool2d(case.x(), case.window, case.strides, case.padding)
    np.testing.assert_array_equal(y, naive_pool2d(case.x(), case.window, case.strides, case.pads, "max"))


@given(case=pool_cases(), ties=rules, pass_y=st.booleans())
def test_max_pool2d_backward_equals_loops(case, ties, pass_y):
    x, geometry = case.x(), (case.window, case.strides, case.padding)
    y = max_pool2d(x, *geometry)
    dy = np.random.default_rng(case.seed + 1).standard_normal(y.shape)
    with memory_full_of_nan():
        dx = max_pool2d_backward(dy, x, *geometry, ties, y if pass_y else None)
    expected = naive_pool2d_backward(dy, x, case.window, case.strides, case.pads, "max", ties)
    np.testing.assert_allclose(dx, expected, rtol=1e-12, atol=1e-12)


@given(case=pool_cases())
def test_avg_pool2d_and_gradient_equal_loops(case):
    x, geometry = case.x(), (case.window, case.strides, case.padding)
    y = avg_pool2d(x, *geometry)
    expected = naive_pool2d(x, case.window, case.strides, case.pads, "avg")
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    dy = np.random.default_rng(case.seed + 1).standard_normal(y.shape)
    dx = avg_pool2d_backward(dy, x, *geometry)
    expected = naive_pool2d_backward(dy, x, case.window, case.strides, case.pads, "avg")
    np.testing.assert_allclose(dx, expected, rtol=1e-12, atol=1e-12)


@given(case=pool_cases(), ties=st.sampled_from(["first", "split"]))
def test_pooling_gradients_neither_make_nor_lose_mass(case, ties):
    x, geometry = case.x(), (case.window, case.strides, case.padding)
    dy = np.random.default_rng(case.seed).integers(1, 9, max_pool2d(x, *geometry).shape).astype(float)
    for dx in (max_pool2d_backward(dy, x, *geometry, ties), avg_pool2d_backward(dy, x, *geometry)):
        np.testing.assert_allclose(dx.sum(), dy.sum(), rtol=1e-12)


@given(case=pool_cases(), ties=rules)
def test_pooling_keeps_float32_takes_any_layout_and_writes_into_nothing(case, ties):
    x, geometry = np.asfortranarray(case.x(np.float32)), (case.window, case.strides, case.padding)
    x.flags.writeable = False
    y = max_pool2d(x, *geometry)
    dy = np.asfortranarray(np.random.default_rng(0).standard_normal(y.shape).astype(np.float32))
    before = dy.copy()
    dy.flags.writeable = False
    results = [y, max_pool2d_backward(dy, x, *geometry, ties)]
    results += [avg_pool2d(x, *geometry), avg_pool2d_backward(dy, x, *geometry)]
    for result in results:
        assert result.dtype == np.float32
        assert not np.shares_memory(result, x)
        assert not np.shares_memory(result, dy)
    np.testing.assert_array_equal(dy, before)
    np.testing.assert_array_equal(x, case.x(np.float32))


@given(case=pool_cases(), ties=rules)
def test_x_decides_the_dtype_and_its_precision(case, ties):
    x, geometry = case.x(), (case.window, case.strides, case.padding)
    y = max_pool2d(x, *geometry)
    dy = np.random.default_rng(case.seed).standard_normal(y.shape).astype(np.float32)
    loops = (case.window, case.strides, case.pads)
    for mode, dx in (
        ("max", max_pool2d_backward(dy, x, *geometry, ties)),
        ("avg", avg_pool2d_backward(dy, x, *geometry)),
    ):
        expected = naive_pool2d_backward(dy.astype(float), x, *loops, mode, ties)
        assert dx.dtype == np.float64
        np.testing.assert_allclose(dx, expected, rtol=1e-12, atol=1e-12)
    x32 = x.astype(np.float32)
    assert max_pool2d_backward(dy.astype(float), x32, *geometry, ties).dtype == np.float32
    assert avg_pool2d_backward(dy.astype(float), x32, *geometry).dtype == np.float32


def test_padded_cells_never_win_and_do_not_count():
    x = np.full((1, 2, 2, 1), -5.0)
    np.testing.assert_array_equal(max_pool2d(x, 2, 1, "same"), x)
    np.testing.assert_array_equal(avg_pool2d(x, 2, 1, "same"), x)


def test_overlapping_windows_add_their_gradients():
    x = np.array([0.0, 9.0, 0.0]).reshape(1, 1, 3, 1)
    dx = max_pool2d_backward(np.array([2.0, 3.0]).reshape(1, 1, 2, 1), x, (1, 2), 1)
    np.testing.assert_array_equal(dx.ravel(), [0.0, 5.0, 0.0])


@pytest.mark.parametrize("window", [(2, 3), (3, 2)])
def test_what_no_window_covers_gets_zero(window):
    with memory_full_of_nan():
        dx = max_pool2d_backward(np.ones((1, 1, 1, 1)), np.arange(9.0).reshape(1, 3, 3, 1), window)
    expected = np.zeros((3, 3))
    expected[window[0] - 1, window[1] - 1] = 1
    np.testing.assert_array_equal(dx[0, :, :, 0], expected)


@pytest.mark.parametrize("ties", ["first", "split"])
def test_padded_cells_do_not_even_win_among_minus_infinity(ties):
    x = np.full((1, 3, 3, 1), -np.inf)
    dx = max_pool2d_backward(np.ones_like(x), x, 3, 1, "same", ties)
    assert abs(dx.sum() - 9) < 1e-12  # as TensorFlow


def test_windows_are_never_copied_all_at_once():
    x = np.random.default_rng(0).standard_normal((16, 40, 40, 8)).astype(np.float32)
    y = max_pool2d(x, 5, 1)
    tracemalloc.start()
    max_pool2d_backward(y, x, 5, 1, y=y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 7 * x.nbytes  # not 25 copies of it


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("lay", "innermost"), [(np.array, 3), (lambda a: batch_first(batch_last(a)), 0)])
def test_results_lie_in_memory_as_the_images_do(padding, lay, innermost):
    x = lay(np.random.default_rng(0).standard_normal((3, 6, 7, 2)))
    geometry = ((3, 2), 2, padding)
    y = max_pool2d(x, *geometry)
    for result in (
        y,
        avg_pool2d(x, *geometry),
        max_pool2d_backward(np.array(y, order="C"), x, *geometry, ties="split"),
        avg_pool2d_backward(y, x, *geometry),
    ):
        assert np.argmin(result.strides) == innermost


def test_nan_wins():
    x = np.array([1.0, np.nan]).reshape(1, 1, 2, 1)
    assert np.isnan(max_pool2d(x, (1, 2))).all()
    # It equals nothing, not even itself; still the gradient is not lost.
    assert max_pool2d_backward(np.full((1, 1, 1, 1), 3.0), x, (1, 2)).ravel().tolist() == [0.0, 3.0]


def test_pooling_of_an_empty_batch():
    x, dy = np.zeros((0, 4, 4, 2)), np.zeros((0, 2, 2, 2))
    assert max_pool2d(x, 2).shape == avg_pool2d(x, 2).shape == dy.shape
    assert max_pool2d_backward(dy, x, 2).shape == avg_pool2d_backward(dy, x, 2).shape == x.shape


@pytest.mark.parametrize("function", [max_pool2d, avg_pool2d])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool_size": 5}, r"window \(5x5\) does not fit into the padded input \(4x4\)"),
        ({"pool_size": 0}, "`pool_size` must be at least 1"),
        ({"pool_size": 2, "strides": 0}, "`strides` must be at least 1"),
        ({"pool_size": 2, "padding": ((0, 2), (0, 0))}, r"must be smaller than the window \(2, 2\)"),
        ({"pool_size": 2, "padding": ((0, 0), (2, 0))}, r"must be smaller than the window \(2, 2\)"),
    ],
)
def test_pooling_refuses_what_does_not_fit(function, options, message):
    with pytest.raises(ValueError, match=message):
        function(np.zeros((1, 4, 4, 1)), **options)


def test_pooling_backward_refuses_another_dy_and_unknown_ties():
    x = np.zeros((1, 4, 4, 1))
    for function in (max_pool2d_backward, avg_pool2d_backward):
        with pytest.raises(
            ValueError, match=r"dy must have the output's shape \(1, 2, 2, 1\), got \(1, 4, 4, 1\)"
        ):
            function(x, x, 2)
    with pytest.raises(ValueError, match="`ties` must be one of 'first', 'all', 'split', got 'last'"):
        max_pool2d_backward(x, x, 1, ties="last")


def test_an_image_without_pixels_and_a_y_of_another_shape_are_refused():
    for function in (max_pool2d, avg_pool2d):
        with pytest.raises(ValueError, match=r"at least one pixel, got height and width \(0, 4\)"):
            function(np.zeros((2, 0, 4, 1)), 2, padding=((1, 1), (0, 0)))
    x, dy = np.arange(8.0).reshape(1, 2, 4, 1), np.ones((1, 1, 2, 1))
    with pytest.raises(
        ValueError, match=r"`y` must have the shape of dy, \(1, 1, 2, 1\), got \(1, 1, 1, 1\)"
    ):
        max_pool2d_backward(dy, x, 2, y=np.full((1, 1, 1, 1), 7.0))
