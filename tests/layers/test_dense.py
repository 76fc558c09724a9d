import numpy as np
import pytest

from minicnn import Conv2D, Dense, Sequential
from minicnn.initializers import constant, zeros
from minicnn.testing import check_layer

LAYERS = [
    (Dense(1), (1,)),
    (Dense(4), (7,)),
    (Dense(10), (84,)),
    (Dense(3), (4, 5)),
    (Dense(2), (2, 3, 4)),
    (Dense(3, use_bias=False), (5,)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_dense_honours_the_contract(layer, shape):
    check_layer(layer, shape)


def test_dense_on_images_is_a_convolution_with_a_kernel_of_one_pixel():
    dense, conv = (
        Dense(3).build((4, 5, 2), rng=0, dtype=np.float64),
        Conv2D(3, 1).build((4, 5, 2), dtype=np.float64),
    )
    conv.kernel.value = dense.kernel.value[None, None]
    x = np.random.default_rng(1).standard_normal((2, 4, 5, 2))
    np.testing.assert_allclose(dense(x), conv(x), rtol=1e-13, atol=1e-13)


def test_dense_by_hand():
    layer = Dense(2).build((3,), dtype=np.float64).train()
    layer.kernel.value = [[1, 2], [3, 4], [5, 6]]
    layer.bias.value = [10, 20]
    np.testing.assert_array_equal(layer(np.array([[1.0, 0.0, -1.0], [2.0, 1.0, 0.0]])), [[6, 16], [15, 28]])
    dx = layer.backward(np.array([[1.0, -1.0], [0.0, 2.0]]))
    np.testing.assert_array_equal(dx, [[-1, -1, -1], [4, 8, 12]])
    np.testing.assert_array_equal(layer.kernel.grad, [[1, 3], [0, 2], [-1, 1]])
    np.testing.assert_array_equal(layer.bias.grad, [1, 1])


def test_dense_without_dx_returns_none():
    layer = Dense(2, kernel_initializer=constant(1.0)).build((3,), dtype=np.float64).train()
    layer.needs_dx = False
    layer(np.ones((4, 3)))
    assert layer.backward(np.ones((4, 2))) is None
    np.testing.assert_array_equal(layer.kernel.grad, np.full((3, 2), 4.0))


def test_dense_without_bias_has_none():
    layer = Dense(2, use_bias=False, kernel_initializer=constant(2.0)).build((3,)).train()
    assert layer.bias is None
    assert [name for name, _ in layer.named_parameters()] == ["kernel"]
    np.testing.assert_array_equal(layer(np.ones((1, 3), np.float32)), [[6.0, 6.0]])


def test_dense_counts_macs():
    assert Dense(10).build((84,)).macs() == 840
    assert Dense(10).build((2, 3, 84)).macs() == 6 * 840


def test_dense_draws_its_bias_from_the_stream_of_the_build():
    layer = Dense(3, kernel_initializer=zeros, bias_initializer=lambda shape, rng: rng.normal(size=shape))
    layer.build((4,), rng=7, dtype=np.float64)
    np.testing.assert_array_equal(layer.bias.value, np.random.default_rng(7).normal(size=3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Dense(0), ValueError, "`units` must be at least 1, got 0"),
        (lambda: Dense("3"), TypeError, "`units` must be an integer"),
        (
            lambda: Dense(2).build((3,))(np.zeros((1, 4), np.float32)),
            ValueError,
            "Dense needs x of shape (N, ..., 3), got (1, 4)",
        ),
        (
            lambda: Dense(2).build((3,))(np.zeros(3, np.float32)),
            ValueError,
            "Dense needs x of shape (N, ..., 3), got (3,)",
        ),
        (
            lambda: Sequential([Dense(2)]).build((3,))(np.zeros((1, 2), np.float32)),
            ValueError,
            "layer 0 (Dense)",
        ),
    ],
)
def test_dense_refuses_what_does_not_fit_in_a_sentence(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_dense_refuses_a_gradient_of_another_shape():
    layer = Dense(2).build((3,)).train()
    layer(np.zeros((4, 3), np.float32))
    with pytest.raises(ValueError, match=r"dy must have the output's shape \(4, 2\), got \(1, 2\)"):
        layer.backward(np.zeros((1, 2), np.float32))
