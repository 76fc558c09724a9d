"""A net with a layer of its own, as a user writes it into a file: for tests of the command line."""

SOURCE = """
import numpy as np
from minicnn import *
from minicnn import Layer, Parameter


class Gate(Layer):
    def __init__(self, start=1.0):
        self.start = start

    def init_params(self, input_shape, rng):
        self.scale = Parameter(np.full(input_shape[-1], self.start))

    def forward(self, x):
        self.cache = x
        return np.maximum(x, 0) * self.scale.value.astype(x.dtype)

    def backward(self, dy):
        x = self.cache
        axes = tuple(range(x.ndim - 1))
        self.scale.add_grad((dy * np.maximum(x, 0)).sum(axis=axes, dtype=np.float64))
        return dy * self.scale.value.astype(x.dtype) * (x > 0)


def tiny(classes):
    layers = [Conv2D(8, 7, strides=7), Gate(0.5), BatchNorm(0.7), Flatten(), Dropout(0.1), Dense(classes)]
    return Sequential(layers)


def wrong(classes):
    return Sequential([Flatten(), Dense(classes + 1)])


def nothing():
    return tiny(10)


def broken(classes):
    return tiny(classes / 0)


class Unbuilt(Layer):
    def __init__(self):
        self.inner = Dense(10)

    def forward(self, x):
        return self.inner(x)


def unbuilt(classes):
    return Sequential([Flatten(), Unbuilt()])


class Net(Sequential):
    def __init__(self, classes):
        self.classes = classes
        super().__init__([Flatten(), Dense(classes)])


number = 3
built = tiny(10).build((28, 28, 1), rng=7)
"""
