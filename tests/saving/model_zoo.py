"""Every layer of the package in several configurations, every model, and layers of one's own."""

import inspect

import numpy as np

from minicnn import (
    GELU,
    BatchNorm,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalMaxPool2D,
    GroupNorm,
    Layer,
    LayerNorm,
    LeakyReLU,
    Parameter,
    Pool2D,
    PReLU,
    ReLU,
    Rescaling,
    Residual,
    Sequential,
    Softmax,
    Tanh,
    Upsampling2D,
    ZeroPadding2D,
    layers,
)
from minicnn.initializers import constant, glorot_uniform, normal
from minicnn.layers import __all__ as layer_names
from minicnn.models import alexnet, lenet5, lenet5_1998, resnet_small, vgg_small
from minicnn.models.historic.lenet5_1998 import C3_TABLE, PartialConv2D, Subsample

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


def required_arguments(cls):
    """Return the names of a constructor's arguments that have no default."""
    arguments = inspect.signature(cls).parameters.items()
    return [name for name, argument in arguments if argument.default is argument.empty]


OWN = (Scale, Block, Chained)
# Not GroupNorm, whose 32 groups do not fit IMAGE.
DEFAULTS = [
    cls
    for name in layer_names
    if name not in ("Layer", "GroupNorm") and not required_arguments(cls := getattr(layers, name))
]
LAYERS = [
    *((make(), IMAGE) for make in DEFAULTS),
    *((make(), (5,)) for make in (ReLU, Softmax, BatchNorm, LayerNorm, PReLU, Flatten)),
    (Subsample(), IMAGE),
    (LeakyReLU(0.1), IMAGE),
    (Tanh(1.7159, -2 / 3), IMAGE),
    (GELU(approximate=True), IMAGE),
    (Conv2D(3, 2), IMAGE),
    (Conv2D(6, (5, 3), strides=(2, 1), padding="same", groups=2, use_bias=False), IMAGE),
    (Conv2D(2, 3, padding=((1, 0), (2, 1)), dilation=(2, 1), kernel_initializer=normal(0.1)), IMAGE),
    (Dense(3), (5,)),
    (Dense(3, use_bias=False, kernel_initializer=constant(0.25)), (2, 5)),
    (Pool2D(2), IMAGE),
    (Pool2D((3, 2), (1, 2), "same", "avg"), IMAGE),
    (Pool2D(3, 2, ((1, 1), (0, 2)), ties="split"), IMAGE),
    (Dropout(0.5), IMAGE),
    (Dropout(0.25, inverted=False), (5,)),
    (BatchNorm(0.5, 1e-2, scale=False), IMAGE),
    (BatchNorm(center=False), (5,)),
    (GroupNorm(2), IMAGE),
    (GroupNorm(1, scale=False, center=False), IMAGE),
    (PReLU(shared=False), IMAGE),
    (Rescaling(1 / 255, -0.5), IMAGE),
    (Rescaling([1.0, 2.0, 3.0, 4.0], (0.5, 1.0, 1.5, 2.0)), IMAGE),
    (GlobalMaxPool2D("first"), IMAGE),
    (ZeroPadding2D(((1, 0), (2, 3))), IMAGE),
    (Upsampling2D((3, 1)), IMAGE),
    (PartialConv2D([(0, 1), (3,), (1, 2, 3)], 3), IMAGE),
    (PartialConv2D(C3_TABLE, 5), (9, 9, 6)),
    (Residual([Conv2D(4, 3, padding="same"), BatchNorm(), ReLU()]), IMAGE),
    (Residual([Conv2D(6, 3, 2, "same")], shortcut=[Conv2D(6, 1, 2), BatchNorm()]), IMAGE),
    (Concatenate([[], Conv2D(2, 1), [Conv2D(2, 3, padding="same"), Residual([ReLU()])]]), IMAGE),
    (Sequential([Sequential([Dense(3), ReLU()]), Dropout(0.5), Sequential(), Dense(2)]), (5,)),
    (Scale(2.5), IMAGE),
    (Sequential([Block(4, table=np.arange(6).reshape(2, 3), initializer=normal(0.2)), Flatten()]), IMAGE),
    (Residual([Chained(Scale(2), ReLU(), Sequential([Scale()]), factor=3, limits=(1, [None]))]), IMAGE),
]
MODELS = [
    (lenet5(), (28, 28, 1)),
    (lenet5_1998(7), (32, 32, 1)),
    (alexnet(10, width=1 / 16), (67, 67, 3)),
    (resnet_small(5), (16, 16, 3)),
    (vgg_small(5), (16, 16, 3)),
]


def disturb(model, seed=0):
    """Give each weight and running statistic a value of its own, as training does."""
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.value = parameter.value + rng.uniform(0.1, 0.2, parameter.shape)
    return model


def inputs(shape, dtype):
    return np.random.default_rng(1).uniform(-1, 1, (2, *shape)).astype(dtype)
