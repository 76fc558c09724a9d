"""Every layer of the package in several configurations, every model, and layers of one's own."""

import importlib
import inspect
from pathlib import Path

import numpy as np
from saving.own_layers import IMAGE, Block, Chained, Scale

from minicnn import (
    BatchNorm,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GroupNorm,
    LayerNorm,
    LeakyReLU,
    Pool2D,
    PReLU,
    ReLU,
    Residual,
    Sequential,
    Softmax,
    Tanh,
    layers,
)
from minicnn.initializers import constant, normal
from minicnn.layers import __all__ as layer_names
from minicnn.models import alexnet, lenet5, lenet5_1998, resnet_small, vgg_small
from minicnn.models.historic.lenet5_1998 import C3_TABLE, PartialConv2D, Subsample


def required_arguments(cls):
    """Return the names of a constructor's arguments that have no default."""
    arguments = inspect.signature(cls).parameters.items()
    return [name for name, argument in arguments if argument.default is argument.empty]


# What the tests of layers list as LAYERS.
TESTED = [
    case
    for path in sorted(Path(__file__).parents[1].glob("layers/test_*.py"))
    for case in getattr(importlib.import_module(f"layers.{path.stem}"), "LAYERS", ())
]
# Not GroupNorm, whose 32 groups do not fit IMAGE.
DEFAULTS = [
    cls
    for name in sorted(
        {*layer_names} - {"Layer", "GroupNorm"} - {type(layer).__name__ for layer, _ in TESTED}
    )
    if not required_arguments(cls := getattr(layers, name))
]
LAYERS = [
    *TESTED,
    *((make(), IMAGE) for make in DEFAULTS),
    *((make(), (5,)) for make in (ReLU, Softmax, BatchNorm, LayerNorm, PReLU, Flatten)),
    (Subsample(), IMAGE),
    (LeakyReLU(0.1), IMAGE),
    (Tanh(1.7159, -2 / 3), IMAGE),
    (Conv2D(2, 3, padding=((1, 0), (2, 1)), dilation=(2, 1), kernel_initializer=normal(0.1)), IMAGE),
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
    (PartialConv2D([(0, 1), (3,), (1, 2, 3)], 3), IMAGE),
    (PartialConv2D(C3_TABLE, 5), (9, 9, 6)),
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
