import copy

import numpy as np
import pytest
from cases import pool_cases
from hypothesis import given
from hypothesis import strategies as st

from minicnn import Dense, GlobalMaxPool2D, Layer, LeakyReLU, Pool2D, ReLU, Residual, Sequential
from minicnn.layers._exchange import Exchanged
from minicnn.models import lenet5
from minicnn.ops.pool import TIES


class Identity(Layer):
    """Comes first, since the first layer is never exchanged."""

    def forward(self, x):
        return x.copy(order="K")

    def backward(self, dy):
        return dy


class Clip(Layer):
    """A user's function, with a derivative of 0 wherever it maps different values to the same one."""

    commutes_with_max = True

    def forward(self, x):
        self.cache = (x > -1) & (x < 2)
        return np.clip(x, -1, 2)

    def backward(self, dy):
        return dy * self.cache


def chain(function, maximum, shape, dtype=np.float64):
    return Sequential([Identity(), function, maximum]).build(shape, rng=0, dtype=dtype).train()


def exchanged(model):
    return [isinstance(layer._cache[0], Exchanged) for layer in model]


def one_by_one(model, x, dy):
    for layer in model:
        x = layer(x)
    y = x
    caches = [layer.cache for layer in list(model)[1:]]
    for layer in reversed(list(model)):
        dy = layer.backward(dy)
    return y, dy, caches


def assert_same(found, expected):
    if isinstance(expected, tuple | list):
        assert len(found) == len(expected)
        for pair in zip(found, expected, strict=True):
            assert_same(*pair)
    else:
        np.testing.assert_array_equal(found, expected)


@given(
    case=pool_cases(),
    function=st.sampled_from([ReLU, Clip]),
    ties=st.sampled_from(TIES),
    over=st.sampled_from(["windows", "pairs", "image"]),
    batch_last=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_an_exchange_changes_no_bit_for_anybody(case, function, ties, over, batch_last, dtype):
    maximum = GlobalMaxPool2D(ties) if over == "image" else Pool2D(2, ties=ties)
    shape = case.shape
    if over == "windows":
        maximum = Pool2D(case.window, case.strides, case.padding, ties=ties)
    elif over == "pairs":
        shape = shape[0], 2 * shape[1], 2 * shape[2], shape[3]
    rng = np.random.default_rng(case.seed)
    x = rng.integers(-3, 4, shape) if case.tied else 2 * rng.standard_normal(shape)
    x = np.asfortranarray(x, dtype) if batch_last else x.astype(dtype)
    model = chain(function(), maximum, shape[1:], dtype)
    dy = rng.standard_normal((shape[0], *model.output_shape)).astype(dtype)
    y, dx, caches = one_by_one(model, x, dy)
    assert not any(exchanged(model))

    np.testing.assert_array_equal(model(x), y)
    assert exchanged(model) == [False, True, True]
    for _ in range(2):
        np.testing.assert_array_equal(model.backward(dy), dx)
    for look in ([1], [2], [1, 2], [2, 1]):
        model(x)
        for i in look:
            assert_same(model[i].cache, caches[i - 1])
            assert model[i].cache is model[i].cache
        np.testing.assert_array_equal(model.backward(dy), dx)
    model(x)
    for layer in reversed(list(model)):
        dy = layer.backward(dy)
    np.testing.assert_array_equal(dy, dx)
    np.testing.assert_array_equal(model.eval()(x), y)


def case_of(*layers):
    x = np.random.default_rng(0).standard_normal((2, 4, 4, 3))
    return Sequential(layers).build((4, 4, 3), rng=0, dtype=np.float64).train(), x


class Doubled(ReLU):
    def forward(self, x):
        return 2 * super().forward(x)


class Named(ReLU):
    pass


class Renewed(Doubled):
    commutes_with_max = True


class Watched(Pool2D):
    def backward(self, dy):
        return super().backward(dy)


@pytest.mark.parametrize(
    ("function", "maximum", "expected"),
    [
        (ReLU(), Pool2D(2), True),
        (Named(), Pool2D(2), True),
        (Renewed(), Pool2D(2), True),
        (Doubled(), Pool2D(2), False),  # another forward without the promise
        (ReLU(), Watched(2), False),
        (ReLU(), Pool2D(2, mode="avg"), False),
        (LeakyReLU(), Pool2D(2), False),  # rounding maps different values to the same one
    ],
)
def test_only_layers_that_promise_it_are_exchanged(function, maximum, expected):
    model, x = case_of(Identity(), function, maximum)
    model(x)
    assert exchanged(model) == [False, expected, expected]


def test_the_first_layer_a_frozen_mode_and_a_hook_are_left_alone():
    model, x = case_of(ReLU(), Pool2D(2))
    model(x)
    assert not any(exchanged(model))
    model, x = case_of(Identity(), ReLU(), Pool2D(2))
    model[1].training = False
    model(x)
    assert not any(exchanged(model))

    model, x = case_of(Identity(), ReLU(), Pool2D(2))
    seen, forward = [], model[1].forward

    def hook(x):
        seen.append(x)
        return forward(x)

    model[1].forward = hook
    model(x)
    assert not any(exchanged(model))
    np.testing.assert_array_equal(seen[0], x)


def test_a_layer_that_ran_alone_since_is_differentiated_alone():
    model, x = case_of(Identity(), ReLU(), Pool2D(2))
    dy = np.ones((2, 2, 2, 3))
    model(x)
    y = -x
    for layer in model:
        y = layer(y)
    found = model.backward(dy)
    np.testing.assert_array_equal(found, one_by_one(model, -x, dy)[1])


def test_the_cache_outlives_evaluation_mode_and_changes_of_x():
    model, x = case_of(Identity(), ReLU(), Pool2D(2))
    dy = np.ones((2, 2, 2, 3))
    expected, given = one_by_one(model, x, dy), x.copy()
    model(x)
    x[...] = 0
    model.eval()
    assert_same([model[1].cache, model[2].cache], expected[2])
    model.train()(given)
    model.eval()
    np.testing.assert_array_equal(model.backward(dy), expected[1])


def test_nan_is_computed_in_the_given_order():
    model, x = case_of(Identity(), ReLU(), Pool2D(2))
    x[0, 0, 0, 0] = np.nan
    dy = np.ones((2, 2, 2, 3))
    y, dx, _ = one_by_one(model, x, dy)
    np.testing.assert_array_equal(model(x), y)
    np.testing.assert_array_equal(model.backward(dy), dx)
    assert not any(exchanged(model))


def test_errors_name_the_layer_as_if_nothing_were_exchanged():
    model, x = case_of(Identity(), ReLU(), Pool2D(2))
    with pytest.raises(ValueError, match=r"layer 2 \(Pool2D\), given \(2, 3\): the input must be images"):
        model(x[:, 0, 0])
    model(x)
    with pytest.raises(ValueError, match=r"layer 2 \(Pool2D\), given \(2, 1, 2, 3\): dy must have"):
        model.backward(np.ones((2, 1, 2, 3)))
    dy = np.ones((2, 2, 2, 3))
    np.testing.assert_array_equal(model.backward(dy), one_by_one(model, x, dy)[1])


def test_branches_exchange_too():
    model, x = case_of(Residual([Identity(), ReLU(), Pool2D(3, 1, "same")]), Dense(2))
    model(x)
    assert [isinstance(layer._cache[0], Exchanged) for layer in model[0].layers] == [False, True, True]


def test_lenet5_has_the_same_gradients_layer_by_layer():
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal((9, *shape)).astype(np.float32) for shape in ((28, 28, 1), (10,)))
    model = lenet5().build((28, 28, 1), rng=0).train()
    other = copy.deepcopy(model)
    model(x)
    assert sum(exchanged(model)) == 4
    dx, other_dx = model.backward(dy), one_by_one(other, x, dy)[1]
    np.testing.assert_array_equal(dx, other_dx)
    for mine, others in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(mine.grad, others.grad)
