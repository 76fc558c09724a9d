import numpy as np
import pytest

from minicnn import GlobalAveragePool2D, GlobalMaxPool2D
from minicnn.testing import check_layer


@pytest.mark.parametrize("shape", [(4, 5, 3), (1, 1, 1), (7, 2, 4)])
def test_global_average_pool2d_honours_the_contract(shape):
    check_layer(GlobalAveragePool2D(), shape)


def test_global_average_pool2d_by_hand():
    layer = GlobalAveragePool2D().build((2, 2, 2), dtype=np.float64).train()
    x = np.array([[[1.0, 10.0], [2.0, 20.0]], [[3.0, 30.0], [6.0, 60.0]]])[None]
    np.testing.assert_array_equal(layer(x), [[3.0, 30.0]])
    dx = layer.backward(np.array([[4.0, -8.0]]))
    np.testing.assert_array_equal(dx, np.broadcast_to([1.0, -2.0], (1, 2, 2, 2)))


LAYERS = [
    (GlobalMaxPool2D(ties), shape) for ties in ("split", "first", "all") for shape in ((1, 1, 1), (4, 3, 2))
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_global_max_honours_the_contract(layer, shape):
    check_layer(layer, shape)


@pytest.mark.parametrize(
    ("ties", "expected"),
    [("split", [0, 3, 3, 0]), ("first", [0, 6, 0, 0]), ("all", [0, 6, 6, 0])],
)
def test_global_max_by_hand_with_each_rule_for_ties(ties, expected):
    layer = GlobalMaxPool2D(ties).build((2, 2, 1)).train()
    x = np.array([-3.0, -1.0, -1.0, -2.0], np.float32).reshape(1, 2, 2, 1)
    np.testing.assert_array_equal(layer(x), [[-1]])
    np.testing.assert_array_equal(layer.backward(np.array([[6.0]], np.float32)).ravel(), expected)


def test_global_max_refuses_unknown_ties_and_vectors():
    with pytest.raises(ValueError, match="`ties` must be"):
        GlobalMaxPool2D("last")
    with pytest.raises(ValueError, match=r"images of shape \(N, H, W, C\)"):
        GlobalMaxPool2D().build((3,))
