import numpy as np
import pytest

from minicnn import Upsampling2D, ZeroPadding2D
from minicnn.testing import check_layer

LAYERS = [
    (ZeroPadding2D(), (3, 4, 2)),
    (ZeroPadding2D(0), (3, 4, 2)),
    (ZeroPadding2D((2, 0)), (1, 3, 1)),
    (ZeroPadding2D(((1, 0), (0, 3))), (3, 2, 2)),
    (ZeroPadding2D([(1, 2), 1]), (2, 2, 1)),
    (Upsampling2D(), (3, 2, 2)),
    (Upsampling2D(1), (3, 2, 2)),
    (Upsampling2D((1, 3)), (2, 3, 1)),
    (Upsampling2D((3, 2)), (1, 2, 3)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_resizing_layers_honour_the_contract(layer, shape):
    check_layer(layer, shape)


def test_zero_padding_by_hand():
    layer = ZeroPadding2D(((1, 0), (0, 2))).build((1, 2, 1)).train()
    y = layer(np.array([[[[5.0], [6.0]]]], np.float32))
    np.testing.assert_array_equal(y[0, ..., 0], [[0, 0, 0, 0], [5, 6, 0, 0]])
    dx = layer.backward(np.arange(8, dtype=np.float32).reshape(1, 2, 4, 1))
    np.testing.assert_array_equal(dx[0, ..., 0], [[4, 5]])


def test_upsampling_by_hand():
    layer = Upsampling2D((2, 3)).build((1, 2, 1)).train()
    y = layer(np.array([[[[5.0], [6.0]]]], np.float32))
    np.testing.assert_array_equal(y[0, ..., 0], [[5, 5, 5, 6, 6, 6]] * 2)
    dx = layer.backward(np.arange(12, dtype=np.float32).reshape(1, 2, 6, 1))
    np.testing.assert_array_equal(dx[0, ..., 0], [[0 + 1 + 2 + 6 + 7 + 8, 3 + 4 + 5 + 9 + 10 + 11]])


@pytest.mark.parametrize("padding", [1.5, (1, 2, 3), "same", ((1, 2), (3,)), None])
def test_zero_padding_says_what_padding_it_takes(padding):
    with pytest.raises(ValueError, match=r"`padding` must be an integer, two of them, or \(\(top, bottom\)"):
        ZeroPadding2D(padding)


def test_wrong_sizes_and_inputs_are_refused():
    with pytest.raises(ValueError, match=r"`padding` must not be negative, got \(1, -1\)"):
        ZeroPadding2D((1, -1))
    with pytest.raises(ValueError, match="`size` must be at least 1, got 0"):
        Upsampling2D(0)
    for layer in (ZeroPadding2D(), Upsampling2D()):
        with pytest.raises(ValueError, match=r"images of shape \(N, H, W, C\), got \(1, 3\)"):
            layer.build((3,))
        layer.build((2, 2, 1)).train()(np.zeros((1, 2, 2, 1), np.float32))
        with pytest.raises(ValueError, match=r"dy must have the output's shape \(1, 4, 4, 1\)"):
            layer.backward(np.zeros((1, 2, 2, 1), np.float32))
