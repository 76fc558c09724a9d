"""Forward and all gradients of `ops` are TensorFlow's, over drawn geometries."""

import numpy as np
import pytest
import tensorflow as tf
from cases import conv_cases, pool_cases
from hypothesis import given

from minicnn.ops.conv import conv2d, conv2d_backward
from minicnn.ops.pool import avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward


def assert_equal(actual, expected, tolerance):
    scale = max(np.abs(expected).max(initial=0.0), 1e-30)
    assert np.abs(actual - expected).max(initial=0.0) <= tolerance * scale


def tf_conv2d(x, kernel, strides, padding, dilation, groups):
    """tf.nn.conv2d; what it lacks on a CPU is put together: groups by splitting, dilation by zeros."""
    if dilation != (1, 1):
        kh, kw, _, _ = kernel.shape
        for axis, d in enumerate(dilation):  # d - 1 zeros between the cells
            k = kernel.shape[axis]
            kernel = tf.stack([kernel] + [tf.zeros_like(kernel)] * (d - 1), axis=axis + 1)
            shape = list(kernel.shape)
            kernel = tf.reshape(kernel, [*shape[:axis], k * d, *shape[axis + 2 :]])
        kernel = kernel[: (kh - 1) * dilation[0] + 1, : (kw - 1) * dilation[1] + 1]
    padding = padding.upper() if isinstance(padding, str) else [[0, 0], *map(list, padding), [0, 0]]
    parts = zip(tf.split(x, groups, axis=3), tf.split(kernel, groups, axis=3), strict=True)
    return tf.concat([tf.nn.conv2d(part, k, strides, padding) for part, k in parts], axis=3)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-4)])
@given(case=conv_cases())
def test_conv2d_and_gradients_are_tensorflows(dtype, tolerance, case):
    x, kernel, bias = case.arrays(dtype)
    dy = np.random.default_rng(case.seed + 1).standard_normal(conv2d(x, kernel, bias, *case.geometry).shape)
    dy = dy.astype(dtype)
    variables = [tf.constant(a) for a in (x, kernel, bias)]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        expected = tf_conv2d(variables[0], variables[1], *case.geometry) + variables[2]
    gradients = tape.gradient(expected, variables, output_gradients=tf.constant(dy))
    assert_equal(conv2d(x, kernel, bias, *case.geometry), expected.numpy(), tolerance)
    for actual, gradient in zip(conv2d_backward(dy, x, kernel, *case.geometry), gradients, strict=True):
        assert_equal(actual, gradient.numpy(), tolerance)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@given(case=pool_cases(explicit=False))
def test_pooling_and_gradients_are_tensorflows(dtype, case):
    x, geometry = case.x(dtype), (case.window, case.strides, case.padding)
    variable = tf.constant(x)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(variable)
        expected_max = tf.nn.max_pool2d(variable, case.window, case.strides, case.padding.upper())
        expected_avg = tf.nn.avg_pool2d(variable, case.window, case.strides, case.padding.upper())
    dy = np.random.default_rng(case.seed + 1).standard_normal(expected_max.shape).astype(dtype)
    tolerance = 1e-10 if dtype == np.float64 else 1e-5
    np.testing.assert_array_equal(max_pool2d(x, *geometry), expected_max.numpy())
    assert_equal(avg_pool2d(x, *geometry), expected_avg.numpy(), tolerance)
    dmax = tape.gradient(expected_max, variable, output_gradients=tf.constant(dy)).numpy()
    davg = tape.gradient(expected_avg, variable, output_gradients=tf.constant(dy)).numpy()
    assert_equal(max_pool2d_backward(dy, x, *geometry), dmax, tolerance)
    assert_equal(avg_pool2d_backward(dy, x, *geometry), davg, tolerance)
