"""Layers as users write them, and inputs: what another process needs to load the zoo's files."""

import numpy as np

from minicnn import Conv2D, Layer, Parameter
from minicnn.initializers import glorot_uniform

IMAGE = (8, 7, 4)


class Scale(Layer):
    """Multiply by learned factors, which start from `start`."""

    def __init__(self, start=1.0):
        self.start = start

    def init_params(self, input_shape, rng):
        self.factor = Parameter(np.full(input_shape[-1], self.start))

    def forward(self, x):
        self.cache = x
        return x * self.factor.value

    def backward(self, dy):
        self.factor.add_grad((dy * self.cache).sum(axis=tuple(range(dy.ndim - 1))))
        return dy * self.factor.value


class Block(Layer):
    """A layer of layers: made from numbers, built in `init_params`."""

    def __init__(self, filters, *, table=None, initializer=glorot_uniform):
        self.filters, self.table, self.initializer = filters, table, initializer

    def init_params(self, input_shape, rng):
        conv = Conv2D(self.filters, 3, padding="same", kernel_initializer=self.initializer)
        self.parts = [conv.build(input_shape, rng), Scale(0.5).build((*input_shape[:2], self.filters))]

    def forward(self, x):
        return self.parts[1](self.parts[0](x))

    def backward(self, dy):
        return self.parts[0].backward(self.parts[1].backward(dy))


class Chained(Layer):
    """Layers as `*arguments`, options as `**options`."""

    def __init__(self, first, *others, **options):
        self.first, self.others, self.options = first, others, options

    def init_params(self, input_shape, rng):
        for layer in (self.first, *self.others):
            input_shape = layer.build(input_shape, rng).output_shape

    def forward(self, x):
        for layer in (self.first, *self.others):
            x = layer(x)
        return x * self.options.get("factor", 1)

    def backward(self, dy):
        for layer in (*self.others[::-1], self.first):
            dy = layer.backward(dy)
        return dy


OWN = (Scale, Block, Chained)


def inputs(shape, dtype):
    return np.random.default_rng(1).uniform(-1, 1, (2, *shape)).astype(dtype)
