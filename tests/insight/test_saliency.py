import numpy as np
import pytest

from minicnn import BatchNorm, Conv2D, Dense, Dropout, Flatten, Pool2D, ReLU, Sequential
from minicnn.insight import class_gradient, grad_cam, occlusion


@pytest.fixture(scope="module")
def net():
    layers = [
        *(Conv2D(4, 3, padding="same"), BatchNorm(), ReLU(), Pool2D(2)),
        *(Conv2D(5, 3), ReLU(), Flatten(), Dropout(0.5), Dense(3)),
    ]
    model = Sequential(layers).build((10, 8, 2), rng=1)
    rng = np.random.default_rng(2)
    for parameter in model[1].parameters():
        parameter.value = rng.uniform(0.5, 1.5, parameter.shape)
    return model


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(3).random((10, 8, 2), np.float32)


@pytest.fixture(scope="module")
def tensorflows(net, image):
    """Return, from TensorFlow, the gradient of class 2 with respect to the image, and to the last maps."""
    import tensorflow as tf

    one, gamma, beta, mean, var, two, dense = (
        *(net[0], *(p.value for p in net[1].parameters())),
        *(net[4], net[8]),
    )
    x = tf.constant(image[np.newaxis])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.conv2d(x, one.kernel.value, 1, "SAME") + one.bias.value
        y = tf.nn.relu(tf.nn.batch_normalization(y, mean, var, beta, gamma, net[1].eps))
        y = tf.nn.conv2d(tf.nn.max_pool2d(y, 2, 2, "VALID"), two.kernel.value, 1, "VALID") + two.bias.value
        maps = tf.nn.relu(y)
        logit = (tf.reshape(maps, (1, -1)) @ dense.kernel.value + dense.bias.value)[0, 2]
    dx, dmaps = tape.gradient(logit, [x, maps])
    return dx[0].numpy(), tf.nn.relu(tf.reduce_sum(maps[0] * tf.reduce_mean(dmaps[0], (0, 1)), -1)).numpy()


def test_class_gradient_is_tensorflows(net, image, tensorflows):
    assert np.abs(tensorflows[0]).max() > 0.1
    np.testing.assert_allclose(class_gradient(net, image, 2), tensorflows[0], rtol=1e-4, atol=1e-6)


def test_grad_cam_is_tensorflows(net, image, tensorflows):
    assert tensorflows[1].max() > 0
    np.testing.assert_allclose(grad_cam(net, image, 2), tensorflows[1], rtol=1e-4, atol=1e-6)
    assert np.array_equal(grad_cam(net, image, 2, layer=5), grad_cam(net, image, 2))


def linear(kernel):
    """Return a net whose logits are sums of the image's pixels, weighted."""
    model = Sequential([Flatten(), Dense(2)]).build((3, 4, 1), rng=0, dtype=np.float64)
    model[1].kernel.value = kernel
    return model


KERNEL = np.random.default_rng(4).normal(size=(12, 2))
PIXELS = np.random.default_rng(5).random((3, 4, 1))


def test_class_gradient_of_a_linear_net_is_its_kernel():
    assert np.array_equal(class_gradient(linear(KERNEL), PIXELS, 1).ravel(), KERNEL[:, 1])


def test_occlusion_of_a_single_pixel_is_what_it_contributes():
    fall = occlusion(linear(KERNEL), PIXELS, 1, size=1)
    np.testing.assert_allclose(fall, (PIXELS * KERNEL[:, 1].reshape(3, 4, 1))[..., 0], rtol=1e-12)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_occlusion_averages_over_all_squares_that_cover_the_pixel(size):
    contribution = np.pad(((PIXELS - 0.5) * KERNEL[:, :1].reshape(3, 4, 1))[..., 0], size - 1)
    expected = np.zeros((3, 4))
    for row in range(3):
        for column in range(4):
            squares = [
                contribution[row + down : row + down + size, column + right : column + right + size].sum()
                for down in range(size)
                for right in range(size)
            ]
            expected[row, column] = np.mean(squares)
    found = occlusion(linear(KERNEL), PIXELS, 0, size, background=0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_saliency_takes_uint8_images_and_leaves_them_alone():
    pixels = np.full((3, 4, 1), 51, np.uint8)
    fall = occlusion(linear(KERNEL), pixels, 1, size=1)
    np.testing.assert_allclose(fall, 0.2 * KERNEL[:, 1].reshape(3, 4), rtol=1e-6)
    assert (pixels == 51).all()


@pytest.mark.parametrize("ask", [class_gradient, occlusion])
def test_saliency_is_asked_about_a_class_of_the_net(ask):
    for label in (2, -1):
        with pytest.raises(ValueError, match=r"must be class indices in \[0, 2\)"):
            ask(linear(KERNEL), PIXELS, label)


def test_grad_cam_needs_maps(net, image):
    with pytest.raises(ValueError, match=r"Grad-CAM needs a layer with maps .*, got none"):
        grad_cam(linear(KERNEL), PIXELS, 0)
    for layer in (6, 9):
        with pytest.raises(ValueError, match=f"index of a layer with maps .* got {layer}"):
            grad_cam(net, image, 0, layer)
