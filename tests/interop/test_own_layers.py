"""Layers of one's own in Keras and ONNX: those that say what they are there, or of which they consist."""

import functools

import keras
import numpy as np
import onnxruntime
import pytest

from minicnn import Conv2D, Dense, Flatten, GlobalAveragePool2D, Layer, Parameter, ReLU, Residual, Sequential
from minicnn.interop.keras import copy_weights, to_keras
from minicnn.interop.onnx import to_onnx


class Gate(Layer):
    """x * sigmoid(scale * x), with a scale for each channel; and a Dense after it in `Scores`."""

    onnx_channels = "last"

    def init_params(self, input_shape, rng):
        self.scale = Parameter(rng.uniform(0.5, 2, input_shape[-1:]))

    def forward(self, x):
        return x / (1 + np.exp(-x * self.scale.value))

    def to_onnx(self, graph):
        x = graph.values
        graph.node("Mul", self.scale.value)
        graph.node("Sigmoid")
        graph.values = x + graph.values
        graph.node("Mul")

    def to_keras(self):
        return KerasGate(name="gate")


class KerasGate(keras.layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(shape=shape[-1:], name="scale")

    def call(self, x):
        return x * keras.ops.sigmoid(self.scale * x)


class Block(Layer):
    """Convolutions with a shortcut, held as one layer."""

    def __init__(self, filters):
        self.filters = filters

    def init_params(self, input_shape, rng):
        inner = [Conv3x3(self.filters), ReLU(), Conv3x3(self.filters)]
        self.net = Sequential([Residual(inner), ReLU()]).build(input_shape, rng)

    def forward(self, x):
        return self.net(x)

    def backward(self, dy):
        return self.net.backward(dy)

    def to_layers(self):
        return [self.net]


class Conv3x3(Conv2D):
    """A layer of minicnn with its arguments chosen: `forward` is the same."""

    def __init__(self, filters):
        super().__init__(filters, 3, padding="same")


class Scores(Layer):
    """A Dense that Keras has under another name, with two Keras layers."""

    def init_params(self, input_shape, rng):
        self.dense = Dense(3).build(input_shape, rng)

    def forward(self, x):
        return self.dense(np.maximum(x, 0))

    def to_keras(self):
        return [("ReLU", {}), keras.layers.Dense(3)]

    def to_onnx(self, graph):
        graph.node("Relu")
        graph.node("MatMul", self.dense.kernel.value)
        graph.node("Add", self.dense.bias.value)


class Silent(Layer):
    def forward(self, x):
        return x * 2


class Other(Silent):
    """Says by hooks that are given what it is not."""

    def __init__(self, name, hook):
        setattr(self, name, functools.partial(hook, self))


@pytest.fixture(scope="module")
def net():
    return Sequential([Block(4), Gate(), GlobalAveragePool2D(), Scores()]).build((6, 5, 4), rng=0)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(1).standard_normal((3, 6, 5, 4)).astype(np.float32)


def test_own_layers_in_onnx(net, x):
    session = onnxruntime.InferenceSession(to_onnx(net).SerializeToString())
    np.testing.assert_allclose(session.run(None, {"x": x})[0], net.predict(x), rtol=1e-5, atol=1e-6)


def test_own_layers_in_keras_and_their_weights(net, x):
    twin = to_keras(net)
    np.testing.assert_allclose(twin(x), net.predict(x), rtol=1e-5, atol=1e-6)
    other = Sequential([Block(4), Gate(), GlobalAveragePool2D(), Scores()]).build((6, 5, 4), rng=5)
    copy_weights(twin, other)
    assert all(map(np.array_equal, other.get_weights(), net.get_weights()))


def test_a_layer_that_says_nothing_is_refused_with_what_it_could_say():
    net = Sequential([Flatten(), Silent()]).build((2, 2, 1))
    with pytest.raises(ValueError, match=r"layer 1 \(Silent\) .* in ONNX; .* to_onnx\(graph\) or to_layers"):
        to_onnx(net)
    with pytest.raises(ValueError, match=r"layer 1 \(Silent\) .* in Keras: .* to_keras or to_layers"):
        to_keras(net)


def relu(layer, graph):
    graph.node("Relu")


@pytest.mark.parametrize(
    ("name", "hook", "message"),
    [
        (
            "to_onnx",
            relu,
            r"`to_onnx` of layer 1.* for normal inputs, 0.* in place of 0.25",
        ),
        ("to_onnx", lambda layer, graph: None, r"`to_onnx` of layer 1 \(Other\) makes something else"),
        ("to_onnx", lambda layer, graph: graph.node("Nothing"), "of layer 1.*: the nodes are no valid ONNX"),
        ("to_onnx", lambda layer, graph: graph.node("Flatten"), "of layer 1.*: the nodes are no valid ONNX"),
        (
            "to_keras",
            lambda layer: keras.layers.ReLU(),
            r"`to_keras` of layer 1 .* than `forward`",
        ),
        ("to_keras", lambda layer: keras.layers.Flatten(), r"shape \(2, 2, 2, 1\), \(2, 4\) in place of"),
        ("to_keras", lambda layer: None, r"layer 1 .*: `to_keras` must return a Keras layer .* got None"),
        (
            "to_keras",
            lambda layer: "relu",
            r"`to_keras` must return a Keras layer .* got 'relu'",
        ),
        ("to_layers", lambda layer: [ReLU().build((2, 2, 1))], "`to_layers` of Other makes something else"),
    ],
)
def test_a_layer_that_says_something_wrong_is_refused(name, hook, message):
    net = Sequential([ReLU(), Other(name, hook), Flatten()]).build((2, 2, 1))
    exports = [export for export in (to_onnx, to_keras) if export.__name__ == name] or [to_onnx, to_keras]
    for export in exports:
        with pytest.raises(ValueError, match=message):
            export(net)


@pytest.mark.parametrize("width", [3, 5])  # of the images after the convolution, which has 3 channels
def test_a_hook_that_needs_the_channels_last_must_say_so(width):
    class Scale(Layer):
        def forward(self, x):
            return x * np.array([2.0, 3.0, 4.0], x.dtype)

        def to_onnx(self, graph):
            graph.node("Mul", np.array([2.0, 3.0, 4.0]))

    net = Sequential([Conv2D(3, 1), Scale()]).build((4, width, 1), rng=0)
    with pytest.raises(ValueError, match=r"`to_onnx` of layer 1 \(Scale\).*`onnx_channels = 'last'` in the"):
        to_onnx(net)
    Scale.onnx_channels = "last"
    assert to_onnx(net)


def test_an_error_in_a_hook_says_where_it_was():
    def fail(layer, *graph):
        raise ZeroDivisionError

    for name, export in {"to_onnx": to_onnx, "to_keras": to_keras}.items():
        with pytest.raises(ZeroDivisionError) as caught:
            export(Sequential([Other(name, fail)]).build((2, 2, 1)))
        assert caught.value.__notes__ == [f"in `{name}` of layer 0 (Other)"]


def test_layers_that_draw_or_take_indices_only_are_not_compared():
    class Noise(Silent):
        def forward(self, x):
            return x + np.random.default_rng().normal(size=x.shape).astype(x.dtype)

        to_onnx = relu

    class Look(Noise):
        def forward(self, x):
            if (x < 0).any():
                raise IndexError("no row has a negative index")
            return x

    for layer in (Noise(), Look()):
        assert to_onnx(layer.build((2, 2, 1)))
