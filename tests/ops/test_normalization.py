import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from minicnn.ops import batch_norm, batch_norm_backward


@given(shape=st.sampled_from([(5, 3), (1, 4), (2, 3, 4, 2), (1, 1, 1, 3)]), seed=st.integers(0, 99))
def test_batch_norm_and_gradients_are_those_of_the_formula_differentiated_by_tensorflow(shape, seed):
    rng = np.random.default_rng(seed)
    x, dy = rng.normal(2, 3, shape), rng.standard_normal(shape)
    gamma, beta = rng.standard_normal((2, shape[-1]))
    variables = [tf.constant(a) for a in (x, gamma, beta)]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        mean, var = tf.nn.moments(variables[0], list(range(len(shape) - 1)))
        expected = tf.nn.batch_normalization(variables[0], mean, var, variables[2], variables[1], 1e-3)
    y, normalized, our_mean, our_var = batch_norm(x, gamma, beta, 1e-3)
    np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(our_mean, mean, rtol=1e-12)
    np.testing.assert_allclose(our_var, var, rtol=1e-12, atol=1e-14)
    gradients = tape.gradient(expected, variables, output_gradients=tf.constant(dy))
    for ours, theirs in zip(
        batch_norm_backward(dy, normalized, gamma, our_var, 1e-3), gradients, strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10)


def test_batch_norm_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"at least one value a channel, got shape \(0, 3\)"):
        batch_norm(np.zeros((0, 3)), np.ones(3), np.zeros(3), 1e-3)
