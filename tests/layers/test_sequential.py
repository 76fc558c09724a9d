import numpy as np
import pytest

from minicnn import BatchNorm, Conv2D, Dense, Flatten, Layer, Pool2D, ReLU, Sequential
from minicnn.models import lenet5


def test_sequential_nests_indexes_and_iterates():
    inner = Sequential([Dense(4), ReLU()])
    model = Sequential([inner, Dense(2)]).build((3,), rng=0)
    assert len(model) == 2
    assert model[0] is inner
    assert list(model) == [inner, model[1]]
    flat = Sequential([Dense(4), ReLU(), Dense(2)]).build((3,), rng=0)
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    np.testing.assert_array_equal(model(x), flat(x))
    dy = np.ones((5, 2), np.float32)
    model.train()(x), flat.train()(x)
    np.testing.assert_array_equal(model.backward(dy), flat.backward(dy))
    for nested, plain in zip(model.parameters(), flat.parameters(), strict=True):
        np.testing.assert_array_equal(nested.grad, plain.grad)


def test_an_empty_sequential_is_the_identity_but_not_the_same_array():
    model, x = Sequential().build((3,)).train(), np.ones((2, 3), np.float32)
    y = model(x)
    np.testing.assert_array_equal(y, x)
    assert not np.shares_memory(y, x)
    assert not np.shares_memory(model.backward(x), x)
    assert model.needs_dx
    model.needs_dx = False
    assert repr(model) == "Sequential([])"


def test_the_first_layer_alone_does_without_dx():
    model = (
        Sequential([Sequential([Conv2D(2, 3), ReLU()]), Flatten(), Dense(2)]).build((4, 4, 1), rng=0).train()
    )
    x, dy = np.ones((2, 4, 4, 1), np.float32), np.ones((2, 2), np.float32)
    model(x)
    assert model.backward(dy).shape == x.shape
    gradients = [p.grad.copy() for p in model.parameters()]
    model.zero_grad()
    assert model.needs_dx is True
    model.needs_dx = False
    assert model.needs_dx is False
    assert model[0][0].needs_dx is False
    model(x)
    assert model.backward(dy) is None
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        np.testing.assert_array_equal(parameter.grad, gradient)


def test_errors_name_the_layer_and_the_shape_that_reached_it():
    model = Sequential([Flatten(), Sequential([Dense(3)])]).build((4, 4, 1))
    with pytest.raises(
        ValueError,
        match=r"layer 1 \(Sequential\), given \(2, 9\): layer 0 \(Dense\), given \(2, 9\): Dense needs",
    ):
        model(np.zeros((2, 3, 3, 1), np.float32))
    with pytest.raises(RuntimeError, match=r"layer 1 \(Sequential\), given \(2, 3\): .*needs a forward"):
        model.backward(np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match=r"layer 1 \(Conv2D\), given \(16,\): Conv2D needs input_shape"):
        Sequential([Flatten(), Conv2D(1, 1)]).build((4, 4, 1))


def test_only_layer_objects_are_accepted():
    with pytest.raises(TypeError, match="layer 1 must be a Layer object, got the class ReLU"):
        Sequential([Dense(1), ReLU])
    with pytest.raises(TypeError, match="layer 0 must be a Layer object, got 3"):
        Sequential([3])


def test_summary_counts_parameters_products_and_cached_bytes():
    lines = lenet5().build((28, 28, 1), rng=0).summary().splitlines()
    assert lines[2].split() == ["0", "Conv2D", "(28,", "28,", "6)", "156", "117,600", "3,136"]
    # 5 * 5 * 28 * 28 * 6 + 5 * 5 * 6 * 10 * 10 * 16 + 400 * 120 + 120 * 84 + 84 * 10
    assert lines[-1].split()[:3] == ["total", "61,706", "416,520"]


def test_summary_changes_nothing_and_tells_what_is_not_trainable():
    model = Sequential([Conv2D(2, 3), BatchNorm(), Pool2D(2)]).build((6, 6, 1), rng=0)
    before = model.get_weights()
    text = model.summary()
    assert text.endswith("4 of the parameters are not trainable")
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not model.training
    with pytest.raises(RuntimeError, match=r"^the model is not built yet"):
        Sequential([Dense(1)]).summary()


def test_repr_is_a_program():
    model = Sequential([Sequential([Dense(2)]), ReLU()])
    assert repr(model) == "Sequential([\n    Sequential([\n        Dense(2),\n    ]),\n    ReLU(),\n])"
    assert repr(eval(repr(model))) == repr(model)


def test_a_layer_that_forgets_to_return_is_told_by_the_next_one():
    class Forgets(Layer):
        def forward(self, x):
            return None if self.training else x

        def backward(self, dy):
            return dy

    model = Sequential([Forgets(), Dense(2)]).build((3,), rng=0).train()
    with pytest.raises(TypeError, match=r"layer 1 \(Dense\), given \(\): `x` must be an array"):
        model(np.ones((1, 3), np.float32))
