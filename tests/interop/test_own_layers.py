"""Layers of one's own in Keras and ONNX: those that say what they are there, or of which they consist."""

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
