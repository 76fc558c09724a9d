import math

import numpy as np
import pytest

from minicnn.ops.activations import log_softmax, sigmoid, softmax


def naive_softmax(row):
    exps = [math.exp(value) for value in row]
    return [e / math.fsum(exps) for e in exps]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_equals_the_formula_along_the_last_axis(dtype):
    x = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(dtype)
    expected = [[naive_softmax(row.tolist()) for row in image] for image in x]
    y = softmax(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected, rtol=10 * np.finfo(dtype).eps)
    np.testing.assert_allclose(np.exp(log_softmax(x)), expected, rtol=20 * np.finfo(dtype).eps)


def test_softmax_of_huge_values_is_exact_and_writes_into_nothing():
    x = np.array([[1e4, 1e4 + math.log(3), -1e4]])
    x.flags.writeable = False
    np.testing.assert_allclose(softmax(x), [[0.25, 0.75, 0.0]], rtol=1e-11)
    np.testing.assert_allclose(log_softmax(x)[0, 2], -2e4 - math.log(4), rtol=1e-15)


def test_each_row_has_a_range_of_its_own():
    x = np.array([[1e4, 1e4], [0.0, math.log(3)], [-1e4, -1e4]])
    np.testing.assert_allclose(softmax(x), [[0.5, 0.5], [0.25, 0.75], [0.5, 0.5]], rtol=1e-15)
    np.testing.assert_allclose(np.exp(log_softmax(x)), softmax(x), rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_is_relatively_exact_on_both_sides(dtype):
    x = np.array([-80.0, -30.0, -1.0, -0.3, 0.0, 0.3, 1.0, 30.0, 80.0], dtype)
    y = sigmoid(x)
    assert y.dtype == dtype
    expected = [1 / (1 + math.exp(-value)) for value in x.tolist()]
    np.testing.assert_allclose(y, expected, rtol=4 * np.finfo(dtype).eps)
    assert sigmoid(np.array([-1e4, 1e4], dtype)).tolist() == [0.0, 1.0]
    assert np.isnan(sigmoid(np.array([np.nan], dtype)))[0]
