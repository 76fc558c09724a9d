import numpy as np
import pytest

from minicnn import Flatten
from minicnn.testing import check_layer


@pytest.mark.parametrize("shape", [(5,), (3, 4, 2), (1, 1, 1), (2, 3, 4, 5)])
def test_flatten_honours_the_contract(shape):
    check_layer(Flatten(), shape)


def test_flatten_is_in_c_order_and_back():
    layer = Flatten().build((2, 2, 2)).train()
    x = np.arange(16, dtype=np.float32).reshape(2, 2, 2, 2)
    y = layer(x)
    np.testing.assert_array_equal(y, [range(8), range(8, 16)])
    np.testing.assert_array_equal(layer.backward(y), x)
    assert layer.output_shape == (8,)


def test_flatten_of_an_empty_batch_stays_empty():
    assert Flatten().build((3, 4, 2))(np.zeros((0, 3, 4, 2), np.float32)).shape == (0, 24)
