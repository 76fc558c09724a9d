import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.ops.normal import normal_distribution


def expected(x):
    """Return the distribution function by the standard library's erfc, number by number."""
    return np.array([0.5 * math.erfc(-float(v) * math.sqrt(0.5)) for v in x])


@pytest.mark.parametrize(("dtype", "near"), [(np.float64, 4e-16), (np.float32, 2.5e-7)])
def test_the_distribution_function_is_exact_up_to_rounding(dtype, near):
    x = np.concatenate([np.linspace(-12, 12, 4001), np.linspace(-0.01, 0.01, 101)]).astype(dtype)
    cdf, density = normal_distribution(x)
    assert cdf.dtype == density.dtype == dtype
    assert np.abs(cdf - expected(x)).max() < near
    # In the lower tail, exp(-x^2 / 2) multiplies the rounding error of its argument by x^2 / 2.
    tail = x < 0
    relative = np.abs(cdf[tail] / expected(x[tail]) - 1)
    assert (relative < 4 * np.finfo(dtype).eps * (2 + x[tail].astype(np.float64) ** 2 / 2)).all()
    exact = np.exp(-(x.astype(np.float64) ** 2) / 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(density, exact, rtol=100 * np.finfo(dtype).eps, atol=1e-38)


@given(st.lists(st.floats(-37, 37), min_size=1, max_size=20))
def test_any_value_is_that_of_the_standard_library(values):
    x = np.array(values)
    cdf, _ = normal_distribution(x)
    np.testing.assert_allclose(cdf, expected(x), rtol=1e-12, atol=1e-300)


def test_extreme_values_neither_overflow_nor_warn():
    for dtype in (np.float32, np.float64):
        x = np.array([0.0, -0.0, np.inf, -np.inf, 1e30, -1e30], dtype)
        cdf, density = normal_distribution(x)
        np.testing.assert_allclose(cdf, [0.5, 0.5, 1, 0, 1, 0], rtol=1e-7)
        np.testing.assert_array_equal(density[2:], 0)
    assert np.isnan(normal_distribution(np.array([np.nan]))[0]).all()


def test_shapes_layouts_and_blocks_do_not_matter():
    x = np.random.default_rng(0).standard_normal((5, 70, 100, 3))
    cdf, density = normal_distribution(x)
    assert cdf.shape == x.shape
    np.testing.assert_allclose(cdf.ravel()[::997], expected(x.ravel()[::997]), rtol=1e-13)
    last = np.asfortranarray(x)
    np.testing.assert_array_equal(normal_distribution(last)[0], cdf)
    assert normal_distribution(last)[0].strides == last.strides
    np.testing.assert_array_equal(normal_distribution(x[:, ::2, :, ::-1])[1], density[:, ::2, :, ::-1])
    assert normal_distribution(np.zeros((0, 3)))[0].shape == (0, 3)
