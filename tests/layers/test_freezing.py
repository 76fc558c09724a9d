"""Layers that are frozen, and layers that keep their weights when they are built again."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn import (
    BatchNorm,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    GroupNorm,
    Layer,
    Parameter,
    ReLU,
    Residual,
    Sequential,
)


def net():
    """A small net with every kind of container, in float64."""
    block = Residual([Conv2D(3, 3, padding="same"), BatchNorm(), ReLU(), Conv2D(3, 1)])
    branches = Concatenate([[Conv2D(2, 1), ReLU()], [], Conv2D(1, 3, padding="same")])
    layers = [Conv2D(3, 3), BatchNorm(), ReLU(), block, branches, Sequential([Flatten(), Dense(4), ReLU()])]
    return Sequential([*layers, Dense(3)])


# --- what is built keeps its weights ----------------------------------------------------------------------


def test_a_new_head_keeps_the_weights_of_an_old_trunk():
    old = net().build((6, 6, 2), rng=0, dtype=np.float64)
    weights = old.get_weights()
    new = Sequential([*old[:-1], Dense(5)]).build((6, 6, 2), rng=1, dtype=np.float64)
    assert new.output_shape == (5,)
    for parts in (old.get_weights(), [*new.get_weights()[:-2], *weights[-2:]]):
        for now, then in zip(parts, weights, strict=True):
            np.testing.assert_array_equal(now, then)
    x = np.random.default_rng(0).standard_normal((2, 6, 6, 2))
    np.testing.assert_array_equal(new[:-1].predict(x), old[:-1].predict(x))
    assert not np.array_equal(new.get_weights()[-2][:, :3], weights[-2])


def test_building_again_changes_nothing_and_keeps_random_streams():
    model = Sequential([Dense(4), Dropout(0.5), Dense(2)]).build((3,), rng=0)
    weights, stream = model.get_weights(), model[1].rng
    assert model.build((3,), rng=7) is model
    assert model[1].rng is stream
    for now, then in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_trunk_of_convolutions_takes_images_of_another_size():
    trunk = Sequential([Conv2D(4, 3), GroupNorm(2, scale=False, center=False), ReLU(), GlobalAveragePool2D()])
    trunk.build((8, 8, 2), rng=0)
    kernel = trunk[0].kernel.value.copy()
    model = Sequential([*trunk, Dense(2)]).build((12, 10, 2), rng=1)
    assert (model[0].output_shape, model.output_shape) == ((10, 8, 4), (2,))
    np.testing.assert_array_equal(model[0].kernel.value, kernel)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((8, 8, 3), r"layer 0 \(Conv2D\).* built for input_shape \(8, 8, 2\).* do not fit \(8, 8, 3\)"),
        ((9, 9, 2), r"layer 2 \(Dense\).* built for input_shape \(144,\).* do not fit \(196,\)"),
    ],
)
def test_an_input_shape_that_does_not_fit_is_an_error_that_changes_nothing(shape, message):
    model = Sequential([Conv2D(4, 3), Flatten(), Dense(2)]).build((8, 8, 2), rng=0)
    weights = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.build(shape)
    assert (model.input_shape, model[0].output_shape, model[1].output_shape) == ((8, 8, 2), (6, 6, 4), (144,))
    for now, then in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_build_that_fails_leaves_new_layers_unbuilt():
    model = Sequential([Dense(3), Conv2D(2, 3)])
    with pytest.raises(ValueError, match="layer 1"):
        model.build((8, 8, 2)[:1])
    assert [part.input_shape for part in (model, *model)] == [None, None, None]
    assert Sequential([model[0], Dense(2)]).build((5,), rng=0).output_shape == (2,)


def test_a_built_layer_of_another_dtype_is_an_error():
    old = Sequential([Dense(2)]).build((3,), rng=0, dtype=np.float64)
    with pytest.raises(ValueError, match=r"Dense is built in float64.*pass dtype='float64'"):
        Sequential([old[0], Dense(1)]).build((3,))


def test_layers_made_in_init_params_are_not_lost():
    class Block(Layer):
        def init_params(self, input_shape, rng):
            self.one = Dense(3).build(input_shape, rng)
            self.two = Dense(input_shape[-1]).build((3,), rng)

        def forward(self, x):
            return self.two(self.one(x))

    block = Block().build((4,), rng=0)
    one = block.one
    assert block.build((4,), rng=1).one is one  # nothing to build
    block.two = Dense(4)
    with pytest.raises(ValueError, match="Block creates weights in init_params"):
        block.build((4,), rng=1)
    assert block.one is one


def test_an_exchanged_layer_is_noticed():
    model = Sequential([Dense(4), ReLU(), Dense(3)]).build((2,), rng=0)
    kernel = model[0].kernel.value.copy()
    model.layers[2] = Dense(5)
    x = np.zeros((1, 2), np.float32)
    for use in (model, model.predict):
        with pytest.raises(RuntimeError, match=r"layer 2 \(Dense\) was replaced.*call build\(\(2,\)\) again"):
            use(x)
    assert model.build((2,), rng=1).predict(x).shape == (1, 5)
    np.testing.assert_array_equal(model[0].kernel.value, kernel)
    model.layers[2] = Dense(6).build((4,), rng=0)
    with pytest.raises(RuntimeError, match=r"the last layer \(Dense\) was replaced"):
        model.predict(x)
    assert model.build((2,)).predict(x).shape == (1, 6)


def test_a_layer_is_replaced_in_place():
    model = Sequential([Dense(4), ReLU(), Dense(3)]).build((2,), rng=0)
    x, kernel = np.ones((1, 2), np.float32), model[0].kernel
    model[-1] = Dense(5)
    with pytest.raises(RuntimeError, match=r"layer 2 \(Dense\) was replaced.*call build\(\(2,\)\) again"):
        model.predict(x)
    model.build((2,), rng=1)
    expected = np.maximum(x @ kernel.value + model[0].bias.value, 0) @ model[2].kernel.value
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-6)
    with pytest.raises(TypeError, match="must be a Layer object, got the class Dense"):
        model[0] = Dense
    with pytest.raises(TypeError, match="replaced one by one"):
        model[:1] = [Dense(4)]
    with pytest.raises(IndexError):
        model[3] = Dense(4)


def test_slices_are_models():
    model = net().build((6, 6, 2), rng=0, dtype=np.float64)
    x = np.random.default_rng(0).standard_normal((2, 6, 6, 2))
    for cut in (1, 4, -1):
        first, rest = model[:cut], model[cut:]
        assert (first.input_shape, first.output_shape) == (model.input_shape, rest.input_shape)
        np.testing.assert_array_equal(rest.predict(first.predict(x)), model.predict(x))
        assert len(first) + len(rest) == len(model)
    assert (model[::-1].input_shape, len(model[3:3]), model[:0].input_shape) == (None, 0, None)
    assert Sequential([Dense(2), ReLU()])[:1].input_shape is None


# --- freezing ---------------------------------------------------------------------------------------------


@given(st.data())
def test_gradients_above_the_lowest_trainable_weight_are_the_same(data):
    """Frozen layers are drawn; BatchNorm, whose forward depends on it, is frozen in both nets."""
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x, dy = rng.standard_normal((3, 6, 6, 2)), rng.standard_normal((3, 3))
    free, frozen = (net().build((6, 6, 2), rng=1, dtype=np.float64) for _ in range(2))
    for model in (free, frozen):
        for _, layer in model.named_layers():
            if isinstance(layer, BatchNorm):
                layer.trainable = False
    chosen = data.draw(st.sets(st.integers(0, len(list(free.named_layers())) - 1)))
    for i, (_, layer) in enumerate(frozen.named_layers()):
        if i in chosen:
            layer.trainable = False
    outputs = [model.train()(x) for model in (free, frozen)]
    np.testing.assert_array_equal(*outputs)
    free.backward(dy)
    frozen.needs_dx = False
    np.testing.assert_array_equal(frozen(x), outputs[0])
    frozen.backward(dy)
    for (name, one), (_, other) in zip(free.named_parameters(), frozen.named_parameters(), strict=True):
        expected = one.grad if other.trainable else np.zeros(one.shape)
        np.testing.assert_array_equal(other.grad, expected, err_msg=name)
    frozen.needs_dx = True
    frozen.trainable = True
    assert all(layer.needs_backward for _, layer in frozen.named_layers())


def test_below_the_lowest_trainable_weight_nothing_is_cached_or_differentiated():
    calls = []

    class Spy(Layer):
        def init_params(self, input_shape, rng):
            self.scale = Parameter(np.ones(1))

        def forward(self, x):
            self.cache = x
            return x * self.scale.value

        def backward(self, dy):
            calls.append(self)
            self.scale.add_grad((dy * self.cache).sum().reshape(1))
            return dy

    model = Sequential([Spy(), Sequential([Spy(), Spy()]), Residual([Spy()]), Spy()]).build((2,))
    model[0].trainable = model[1][0].trainable = model[2].trainable = False
    model.train().needs_dx = False
    x = np.ones((1, 2), np.float32)
    model.backward(model(x))
    assert calls == [model[3], model[2].layers[0], model[1][1]]
    with pytest.raises(RuntimeError, match="needs a forward pass in training mode"):
        _ = model[1][0].cache
    assert model[1][1].cache is not None


def test_a_frozen_batch_norm_normalizes_by_its_running_averages():
    layer = BatchNorm().build((2,), dtype=np.float64)
    layer.gamma.value, layer.beta.value = [2.0, 3.0], [1.0, -1.0]
    layer.running_mean.value, layer.running_var.value = [1.0, 2.0], [3.0, 8.0]
    layer.trainable = False
    weights, x = layer.get_weights(), np.array([[3.0, 5.0], [7.0, 9.0]])
    y = layer.train()(x)
    np.testing.assert_array_equal(y, layer.eval()(x))
    layer.train()(x)
    dx = layer.backward(np.ones_like(x))
    scale = np.array([2.0, 3.0]) / np.sqrt(np.array([3.0, 8.0]) + 1e-3)
    np.testing.assert_allclose(dx, np.broadcast_to(scale, x.shape), rtol=1e-15)
    for now, then in zip(layer.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)
    assert not layer.gamma.grad.any()
    assert not layer.batch_dependent
    layer.trainable = True
    assert layer.batch_dependent
    assert [p.trainable for p in layer.parameters()] == [True, True, False, False]


@pytest.mark.parametrize("name", ["gamma", "beta"])
def test_a_thawed_weight_of_a_frozen_batch_norm_gets_its_gradient(name):
    rng = np.random.default_rng(0)
    layer = BatchNorm().build((2,), dtype=np.float64).train()
    layer.running_mean.value, layer.running_var.value = [1.0, 2.0], [3.0, 8.0]
    layer.trainable = False
    weight = getattr(layer, name)
    weight.trainable = True
    x, dy = rng.normal(size=(2, 3, 2))
    layer(x)
    layer.backward(dy)
    normalized = (x - [1.0, 2.0]) / np.sqrt(np.array([3.0, 8.0]) + 1e-3)
    expected = {"gamma": (dy * normalized).sum(axis=0), "beta": dy.sum(axis=0)}
    np.testing.assert_allclose(weight.grad, expected.pop(name), rtol=1e-14)
    assert not any(getattr(layer, other).grad.any() for other in expected)


def test_the_last_assignment_counts_and_new_weights_in_frozen_layers_are_frozen():
    model = Sequential([Dense(2), Sequential([Dense(2), Dense(2)])])
    model.trainable = False
    model[1].layers[1].trainable = True
    model.build((3,), rng=0)
    assert [p.trainable for p in model.parameters()] == [False] * 4 + [True] * 2
    model.trainable = True
    model[0].bias.trainable = False  # a single weight
    assert [p.trainable for p in model.parameters()] == [True, False] + [True] * 4

    class Late(Layer):
        def init_params(self, input_shape, rng):
            self.inner = Dense(1).build(input_shape, rng)

        def forward(self, x):
            return self.inner(x)

    late = Late()
    late.trainable = False
    assert not late.build((2,), rng=0).inner.trainable
    with pytest.raises(TypeError, match="`trainable` must be True or False, got 'no'"):
        late.trainable = "no"


@pytest.mark.parametrize("switch", ["requires_grad", "stop_gradient"])
def test_switches_of_other_frameworks_warn(switch):
    layer = Dense(2).build((3,), rng=0)
    for part in (layer, layer.kernel):
        with pytest.warns(UserWarning, match=rf"`{switch}` has no effect.*set `trainable = False`"):
            setattr(part, switch, False)
    assert not hasattr(Dense(2), switch)

    with pytest.warns(UserWarning, match=r"`stop_training` has no effect.* `self.state.stop = True`"):
        layer.stop_training = True

    class Own(Layer):
        def __init__(self, requires_grad=True):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.requires_grad = requires_grad

    assert repr(Own(False)).endswith("Own(requires_grad=False)")


def test_the_summary_shows_what_is_frozen():
    model = Sequential([Dense(4), BatchNorm(), Dense(2)]).build((3,), rng=0)
    assert "8 of the parameters are not trainable" in model.summary()
    model[:2].trainable = False
    lines = model.summary().splitlines()
    assert [line.split("  ")[0] for line in lines[2:5]] == [
        "0 Dense (frozen)",
        "1 BatchNorm (frozen)",
        "2 Dense",
    ]
    assert lines[-1] == "10 of the parameters are trainable, 32 are frozen"


@pytest.mark.parametrize("layer", [Conv2D(3, 2), Dense(3)], ids=["Conv2D", "Dense"])
@pytest.mark.parametrize("frozen", [["kernel"], ["bias"], ["kernel", "bias"]], ids="+".join)
def test_a_frozen_weight_above_a_trained_one_changes_no_other_gradient(layer, frozen):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 4, 4, 2))
    model = Sequential([Dense(2), layer, Flatten()]).build((4, 4, 2), rng=0, dtype=np.float64).train()
    dy = rng.standard_normal(model(x).shape)
    found = []
    for names in ([], frozen):
        for name in names:
            getattr(model[1], name).trainable = False
        model.zero_grad()
        model(x)
        found.append((model.backward(dy), [parameter.grad.copy() for parameter in model.parameters()]))
    (dx, grads), (again, others) = found
    np.testing.assert_array_equal(dx, again)
    for parameter, grad, other in zip(model.parameters(), grads, others, strict=True):
        np.testing.assert_array_equal(other, grad if parameter.trainable else np.zeros_like(grad))


@pytest.mark.parametrize("make", [Sequential, Residual, lambda layers: Concatenate([layers])])
def test_built_layers_in_a_built_container_keep_their_dtype(make):
    container = make([Dense(3)])
    Sequential([container]).build((3,), rng=0)
    with pytest.raises(ValueError, match=r"is built in float32, and this build is in float64"):
        Sequential([container]).build((3,), dtype=np.float64)
    assert [container.dtype, *(parameter.dtype for parameter in container.parameters())] == [np.float32] * 3
