import numpy as np
import pytest

from minicnn import Dense, Dropout, Sequential
from minicnn.testing import check_layer


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(2,), (20,), (4, 4, 3)])
def test_dropout_honours_the_contract(rate, shape):
    check_layer(Dropout(rate), shape)


def test_dropout_drops_and_scales_in_training_and_sends_gradients_the_same_way():
    layer = Dropout(0.25).build((100, 100), rng=0).train()
    x = np.ones((4, 100, 100), np.float32)
    y = layer(x)
    kept = y != 0
    np.testing.assert_array_equal(y, kept * np.float32(4 / 3))
    assert abs(kept.mean() - 0.75) < 0.01  # 40,000 draws: the standard deviation is 0.002
    np.testing.assert_array_equal(layer.backward(2 * x), 2 * y)


def test_dropout_draws_anew_at_each_forward_and_nothing_in_eval():
    layer = Dropout(0.5).build((1000,), rng=0).train()
    x = np.ones((1, 1000), np.float32)
    assert not np.array_equal(layer(x), layer(x))
    np.testing.assert_array_equal(layer.eval()(x), x)


def test_replicas_draw_from_streams_of_their_own():
    layer = Dropout(0.5).build((1000,), rng=0).train()
    one, two = layer.replica(), layer.replica()
    x = np.ones((1, 1000), np.float32)
    masks = [drop(x) for drop in (layer, one, two)]
    for i in range(3):
        assert 0.4 < (masks[i] == masks[i - 1]).mean() < 0.6


def test_dropout_leaves_the_weights_of_the_layers_after_it_alone():
    plain = Sequential([Dense(3), Dense(2)]).build((4,), rng=0).get_weights()
    dropped = Sequential([Dense(3), Dropout(0.5), Dense(2)]).build((4,), rng=0).get_weights()
    for a, b in zip(plain, dropped, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("rate", [1, 1.2, -0.1, float("nan")])
def test_dropout_refuses_a_rate_that_is_none(rate):
    with pytest.raises(ValueError, match=r"`rate` must be in \[0, 1\)"):
        Dropout(rate)
