import math

import numpy as np
import pytest

from minicnn import ELU, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Tanh
from minicnn.testing import check_layer


@pytest.mark.parametrize("shape", [(1,), (7,), (4, 5, 3)])
@pytest.mark.parametrize(
    "layer",
    [ReLU(), LeakyReLU(), LeakyReLU(0.0), Tanh(), Tanh(1.7159, 2 / 3), Sigmoid(), Softmax()],
    ids=repr,
)
def test_activations_honour_the_contract(layer, shape):
    check_layer(layer, shape)


LAYERS = [
    (layer, shape)
    for layer in (ELU(), ELU(0.3), ELU(0), SiLU(), GELU(), GELU(approximate=True))
    for shape in ((7,), (4, 5, 3))
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_smooth_activations_honour_the_contract(layer, shape):
    check_layer(layer, shape)


def both_ways(layer, x, dy):
    layer.build((len(x),), dtype=np.float64).train()
    return layer(np.array([x]))[0], layer.backward(np.array([dy]))[0]


def test_relu_by_hand_has_derivative_0_at_0():
    y, dx = both_ways(ReLU(), [-2.0, -0.0, 0.0, 3.0], [5.0, 6.0, 7.0, 8.0])
    np.testing.assert_array_equal(y, [0, 0, 0, 3])
    np.testing.assert_array_equal(dx, [0, 0, 0, 8])


def test_leaky_relu_by_hand():
    y, dx = both_ways(LeakyReLU(0.5), [-2.0, 0.0, 0.25, 3.0], [4.0, 6.0, 7.0, 8.0])
    np.testing.assert_array_equal(y, [-1, 0, 0.25, 3])
    np.testing.assert_array_equal(dx, [2, 3, 7, 8])


def test_leaky_relu_has_the_slope_of_keras_by_default():
    y, dx = both_ways(LeakyReLU(), [-2.0, 2.0], [1.0, 1.0])
    np.testing.assert_allclose(y, [-0.6, 2.0], rtol=1e-15)
    np.testing.assert_allclose(dx, [0.3, 1.0], rtol=1e-15)


def test_tanh_by_hand():
    y, dx = both_ways(Tanh(), [0.0, 1.0], [1.0, 2.0])
    np.testing.assert_allclose(y, [0, math.tanh(1)], rtol=1e-15)
    np.testing.assert_allclose(dx, [1, 2 / math.cosh(1) ** 2], rtol=1e-14)


def test_tanh_takes_negative_factors():
    y, dx = both_ways(Tanh(-3.0, -2.0), [0.5], [1.0])
    np.testing.assert_allclose(y, [3 * math.tanh(1)], rtol=1e-15)
    np.testing.assert_allclose(dx, [6 / math.cosh(1) ** 2], rtol=1e-14)


def test_tanh_by_hand_with_the_factors_of_1998():
    y, dx = both_ways(Tanh(1.7159, 2 / 3), [0.0, 1.0, 40.0], [1.0, 1.0, 1.0])
    np.testing.assert_allclose(y, [0, 1.7159 * math.tanh(2 / 3), 1.7159], rtol=1e-15)
    np.testing.assert_allclose(dx, [1.7159 * 2 / 3, 1.7159 * 2 / 3 / math.cosh(2 / 3) ** 2, 0], rtol=1e-14)


def test_sigmoid_by_hand_does_not_overflow():
    y, dx = both_ways(Sigmoid(), [-1000.0, 0.0, math.log(3), 1000.0], [1.0, 4.0, 16.0, 1.0])
    np.testing.assert_allclose(y, [0, 0.5, 0.75, 1], rtol=1e-15)
    np.testing.assert_allclose(dx, [0, 1, 3, 0], rtol=1e-15)


def test_softmax_by_hand():
    y, dx = both_ways(Softmax(), [1e4, 1e4 + math.log(3), 0.0], [4.0, 0.0, 100.0])
    np.testing.assert_allclose(y, [0.25, 0.75, 0], rtol=1e-11)
    np.testing.assert_allclose(dx, [0.25 * 3, -0.75, 0], rtol=1e-11)  # y * (dy - 1)


def test_leaky_relu_refuses_a_slope_that_is_none():
    with pytest.raises(ValueError, match=r"`slope` must be in \[0, inf\), got -0.1"):
        LeakyReLU(-0.1)


@pytest.mark.parametrize("name", ["amplitude", "steepness"])
def test_tanh_refuses_factors_that_are_no_numbers(name):
    with pytest.raises(TypeError, match=f"`{name}` must be a number, got None"):
        Tanh(**{name: None})
    with pytest.raises(ValueError, match=f"`{name}` must be in"):
        Tanh(**{name: math.inf})


def test_elu_by_hand():
    y, dx = both_ways(ELU(2.0), [-math.log(4), 0.0, 3.0, -1000.0], [1.0, 5.0, 7.0, 1.0])
    np.testing.assert_allclose(y, [2 * (0.25 - 1), 0, 3, -2], rtol=1e-15)
    np.testing.assert_allclose(dx, [2 * 0.25, 10, 7, 0], rtol=1e-15)


def test_silu_by_hand():
    y, dx = both_ways(SiLU(), [math.log(3), 0.0, -1000.0, 1000.0], [1.0, 4.0, 1.0, 1.0])
    np.testing.assert_allclose(y, [math.log(3) * 0.75, 0, 0, 1000], rtol=1e-15)
    np.testing.assert_allclose(dx, [0.75 + math.log(3) * 0.75 * 0.25, 2, 0, 1], rtol=1e-15)


def test_gelu_is_the_normal_distribution_of_the_standard_library():
    x = np.linspace(-9, 9, 101)
    y, dx = both_ways(GELU(), x, np.ones(101))
    cdf = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x])
    np.testing.assert_allclose(y, x * cdf, rtol=1e-13)
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(dx, cdf + x * density, rtol=1e-12, atol=1e-16)


def test_gelu_s_tanh_formula_is_that_of_the_paper():
    x = np.linspace(-5, 5, 101)
    y, _ = both_ways(GELU(approximate=True), x, np.ones(101))
    expected = [0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3))) for v in x]
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-15)
    exact, _ = both_ways(GELU(), x, np.ones(101))
    assert 4e-4 < np.abs(y - exact).max() < 5e-4


def test_elu_refuses_an_alpha_that_is_none():
    with pytest.raises(ValueError, match=r"`alpha` must be in \[0, inf\), got -1"):
        ELU(-1)
