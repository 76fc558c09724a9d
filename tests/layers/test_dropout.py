import numpy as np
import pytest

from minicnn import Dense, Dropout, Sequential
from minicnn.testing import check_layer


@pytest.mark.parametrize("inverted", [True, False])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(2,), (20,), (4, 4, 3)])
def test_dropout_honours_the_contract(rate, inverted, shape):
    check_layer(Dropout(rate, inverted), shape)


def test_dropout_drops_and_scales_in_training_and_sends_gradients_the_same_way():
    layer = Dropout(0.25).build((100, 100), rng=0).train()
    x = np.ones((4, 100, 100), np.float32)
    y = layer(x)
    kept = y != 0
    np.testing.assert_array_equal(y, kept * np.float32(4 / 3))
    assert abs(kept.mean() - 0.75) < 0.01  # 40,000 draws: the standard deviation is 0.002
    np.testing.assert_array_equal(layer.backward(2 * x), 2 * y)


def test_dropout_as_the_paper_has_it_scales_outside_training_and_the_expected_value_is_the_same():
    layer = Dropout(0.25, inverted=False).build((100, 100), rng=0).train()
    x = np.full((4, 100, 100), 2, np.float32)
    y = layer(x)
    assert set(np.unique(y)) == {0.0, 2.0}
    np.testing.assert_array_equal(layer.backward(x), y)
    np.testing.assert_array_equal(layer.eval()(x), np.full_like(x, 1.5))
    assert abs(y.mean() - 1.5) < 0.02  # 40,000 draws: the standard deviation is 0.004


def test_both_forms_of_dropout_drop_the_same_values():
    x = np.random.default_rng(1).standard_normal((3, 50))
    both = [
        Dropout(0.6, inverted).build((50,), rng=0, dtype=np.float64).train()(x) for inverted in (True, False)
    ]
    np.testing.assert_allclose(both[0] * 0.4, both[1], rtol=1e-15)


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
