import numpy as np
import pytest

from minicnn import Rescaling
from minicnn.testing import check_layer

LAYERS = [
    (Rescaling(2.0), (4,)),
    (Rescaling(-0.3, 1.5), (3, 4, 2)),
    (Rescaling([0.5, 2.0], (0.1, -0.2)), (3, 4, 2)),
    (Rescaling(1 / 255, offset=[1.0, 2.0, 3.0]), (3,)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_rescaling_honours_the_contract(layer, shape):
    check_layer(layer, shape)


def test_rescaling_by_hand():
    layer = Rescaling([2.0, 3.0], 1.0).build((2,), dtype=np.float64).train()
    np.testing.assert_array_equal(layer(np.array([[5.0, 7.0]])), [[11, 22]])
    np.testing.assert_array_equal(layer.backward(np.array([[1.0, -1.0]])), [[2, -3]])
    assert repr(layer) == "Rescaling((2.0, 3.0), offset=1.0)"


def test_numbers_for_other_channels_are_refused():
    with pytest.raises(ValueError, match=r"Rescaling has 3 numbers in `offset`, .*, got \(1, 4, 4, 1\)"):
        Rescaling(1.0, [0.1, 0.2, 0.3]).build((4, 4, 1))


@pytest.mark.parametrize(
    ("scale", "error"), [("2", TypeError), (np.nan, ValueError), ([1.0, None], TypeError)]
)
def test_scales_must_be_numbers(scale, error):
    with pytest.raises(error, match="`scale` must be"):
        Rescaling(scale)
