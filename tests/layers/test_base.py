import pickle
import re
import threading

import numpy as np
import pytest

from minicnn import (
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    Parameter,
    Pool2D,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from minicnn.layers._prediction import detached_generator, prediction_batch
from minicnn.models import lenet5
from minicnn.validation import check_examples


class Scale(Layer):
    """The smallest layer with a weight, as the design shows it."""

    def init_params(self, input_shape, rng):
        self.factor = Parameter(np.ones(input_shape[-1]))

    def forward(self, x):
        self.cache = x
        return x * self.factor.value

    def backward(self, dy):
        self.factor.add_grad((dy * self.cache).sum(axis=tuple(range(dy.ndim - 1))))
        return dy * self.factor.value


class Residual(Layer):
    """A layer made of layers, held in different ways."""

    def __init__(self, units):
        self.units = units
        self.inner = [Dense(units), ReLU()]
        self.by_name = {"last": Dense(units)}

    def init_params(self, input_shape, rng):
        for layer in (*self.inner, *self.by_name.values()):
            layer.build(input_shape, rng)
        self.gain = Parameter(np.ones(()))

    def forward(self, x):
        y = x
        for layer in (*self.inner, *self.by_name.values()):
            y = layer(y)
        self.cache = y
        return x + self.gain.value * y

    def backward(self, dy):
        self.gain.add_grad((dy * self.cache).sum())
        d = dy * self.gain.value
        for layer in reversed((*self.inner, *self.by_name.values())):
            d = layer.backward(d)
        return dy + d


def test_a_layer_with_a_weight_needs_nothing_but_three_methods():
    layer = Scale().build((3,), rng=0).train()
    layer.factor.value = [1.0, 2.0, 3.0]
    x = np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]], np.float32)
    np.testing.assert_array_equal(layer(x), [[1, 2, 3], [2, 4, 6]])
    np.testing.assert_array_equal(layer.backward(np.ones((2, 3), np.float32)), [[1, 2, 3], [1, 2, 3]])
    np.testing.assert_array_equal(layer.factor.grad, [3, 3, 3])
    assert repr(layer) == "Scale()"
    assert layer.output_shape == (3,)


def test_parameters_and_layers_are_found_wherever_they_are_held_in_assignment_order():
    layer = Residual(4).build((4,), rng=0)
    assert [name for name, _ in layer.named_parameters()] == [
        "inner.0.kernel",
        "inner.0.bias",
        "by_name.last.kernel",
        "by_name.last.bias",
        "gain",
    ]
    assert [name for name, _ in layer.named_layers()] == ["inner.0", "inner.1", "by_name.last"]
    layer.train()
    assert all(part.training for _, part in layer.named_layers())
    layer.eval()
    assert layer.training is False
    assert not any(part.training for _, part in layer.named_layers())


def test_backward_accumulates_until_zero_grad():
    layer = Scale().build((2,)).train()
    x = np.ones((1, 2), np.float32)
    for _ in range(2):
        layer(x)
        layer.backward(x)
    np.testing.assert_array_equal(layer.factor.grad, [2, 2])
    layer.zero_grad()
    np.testing.assert_array_equal(layer.factor.grad, [0, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_only_the_outermost_build_decides_the_dtype(dtype):
    layer = Sequential([Residual(3), Sequential([Dense(2)])]).build((3,), rng=0, dtype=dtype)
    assert {p.dtype for p in layer.parameters()} == {np.dtype(dtype)}
    assert layer.dtype == dtype
    other = np.float64 if dtype == np.float32 else np.float32
    assert layer(np.ones((1, 3), dtype)).dtype == dtype
    for part in (Dense(2), Conv2D(2, 1)):
        shape = (3,) if isinstance(part, Dense) else (3, 3, 1)
        part.build(shape, rng=0, dtype=other).train()
        y = part(np.ones((1, *shape), dtype))
        assert y.dtype == dtype  # the input's
        assert part.backward(y).dtype == dtype


def test_float64_weights_are_not_rounded_through_float32():
    exact = Sequential([Dense(3)]).build((3,), rng=0, dtype=np.float64).parameters()[0].value
    rounded = Sequential([Dense(3)]).build((3,), rng=0).parameters()[0].value
    assert (exact != rounded).any()
    np.testing.assert_array_equal(exact.astype(np.float32), rounded)


def test_build_takes_a_seed_a_generator_or_nothing():
    by_seed = Dense(3).build((3,), rng=7).kernel.value
    by_generator = Dense(3).build((3,), rng=np.random.default_rng(7)).kernel.value
    np.testing.assert_array_equal(by_seed, by_generator)
    assert (Dense(3).build((3,)).kernel.value != Dense(3).build((3,)).kernel.value).any()


def test_build_leaves_running_statistics_and_mode_alone():
    model = Sequential([BatchNorm()]).train().build((3,), rng=0)
    np.testing.assert_array_equal(model[0].running_var.value, np.ones(3))
    assert model.training
    assert model[0].training


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_build_runs_one_example_of_zeros_in_its_dtype_and_in_eval_mode(dtype):
    class Sees(Layer):
        def forward(self, x):
            self.seen = x.tolist(), x.dtype, self.training
            return x

    assert Sees().train().build((2,), dtype=dtype).seen == ([[0.0, 0.0]], dtype, False)


@pytest.mark.parametrize(
    ("shape", "error"), [((), ValueError), ((0, 3), ValueError), (5, TypeError), ((2.5,), TypeError)]
)
def test_build_refuses_what_is_no_shape(shape, error):
    with pytest.raises(error, match="`input_shape` must"):
        Dense(1).build(shape)


def test_build_refuses_other_dtypes():
    with pytest.raises(TypeError, match="`dtype` must be float32 or float64, got float16"):
        Dense(1).build((1,), dtype=np.float16)


def test_a_failed_build_leaves_the_layer_unbuilt():
    model = Sequential([Conv2D(1, 3)])
    with pytest.raises(ValueError, match=r"layer 0 \(Conv2D\), given \(2, 2, 1\): the window .* not fit"):
        model.build((2, 2, 1))
    with pytest.raises(RuntimeError, match=r"Sequential is not built yet: call build\(input_shape\) first"):
        model(np.zeros((1, 2, 2, 1), np.float32))


def test_tied_weights_and_layers_are_refused():
    class Tied(Layer):
        def init_params(self, input_shape, rng):
            self.a = Parameter(np.ones(1))
            self.b = self.a

    Tied.forward = lambda self, x: x
    with pytest.raises(
        ValueError, match="tied weights are not supported: 'a' and 'b' are the same Parameter"
    ):
        Tied().build((1,))
    shared = Dense(3)
    with pytest.raises(ValueError, match=r"'layers.0' and 'layers.1' are the same Dense"):
        Sequential([shared, shared]).build((3,))


def test_forward_and_backward_must_be_implemented():
    class Empty(Layer):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty must implement forward\(self, x\)"):
        Empty().forward(np.zeros(1))
    with pytest.raises(NotImplementedError, match=r"Empty must implement backward\(self, dy\)"):
        Empty().backward(np.zeros(1))


def test_a_call_needs_a_build_and_floats():
    with pytest.raises(RuntimeError, match="call build"):
        Dense(1)(np.zeros((1, 1)))
    layer = Dense(1).build((1,))
    for wrong, kind in ((np.zeros((1, 1), np.uint8), "uint8"), ([[1.0]], "list")):
        with pytest.raises(TypeError, match=f"must be an array of floats, got {kind};"):
            layer(wrong)


def test_the_cache_lives_from_a_training_forward_to_the_next_forward():
    layer, x = ReLU().build((1,)), np.ones((1, 1), np.float32)
    layer(x)
    with pytest.raises(RuntimeError, match=r"ReLU.backward needs a forward pass in training mode before it"):
        layer.backward(x)
    layer.train()(x)
    layer.backward(x)
    layer.backward(x)
    layer.eval()(x)
    with pytest.raises(RuntimeError, match="needs a forward pass in training mode"):
        layer.backward(x)


def test_one_model_is_not_trained_from_two_threads():
    layer, x = Scale().build((1,)).train(), np.ones((1, 1), np.float32)
    layer(x)
    errors = []

    def backward():
        try:
            layer.backward(x)
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=backward)
    thread.start()
    thread.join()
    assert errors[0].startswith("Scale ran forward in another thread")
    assert "replica()" in errors[0]


def test_what_is_cached_is_not_registered():
    class Keeps(Layer):
        def init_params(self, input_shape, rng):
            self.w = Parameter(np.ones(1))

        def forward(self, x):
            self.cache = (x, self.w)
            return x * self.w.value

    layer = Keeps().build((1,)).train()
    layer(np.ones((1, 1), np.float32))
    assert [name for name, _ in layer.named_parameters()] == ["w"]


def test_each_replica_has_its_own_generators_wherever_they_are_held():
    class Noise(Layer):
        def init_params(self, input_shape, rng):
            self.streams = {"a": [rng.spawn(1)[0]]}

        def forward(self, x):
            return x + self.streams["a"][0].standard_normal(x.shape)

    layer, x = Noise().build((3,), rng=0), np.zeros((1, 3))
    draws = [model(x) for model in (layer, layer.replica(), layer.replica())]
    assert len({tuple(draw.ravel()) for draw in draws}) == 3


@pytest.mark.parametrize(
    "layer",
    [ReLU(), LeakyReLU(), Tanh(), Sigmoid(), Softmax(), Dropout(0.5), BatchNorm(), Flatten(), Dense(3)],
    ids=repr,
)
def test_backward_refuses_gradients_that_would_be_broadcast_and_integers(layer):
    layer = layer.build((3,), rng=0).train()
    layer(np.ones((4, 3), np.float32))
    for shape in ((1, 3), (4, 1), (3, 4), (12,)):
        with pytest.raises(ValueError, match=r"dy must have the output's shape \(4, 3\), got"):
            layer.backward(np.ones(shape, np.float32))
    with pytest.raises(TypeError, match="dy must be an array of floats, got int64"):
        layer.backward(np.ones((4, 3), np.int64))
    with pytest.raises(TypeError, match="dy must be an array of floats, got list"):
        layer.backward([[1.0] * 3] * 4)


def test_a_model_without_weights_remembers_the_dtype_of_its_build():
    model = Sequential([Pool2D(2)]).build((4, 4, 1), dtype=np.float64)
    assert model.predict(np.ones((1, 4, 4, 1))).dtype == np.float64


def test_a_composite_layer_counts_the_products_of_what_it_holds():
    assert Residual(4).build((4,)).macs() == 32


def test_replicas_share_weights_and_nothing_else():
    model = Sequential([Scale(), Dropout(0.5), BatchNorm()]).build((64,), rng=0).train()
    x = np.ones((4, 64), np.float32)
    model(x)
    twin = model.replica()
    for own, other in zip(model.parameters(), twin.parameters(), strict=True):
        assert np.shares_memory(own.value, other.value)
        assert not np.shares_memory(own.grad, other.grad)
    with pytest.raises(RuntimeError, match="needs a forward"):
        twin.backward(x)
    assert twin.training
    assert (model[1](x) != twin[1](x)).any()  # another random stream
    twin[0].factor.value = np.full(64, 3.0)
    np.testing.assert_array_equal(model[0].factor.value, np.full(64, 3.0))
    twin(x)
    twin.backward(x)
    assert not model[0].factor.grad.any()


def test_weights_go_out_as_copies_and_come_in_all_or_none():
    layer = Dense(2).build((3,), rng=0)
    weights = layer.get_weights()
    weights[0][...] = 7
    assert (layer.kernel.value != 7).all()
    layer.set_weights([np.full((3, 2), 5), [1, 2]])
    np.testing.assert_array_equal(layer.bias.value, [1, 2])
    with pytest.raises(ValueError, match="`weights` must have 2 arrays, got 1"):
        layer.set_weights([np.zeros((3, 2))])
    with pytest.raises(ValueError, match=r"'bias' must have shape \(2,\), got \(3,\)"):
        layer.set_weights([np.zeros((3, 2)), np.zeros(3)])
    np.testing.assert_array_equal(layer.kernel.value, np.full((3, 2), 5))


def test_parameter_keeps_one_buffer_and_refuses_other_shapes():
    parameter = Parameter([1, 2])
    assert parameter.dtype == np.float64
    buffer = parameter.value
    parameter.value = [3.0, 4.0]
    np.testing.assert_array_equal(buffer, [3, 4])
    with pytest.raises(ValueError, match=r"`value` must have the parameter's shape \(2,\), got \(1,\)"):
        parameter.value = [1.0]
    with pytest.raises(ValueError, match=r"`grad` must have the parameter's shape \(2,\), got \(\)"):
        parameter.add_grad(np.float64(1))
    with pytest.raises(ValueError, match=r"`grad` .* got \(2, 1\)"):
        parameter.add_grad(np.ones((2, 1)))
    assert parameter.size == 2
    assert repr(Parameter(np.zeros((2, 3)), trainable=False)) == (
        "Parameter(shape=(2, 3), dtype=float64, trainable=False)"
    )
    assert repr(Parameter(np.zeros(3, np.float32))) == "Parameter(shape=(3,), dtype=float32)"


def test_parameter_that_is_moved_keeps_the_arrays_it_is_given():
    parameter, value, grad = Parameter([1.0, 2.0]), np.array([3.0, 4.0]), np.array([5.0, 6.0])
    own = parameter.value
    parameter.rebind(None, grad)
    assert parameter.value is own
    assert parameter.grad is grad
    parameter.rebind(value, grad)
    assert parameter.value is value
    parameter.add_grad(np.ones(2))
    assert grad.tolist() == [6.0, 7.0]


def test_predict_scales_uint8_and_does_not_depend_on_the_batch_size():
    model = Sequential([Flatten(), Dense(3), Dropout(0.5)]).build((4, 4, 1), rng=0)
    images = np.random.default_rng(0).integers(0, 256, (7, 4, 4, 1)).astype(np.uint8)
    expected = model((images / 255).astype(np.float32))
    for batch_size in (1, 3, 7, 100):
        np.testing.assert_allclose(model.predict(images, batch_size), expected, rtol=1e-6)
    np.testing.assert_allclose(model.train().predict(images), expected, rtol=1e-6)
    assert model.training
    assert model.predict(images[:0]).shape == (0, 3)
    with pytest.raises(
        ValueError,
        match=r"shape \(4, 4, 1\), got \(4, 4, 1\) without a batch axis: pass x\[None\]",
    ):
        model.predict(images[0])
    with pytest.raises(ValueError, match="`batch_size` must be at least 1, got 0"):
        model.predict(images, 0)
    with pytest.raises(RuntimeError, match=r"^Dense is not built yet: call build\(input_shape\) first"):
        Dense(1).predict(images)


@pytest.mark.parametrize(
    ("model", "shape", "expected"),
    [
        (Sequential([Dense(3)]), (2,), 256),
        (lenet5(), (28, 28, 1), 256),  # 6 maps of 28x28
        (Sequential([Sequential([Conv2D(32, 3, padding="same")]), Conv2D(3, 1)]), (32, 32, 3), 64),
        (Conv2D(64, 3), (100, 100, 3), 32),
    ],
)
def test_predict_takes_fewer_examples_at_a_time_the_larger_the_maps(model, shape, expected):
    model.build(shape, rng=0)
    assert prediction_batch(model, None, 1000) == expected
    assert prediction_batch(model, None, 32) == 32
    assert prediction_batch(model, 7, 1000) == 7
    sizes = []
    forward = model.forward
    model.forward = lambda x: sizes.append(len(x)) or forward(x)
    model.predict(np.zeros((expected + 1, *shape)))
    assert sizes == [expected, 1]


@pytest.mark.parametrize("given", [np.uint8, np.int64, np.float32, np.float64])
def test_predict_computes_in_the_dtype_of_the_weights(given):
    for dtype in (np.float32, np.float64):
        model = Sequential([Dense(3)]).build((2,), rng=0, dtype=dtype)
        assert model.predict(np.ones((1, 2), given)).dtype == dtype


def test_predict_in_a_second_thread_does_not_disturb_the_first():
    inner = []  # what the second thread is to predict, and then what came of it

    class Keeps(Layer):
        def forward(self, x):
            self.kept = x
            if inner == ["go"]:
                inner.clear()
                second = np.full((1, 2), 5.0, np.float32)
                thread = threading.Thread(target=lambda: inner.append(model.predict(second).tolist()))
                thread.start()
                thread.join()
            return 2 * self.kept

    model = Keeps().build((2,))
    for value in (1.0, 2.0):  # the claim of the first is given back
        inner[:] = ["go"]
        np.testing.assert_array_equal(model.predict(np.full((1, 2), value)), [[2 * value, 2 * value]])
        assert inner == [[[10.0, 10.0]]]
        np.testing.assert_array_equal(model.kept, [[value, value]])  # the model itself, not a copy of it


def test_repr_shows_what_differs_from_the_defaults():
    assert repr(Conv2D(6, 5, padding="same")) == "Conv2D(6, 5, padding='same')"
    assert repr(Conv2D(6, (5, 3), strides=(2, 1), use_bias=False)) == (
        "Conv2D(6, (5, 3), strides=(2, 1), use_bias=False)"
    )
    assert repr(Pool2D(2, ties="all")) == "Pool2D(2, ties='all')"
    assert repr(Conv2D(2, 1, kernel_initializer=np.ones)).endswith("kernel_initializer=ones)")


def test_repr_of_a_layer_that_does_not_keep_its_arguments():
    class Forgets(Layer):
        def __init__(self, size, slope=0.5):
            self.area = size * size

    assert repr(Forgets(3)) == "Forgets(Ellipsis, slope=Ellipsis)"


def test_pickling_keeps_weights_and_drops_the_cache():
    model = Sequential([Dense(2), ReLU()]).build((3,), rng=0).train()
    x = np.ones((1, 3), np.float32)
    y = model(x)
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin(x), y)
    with pytest.raises(RuntimeError, match="needs a forward"):
        pickle.loads(pickle.dumps(model)).backward(y)


def test_predictions_leave_the_generators_as_they_were():
    """Also in number: a stream that has given others to replicas gives the next replica another one."""
    x = np.ones((5, 64), np.float32)
    outputs = []
    for predicts in (False, True):
        model = Sequential([Dropout(0.5)]).build((64,), rng=0).train()
        if predicts:
            model.predict(x)
            model.eval_replica()(x)
        outputs.append([model.replica()(x), model(x)])
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not model.eval_replica().training


@pytest.mark.parametrize(
    ("shape", "got"),
    [
        ((28, 28, 1), "(28, 28, 1) without a batch axis: pass x[None]"),
        ((5, 28, 28), "an array of shape (5, 28, 28) without a channel axis: pass x[..., None]"),
        ((5, 28, 28, 3), "an array of shape (5, 28, 28, 3)"),
    ],
)
def test_a_wrong_shape_comes_with_what_to_do(shape, got):
    message = f"examples must have shape (28, 28, 1), got {got}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_examples(shape, (28, 28, 1))


def test_streams_for_predictions_are_apart_from_each_other_and_from_those_of_replicas():
    model = Sequential([Dropout(0.5)]).build((64,), rng=0)
    parts = [model.eval_replica(), model.eval_replica(), model.replica(), model]
    draws = [one.generators()[0].random() for one in parts]
    assert len(set(draws)) == 4


def test_a_stream_apart_is_decided_by_seed_and_number_and_is_nobodys_child():
    draws = {
        (seed, number): detached_generator(np.random.default_rng(seed), number).random()
        for seed in (0, 1)
        for number in (0, 1)
    }
    assert len(set(draws.values())) == 4
    assert draws[0, 1] == detached_generator(np.random.default_rng(0), 1).random()
    grandchild = np.random.default_rng(0).spawn(1)[0].spawn(1)[0]
    assert draws[0, 0] != grandchild.random()


class Fixed(np.random.bit_generator.ISeedSequence):
    """Seeds that are not NumPy's."""

    def generate_state(self, n_words, dtype=np.uint32):
        return np.arange(n_words, dtype=dtype)


def test_a_stream_with_seeds_of_another_kind_is_copied():
    stream = np.random.Generator(np.random.PCG64(Fixed()))
    apart = detached_generator(stream, 3)
    first = apart.random(3).tolist()
    assert first == stream.random(3).tolist()  # which has not moved on with it


class TwoKeys(Layer):
    """Has two weights in a dict under keys that look alike."""

    def init_params(self, input_shape, rng):
        self.parts = {1: Parameter(np.ones(1)), "1": Parameter(np.ones(1))}

    def forward(self, x):
        return x * 1


def test_two_weights_of_one_name_are_refused():
    """Saved under one name, one of them would be lost."""
    with pytest.raises(ValueError, match=r"two weights or layers have the same name, 'parts.1'"):
        TwoKeys().build((3,))
