import numpy as np
import pytest

from minicnn import PReLU
from minicnn.testing import parametrize_with_checks

LAYERS = [
    (PReLU(), (5,)),
    (PReLU(), (4, 3, 2)),
    (PReLU(0.0), (3, 2)),
    (PReLU(shared=False), (4, 3, 2)),
    (PReLU(-0.5, shared=False), (3,)),
]


@parametrize_with_checks(LAYERS)
def test_prelu_honours_the_contract(layer, check):
    check(layer)


def test_prelu_by_hand():
    layer = PReLU().build((1, 2, 2), dtype=np.float64).train()
    np.testing.assert_array_equal(layer.slope.value, [0.25, 0.25])
    layer.slope.value = [0.5, 2.0]
    x = np.array([[[[-2.0, -3.0], [4.0, 0.0]]]])
    np.testing.assert_array_equal(layer(x), [[[[-1, -6], [4, 0]]]])
    np.testing.assert_array_equal(
        layer.backward(np.array([[[[1.0, 10.0], [3.0, 7.0]]]])), [[[[0.5, 20], [3, 14]]]]
    )
    np.testing.assert_array_equal(layer.slope.grad, [-2, -30])


def test_the_gradient_of_a_slope_is_accurate_over_a_million_pixels():
    layer = PReLU().build((1000, 1000, 1)).train()
    layer(np.full((1, 1000, 1000, 1), -0.1, np.float32))
    layer.backward(np.ones((1, 1000, 1000, 1), np.float32))
    np.testing.assert_allclose(layer.slope.grad, -0.1 * 1e6, rtol=1e-6)


def test_prelu_refuses_other_channels_than_it_was_built_for():
    layer = PReLU().build((2, 2, 1))
    with pytest.raises(ValueError, match=r"PReLU needs x of shape \(N, ..., 1\), got \(1, 2, 2, 3\)"):
        layer(np.zeros((1, 2, 2, 3), np.float32))
    with pytest.raises(TypeError, match="`initial_slope` must be a number, got None"):
        PReLU(None)
