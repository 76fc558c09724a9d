"""Sums of a million float32 values against float64: relative errors below 1e-5, also of equal values."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn import Conv2D, Dense, GlobalAveragePool2D
from minicnn.losses import binary_cross_entropy_with_logits, mean_squared_error, softmax_cross_entropy
from minicnn.models.historic.lenet5_1998 import Subsample
from minicnn.ops import avg_pool2d, avg_pool2d_backward
from minicnn.ops.sums import channel_sums, pixel_means, sum_products, sum_rows, sum_stacked_products
from minicnn.ops.windows import batch_first, batch_last

KINDS = {
    "equal": lambda rng, shape: np.full(shape, rng.uniform(0.1, 1.0)),
    "equal in a channel": lambda rng, shape: np.broadcast_to(rng.uniform(0.1, 1.0, shape[-1]), shape),
    "offset": lambda rng, shape: 285 + 20 * rng.standard_normal(shape),
    "positive": lambda rng, shape: rng.random(shape),
    "rising": lambda rng, shape: np.linspace(0, 1, math.prod(shape)).reshape(shape),
}
MILLION = [(1, 1000, 1000, 1), (4, 500, 500, 3), (64, 128, 128, 2), (1000, 32, 32, 2), (1, 1009, 1009, 2)]


def values(kind, shape, seed=0, last=False):
    array = KINDS[kind](np.random.default_rng(seed), shape).astype(np.float32)
    return batch_first(batch_last(array)) if last else array


def assert_exact(actual, expected, tolerance=5e-6):
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=tolerance)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("shape", MILLION)
@pytest.mark.parametrize("kind", KINDS)
def test_sums_and_means_of_a_million_values(kind, shape, last):
    images = values(kind, shape, last=last)
    assert_exact(channel_sums(images), images.sum(axis=(0, 1, 2), dtype=np.float64))
    assert_exact(pixel_means(images), images.mean(axis=(1, 2), dtype=np.float64))


@pytest.mark.parametrize("shape", [(1_000_000, 1), (1_000_003, 2), (250, 4000, 3)])
def test_sums_of_a_million_rows(shape):
    for kind in KINDS:
        rows = values(kind, shape)
        expected = rows.sum(axis=tuple(range(len(shape) - 1)), dtype=np.float64)
        assert_exact(channel_sums(rows), expected)
    assert channel_sums(rows)[0] == pytest.approx(math.fsum(rows[..., 0].ravel()), rel=1e-6)


@given(
    st.tuples(st.integers(1, 5), st.integers(1, 60), st.integers(1, 60), st.integers(1, 4)),
    st.sampled_from(["float32", "float64"]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 99),
)
def test_sums_of_any_shape_layout_and_part(shape, dtype, last, part, seed):
    images = np.random.default_rng(seed).random(shape).astype(dtype)
    images = batch_first(batch_last(images)) if last else images
    images = images[:, : -(-shape[1] // 2), shape[2] // 2 :] if part else images
    tolerance = 5e-6 if dtype == "float32" else 1e-13
    sums, means = channel_sums(images), pixel_means(images)
    assert sums.dtype == means.dtype == dtype
    np.testing.assert_allclose(sums, images.sum(axis=(0, 1, 2), dtype="f8"), rtol=tolerance)
    np.testing.assert_allclose(means, images.mean(axis=(1, 2), dtype="f8"), rtol=tolerance)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 3), max_size=2), st.sampled_from([0, 1, 255, 1024, 1025, 1280, 1281]))
def test_sum_rows_on_both_sides_of_its_limits(stack, count):
    rows = np.random.default_rng(count).integers(0, 9, (*stack, count, 3)).astype(np.float32)
    np.testing.assert_array_equal(sum_rows(rows), rows.sum(axis=-2))


@pytest.mark.parametrize("size", [3, 80])  # small matrices, and large ones
@pytest.mark.parametrize("count", [1, 512, 513, 1024, 1025, (1 << 17) + 1])
def test_sum_products_on_both_sides_of_its_limits(count, size):
    rng = np.random.default_rng(count)
    rows, drows = (rng.integers(0, 3, (2, count, k)).astype(np.float32) for k in (size, size))
    expected = np.stack([a.astype("f8").T @ b for a, b in zip(rows, drows, strict=True)])
    np.testing.assert_array_equal(sum_products(rows, drows), expected)
    np.testing.assert_array_equal(sum_products(rows[1], drows[1]), expected[1])


@pytest.mark.parametrize("size", [1, 3, 80])  # vectors, small matrices, and large ones
@pytest.mark.parametrize("count", [1, 2048, 2049, 4096, 4097, 9000])
def test_sum_stacked_products_on_both_sides_of_its_limits(count, size):
    rng = np.random.default_rng(count)
    left, right = rng.integers(0, 3, (2, 3, size, count)), rng.integers(0, 3, (2, 1, count, 4))
    expected = (left @ right).sum(axis=0)
    sums = sum_stacked_products(left.astype(np.float32), right.astype(np.float32))
    np.testing.assert_array_equal(sums, expected)
    assert sums.dtype == np.float32


# --- what is made of them: one million values in each sum -------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_dense(kind):
    layer = Dense(2).build((2,), rng=0).train()
    x, dy = (values(kind, (1_000_000, 2), seed) for seed in (0, 1))
    layer(x)
    layer.backward(dy)
    assert_exact(layer.bias.grad, dy.sum(axis=0, dtype="f8"))
    assert_exact(layer.kernel.grad, x.astype("f8").T @ dy)


@pytest.mark.parametrize("shape", [(1, 1000, 1000, 2), (64, 128, 128, 2)])  # few images, and many
@pytest.mark.parametrize("kind", ["equal in a channel", "offset"])
def test_gradients_of_conv2d(kind, shape):
    layer = Conv2D(2, 1).build(shape[1:], rng=0).train()
    x, dy = (values(kind, shape, seed) for seed in (0, 1))
    layer(x)
    layer.backward(dy)
    assert_exact(layer.bias.grad, dy.sum(axis=(0, 1, 2), dtype="f8"))
    expected = np.einsum("nhwc,nhwf->cf", x.astype("f8"), dy, optimize=True)
    assert_exact(layer.kernel.grad[0, 0], expected, 1e-5)


# Rows of pixels so long, of so many images, that one product would add tens of thousands of terms.
@pytest.mark.parametrize(("shape", "filters"), [((512, 45, 45, 1), 6), ((4096, 16, 16, 1), 2)])
@pytest.mark.parametrize("value", [0.1, 0.3])
def test_gradient_of_a_small_kernel_of_many_equal_images(shape, filters, value):
    layer = Conv2D(filters, 1).build(shape[1:], rng=0).train()
    layer(np.full(shape, value, np.float32))
    layer.backward(np.full((*shape[:3], filters), value, np.float32))
    expected = float(np.float32(value)) ** 2 * np.prod(shape[:3])
    np.testing.assert_allclose(layer.kernel.grad, expected, rtol=1e-5)


@pytest.mark.parametrize("last", [False, True])
def test_global_average_pooling(last):
    x = values("equal in a channel", (2, 1000, 1000, 2), last=last)
    assert_exact(GlobalAveragePool2D().build(x.shape[1:])(x), x[:, 0, 0].astype("f8"))


@pytest.mark.parametrize("last", [False, True])
def test_average_pooling_over_large_windows(last):
    x = values("equal in a channel", (2, 1000, 1000, 2), last=last)
    assert_exact(avg_pool2d(x, 1000)[:, 0, 0], x[:, 0, 0].astype("f8"))
    x = values("equal", (2, 50, 50, 1), last=last)
    dy = values("equal in a channel", (2, 21, 21, 1), seed=1, last=last)
    dx = avg_pool2d_backward(dy, x, 30, 1)
    assert_exact(dx, avg_pool2d_backward(dy.astype("f8"), x.astype("f8"), 30, 1))


def test_gradients_of_subsampling():
    layer = Subsample().build((1000, 1000, 2), rng=0).train()
    x, dy = values("equal in a channel", (4, 1000, 1000, 2)), values("equal", (4, 500, 500, 2), 1)
    layer(x)
    layer.backward(dy)
    assert_exact(layer.bias.grad, dy.sum(axis=(0, 1, 2), dtype="f8"))
    assert_exact(layer.factor.grad, 4 * x[0, 0, 0].astype("f8") * dy.sum(axis=(0, 1, 2), dtype="f8"))


@pytest.mark.parametrize("kind", ["equal", "positive"])
def test_losses(kind):
    predictions = values(kind, (1_000_000, 1))
    exact = predictions.astype("f8")
    for loss in (mean_squared_error, binary_cross_entropy_with_logits):
        labels = np.zeros_like(predictions)
        assert loss(predictions, labels)[0] == pytest.approx(loss(exact, labels)[0], rel=1e-6)
    logits, labels = values(kind, (1_000_000, 2)), np.zeros(1_000_000, np.intp)
    expected = softmax_cross_entropy(logits.astype("f8"), labels)[0]
    assert softmax_cross_entropy(logits, labels)[0] == pytest.approx(expected, rel=1e-6)
