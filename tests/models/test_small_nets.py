import numpy as np
import pytest

from minicnn import Pool2D
from minicnn.interop.keras import to_keras
from minicnn.losses import softmax_cross_entropy
from minicnn.models import resnet_small, vgg_small
from minicnn.optimizers import SGD


def convolution(size, channels, filters):
    return size * size * channels * filters + 2 * filters  # with gamma and beta of BatchNorm, without a bias


def trainable(model):
    return sum(parameter.size for parameter in model.parameters() if parameter.trainable)


@pytest.mark.parametrize("channels", [1, 3])
def test_vgg_small_has_two_pairs_of_convolutions(channels):
    model = vgg_small(7).build((32, 32, channels), rng=0)
    kernels = convolution(3, channels, 32) + convolution(3, 32, 32) + convolution(3, 32, 64)
    dense = 8 * 8 * 64 * 128 + 128 + 128 * 7 + 7
    assert trainable(model) == kernels + convolution(3, 64, 64) + dense
    assert model.output_shape == (7,)


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3)])
def test_resnet_small_halves_the_image_three_times(shape):
    model = resnet_small(7).build(shape, rng=0)
    halving = convolution(3, shape[2], 32) + convolution(3, 32, 64) + convolution(3, 64, 128)
    blocks = 2 * sum(convolution(3, width, width) for width in (32, 128))
    assert trainable(model) == halving + blocks + 128 * 7 + 7
    sizes = [layer.output_shape[0] for layer in model if isinstance(layer, Pool2D)]
    assert sizes == [shape[0] // 2, shape[0] // 4, shape[0] // 8]
    assert model.output_shape == (7,)


@pytest.mark.parametrize("make", [vgg_small, resnet_small])
def test_small_nets_predict_as_in_keras_after_a_step(make):
    rng = np.random.default_rng(0)
    x, labels = rng.random((6, 28, 28, 1)), rng.integers(0, 10, 6)
    model = make().build((28, 28, 1), rng=0, dtype=np.float64).train()
    _, dlogits = softmax_cross_entropy(model(x), labels)
    model.backward(dlogits)
    SGD(0.01).step(model.parameters())
    ours = model.eval()(x)
    theirs = to_keras(model)(x, training=False).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
