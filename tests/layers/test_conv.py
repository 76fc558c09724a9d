import numpy as np
import pytest
from cases import conv_cases
from hypothesis import given, settings

from minicnn import Conv2D
from minicnn.initializers import constant, glorot_uniform, zeros
from minicnn.testing import check_layer

LAYERS = [
    (Conv2D(1, 1), (1, 1, 1)),
    (Conv2D(4, 3), (6, 6, 2)),
    (Conv2D(3, (2, 4), padding="same"), (5, 6, 2)),
    (Conv2D(2, (4, 2), strides=2, padding="same"), (7, 8, 2)),
    (Conv2D(2, 3, strides=(3, 2)), (8, 9, 2)),
    (Conv2D(2, 3, padding=((2, 0), (1, 3))), (4, 5, 1)),
    (Conv2D(2, 5, padding="same"), (2, 3, 1)),
    (Conv2D(2, (2, 3), dilation=(3, 2)), (6, 7, 2)),
    (Conv2D(2, 3, strides=2, padding="same", dilation=2), (7, 6, 2)),
    (Conv2D(4, 3, padding="same", groups=2), (5, 5, 4)),
    (Conv2D(6, 2, strides=(1, 2), dilation=(2, 1), groups=3), (5, 6, 3)),
    (Conv2D(3, 3, use_bias=False), (5, 5, 2)),
    (Conv2D(16, 5), (14, 14, 6)),
    (Conv2D(2, 3, kernel_initializer=glorot_uniform), (4, 4, 1)),
]


@pytest.mark.parametrize(
    ("layer", "shape"), LAYERS, ids=lambda value: repr(value) if isinstance(value, Conv2D) else ""
)
def test_conv2d_honours_the_contract(layer, shape):
    check_layer(layer, shape)


@settings(max_examples=20)
@given(case=conv_cases())
def test_conv2d_honours_the_contract_in_drawn_geometries(case):
    layer = Conv2D(case.kernel_shape[3], case.kernel_shape[:2], *case.geometry)
    check_layer(layer, case.shape[1:], rng=case.seed, only=("shapes", "gradients", "geometry"))


def test_conv2d_by_hand():
    layer = Conv2D(1, 2).build((3, 3, 1), dtype=np.float64).train()
    layer.kernel.value = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(2, 2, 1, 1)
    layer.bias.value = [0.5]
    x = np.arange(1.0, 10.0).reshape(1, 3, 3, 1)
    np.testing.assert_array_equal(layer(x)[0, :, :, 0], [[37.5, 47.5], [67.5, 77.5]])
    dx = layer.backward(np.array([[1.0, 0.0], [0.0, -1.0]]).reshape(1, 2, 2, 1))
    np.testing.assert_array_equal(dx[0, :, :, 0], [[1, 2, 0], [3, 3, -2], [0, -3, -4]])
    # windows (1, 2, 4, 5) and (5, 6, 8, 9), the second subtracted
    np.testing.assert_array_equal(layer.kernel.grad.ravel(), [-4, -4, -4, -4])
    np.testing.assert_array_equal(layer.bias.grad, [0])


def test_conv2d_without_dx_returns_none_and_still_gives_weights_their_gradients():
    layer = Conv2D(1, 1).build((2, 2, 1), dtype=np.float64).train()
    layer.needs_dx = False
    layer(np.full((1, 2, 2, 1), 3.0))
    assert layer.backward(np.ones((1, 2, 2, 1))) is None
    assert layer.kernel.grad.item() == 12.0
    assert layer.bias.grad.item() == 4.0


def test_conv2d_counts_macs():
    assert Conv2D(16, 5).build((14, 14, 6)).macs() == 10 * 10 * 16 * 5 * 5 * 6
    assert Conv2D(4, 3, groups=2).build((5, 5, 4)).macs() == 3 * 3 * 4 * 3 * 3 * 2


def test_conv2d_initial_weights():
    layer = Conv2D(2, 3, kernel_initializer=constant(0.25)).build((4, 4, 3))
    np.testing.assert_array_equal(layer.kernel.value, np.full((3, 3, 3, 2), 0.25, np.float32))
    np.testing.assert_array_equal(layer.bias.value, np.zeros(2, np.float32))
    assert Conv2D(2, 3, use_bias=False).build((4, 4, 3)).bias is None


def test_conv2d_draws_its_bias_from_the_stream_of_the_build():
    layer = Conv2D(3, 2, kernel_initializer=zeros, bias_initializer=lambda shape, rng: rng.normal(size=shape))
    layer.build((4, 4, 1), rng=7, dtype=np.float64)
    np.testing.assert_array_equal(layer.bias.value, np.random.default_rng(7).normal(size=3))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Conv2D(0, 3), ValueError, "`filters` must be at least 1, got 0"),
        (lambda: Conv2D(2.5, 3), TypeError, "`filters` must be an integer"),
        (lambda: Conv2D(2, 0), ValueError, "`kernel_size` must be at least 1"),
        (lambda: Conv2D(2, (3, 3, 3)), TypeError, "`kernel_size` must be an integer or two of them"),
        (lambda: Conv2D(2, 3, strides=0), ValueError, "`strides` must be at least 1"),
        (lambda: Conv2D(2, 3, dilation=-1), ValueError, "`dilation` must be at least 1"),
        (lambda: Conv2D(2, 3, padding="full"), ValueError, "`padding` must be"),
        (lambda: Conv2D(2, 3, padding=((-1, 0), (0, 0))), ValueError, "`padding` must not be negative"),
        (
            lambda: Conv2D(3, 3, groups=2),
            ValueError,
            "`groups` must divide `filters`, got groups=2 and filters=3",
        ),
        (lambda: Conv2D(2, 3, groups=0), ValueError, "`groups` must be at least 1"),
        (lambda: Conv2D(2, 3, groups=2).build((5, 5, 3)), ValueError, "channels divisible by 2"),
        (lambda: Conv2D(2, 3).build((5, 5)), ValueError, "needs input_shape (H, W, C)"),
        (lambda: Conv2D(2, 3).build((2, 2, 1)), ValueError, "does not fit into the padded input"),
    ],
)
def test_conv2d_refuses_wrong_arguments_in_a_sentence(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert message in str(caught.value)
