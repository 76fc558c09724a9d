import numpy as np
import pytest

from minicnn.models import lenet5_1998
from minicnn.models.historic.lenet5_1998 import C3_TABLE, PartialConv2D, Subsample

# Section II-B of the paper: trainable parameters of C1, S2, C3, S4, C5 and F6, together 60,000.
PAPER = [156, 12, 1516, 32, 48120, 10164]


def test_the_parameters_of_each_layer_are_those_of_the_paper():
    model = lenet5_1998().build((32, 32, 1), rng=0)
    counts = [sum(p.size for p in layer.parameters()) for layer in model]
    assert [count for count in counts if count][:-1] == PAPER
    assert sum(PAPER) == 60_000
    assert [layer.output_shape for layer in model if layer.parameters()] == [
        *((28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (1, 1, 120), (84,), (10,)),
    ]


def test_c3_sees_s2_as_in_table_1():
    # Read down the columns of the paper's table: how many maps of C3 each map of S2 feeds.
    feeds = [sum(channel in seen for seen in C3_TABLE) for channel in range(6)]
    assert feeds == [10] * 6
    assert [len(seen) for seen in C3_TABLE] == [3] * 6 + [4] * 9 + [6]
    assert len(set(C3_TABLE)) == 16


def test_partial_convolution_ignores_what_it_does_not_see():
    layer = PartialConv2D([(0, 2), (1,)], 2).build((3, 3, 3), rng=0, dtype=np.float64).train()
    x = np.random.default_rng(0).standard_normal((1, 3, 3, 3))
    kernel = layer.kernel.value
    y = layer(x)
    first = sum((x[0, :2, :2, c] * kernel[:, :, i]).sum() for i, c in enumerate((0, 2)))
    np.testing.assert_allclose(y[0, 0, 0], [first, (x[0, :2, :2, 1] * kernel[:, :, 2]).sum()], rtol=1e-12)
    dx = layer.backward(np.stack([np.ones((1, 2, 2)), np.zeros((1, 2, 2))], axis=-1))
    assert not dx[..., 1].any()
    assert layer.kernel.grad.shape == (2, 2, 3)


def test_subsampling_is_factor_times_sum_plus_bias():
    layer = Subsample().build((2, 2, 1), dtype=np.float64).train()
    layer.factor.value, layer.bias.value = [0.5], [1.0]
    x = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 2, 2, 1)
    assert layer(x).item() == 6.0
    np.testing.assert_array_equal(layer.backward(np.full((1, 1, 1, 1), 2.0)).ravel(), [1, 1, 1, 1])
    assert layer.factor.grad.item() == 20.0
    assert layer.bias.grad.item() == 2.0


@pytest.mark.parametrize("name", ["C1", "C5", "F6"])
def test_first_weights_are_within_2_4_by_fan_in(name):
    model = lenet5_1998().build((32, 32, 1), rng=0)
    layer, fan_in = {"C1": (model[0], 25), "C5": (model[8], 400), "F6": (model[11], 120)}[name]
    largest = np.abs(layer.kernel.value).max()
    assert 0.9 * 2.4 / fan_in < largest <= 2.4 / fan_in
