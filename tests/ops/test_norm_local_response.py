import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from minicnn.ops import local_response_norm, local_response_norm_backward
from minicnn.ops.windows import batch_first, batch_last, is_batch_last


def lrn_in_tensorflow(x, size, k, alpha, beta):
    """The paper's formula by a band matrix, since TensorFlow's own operation knows no float64."""
    channels = np.arange(x.shape[-1])
    band = tf.constant(np.abs(channels[:, None] - channels) <= size // 2, x.dtype)
    return x / (k + alpha * tf.square(x) @ band) ** beta


LRN = {
    "channels": st.integers(1, 9),
    "radius": st.integers(0, 4),
    "k": st.sampled_from([0.5, 1.0, 2.0]),
    "alpha": st.sampled_from([0.0, 1e-4, 0.3, 2.0]),
    "beta": st.sampled_from([0.5, 0.75, 1.0, 1.75]),
    "last": st.booleans(),
    "seed": st.integers(0, 99),
}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
@given(**LRN)
def test_local_response_norm_and_gradient_are_tensorflows(
    dtype, tolerance, channels, radius, k, alpha, beta, last, seed
):
    rng = np.random.default_rng(seed)
    x, dy = rng.normal(0, 3, (2, 2, 3, 4, channels)).astype(dtype)
    constants = 2 * radius + 1, k, alpha, beta
    variable = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        if dtype == "float32":
            expected = tf.nn.local_response_normalization(variable, radius, k, alpha, beta)
        else:
            expected = lrn_in_tensorflow(variable, *constants)
    dx = tape.gradient(expected, variable, output_gradients=tf.constant(dy))
    x = batch_first(batch_last(x)) if last else x
    y, our_dx = local_response_norm(x, *constants), local_response_norm_backward(dy, x, *constants)
    assert y.dtype == our_dx.dtype == dtype
    assert is_batch_last(y) == is_batch_last(our_dx) == last
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(our_dx, dx, rtol=tolerance, atol=tolerance * np.abs(dy).max())


def test_local_response_norm_is_the_same_whatever_the_blocks(monkeypatch):
    x, dy = np.random.default_rng(0).normal(size=(2, 3, 5, 4, 6))
    whole = local_response_norm(x), local_response_norm_backward(dy, x)
    monkeypatch.setattr(
        "minicnn.ops.norm_local_response.BLOCK_BYTES", 7 * 6 * 8
    )  # seven pixels at a time, of 60
    np.testing.assert_array_equal(local_response_norm(x), whole[0])
    np.testing.assert_array_equal(local_response_norm_backward(dy, x), whole[1])


def test_local_response_norm_keeps_small_channels_beside_large_ones():
    x = np.array([1e4, 1e4, 1.0, 1.0, 1.0, 1.0], np.float32).reshape(1, 1, 1, 6)
    y = local_response_norm(x, 3, k=1.0, alpha=1.0, beta=1.0)
    np.testing.assert_allclose(y[0, 0, 0, 3:], [1 / 4, 1 / 4, 1 / 3], rtol=1e-6)


def test_local_response_norm_has_the_constants_of_the_paper_by_default():
    x, dy = np.full((2, 1, 1, 1, 7), 100.0)  # of which each square adds 1 to k = 2
    in_window = np.array([3, 4, 5, 5, 5, 4, 3])
    np.testing.assert_allclose(local_response_norm(x).ravel(), 100 / (2 + in_window) ** 0.75, rtol=1e-14)
    np.testing.assert_array_equal(
        local_response_norm_backward(dy, x), local_response_norm_backward(dy, x, 5, 2.0, 1e-4, 0.75)
    )


@pytest.mark.parametrize("shape", [(0, 2, 3, 4), (2, 0, 3, 4)])
def test_local_response_norm_of_no_images_is_none(shape):
    x = np.zeros(shape, np.float32)
    assert local_response_norm(x).shape == local_response_norm_backward(x, x).shape == shape


def test_local_response_norm_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"output's shape \(1, 2, 2, 3\), got \(1, 2, 2, 1\)"):
        local_response_norm_backward(np.ones((1, 2, 2, 1)), np.ones((1, 2, 2, 3)))
    with pytest.raises(ValueError, match="`size` must be odd"):
        local_response_norm(np.ones((1, 2, 2, 3)), size=4)
