"""The nets of the benchmarks, as data: each framework builds them from the same description."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Flatten,
    GroupNorm,
    Layer,
    Pool2D,
    ReLU,
    Sequential,
)

Description = Sequence[Any]  # of a layer: its kind and its settings


@dataclass(frozen=True)
class Net:
    """A net and its training images: MNIST's, or random ones in color."""

    title: str
    input_shape: tuple[int, int, int]
    layers: tuple[Description, ...]
    images: int  # number of training images
    own_loss: bool = False


_MAKE: dict[str, Callable[..., Layer]] = {
    "conv": lambda filters, size, padding: Conv2D(filters, size, padding=padding),
    "depthwise": lambda channels, size: Conv2D(channels, size, padding="same", groups=channels),
    "batch_norm": BatchNorm,
    "group_norm": GroupNorm,
    "relu": ReLU,
    "max_pool": lambda: Pool2D(2),
    "flatten": Flatten,
    "dense": Dense,
}


def _lenet5(relu: str) -> tuple[Description, ...]:
    convolutions: list[Description] = [
        ["conv", 6, 5, "same"],
        [relu],
        ["max_pool"],
        ["conv", 16, 5, "valid"],
        [relu],
        ["max_pool"],
    ]
    return (*convolutions, ["flatten"], ["dense", 120], [relu], ["dense", 84], [relu], ["dense", 10])


def _color(*norm: Description, depthwise: bool = False) -> tuple[Description, ...]:
    """Return two pairs of 3x3 convolutions, each followed by `norm` and ReLU, and two dense layers."""
    layers: list[Description] = []
    channels = 3
    for filters in (32, 64):
        for _ in range(2):
            if depthwise and channels > 3:
                layers += [["depthwise", channels, 3], ["conv", filters, 1, "same"]]
            else:
                layers += [["conv", filters, 3, "same"]]
            layers += [*norm, ["relu"]]
            channels = filters
        layers += [["max_pool"]]
    return (*layers, ["flatten"], ["dense", 128], ["relu"], ["dense", 10])


COLOR = (32, 32, 3)
NETS = {
    "lenet5": Net("LeNet-5", (28, 28, 1), _lenet5("relu"), 60_000),
    "lenet5-own": Net("LeNet-5, own ReLU, own loss", (28, 28, 1), _lenet5("own_relu"), 60_000, own_loss=True),
    "color": Net("3x3 convolutions", COLOR, _color(), 4096),
    "color-batch-norm": Net("3x3, BatchNorm", COLOR, _color(["batch_norm"]), 4096),
    "color-group-norm": Net("3x3, GroupNorm", COLOR, _color(["group_norm", 8]), 4096),
    "color-depthwise": Net("3x3 depthwise, 1x1", COLOR, _color(depthwise=True), 4096),
}


def make(layers: Iterable[Description], own_relu: Callable[[], Layer] = ReLU) -> Sequential:
    """Return the net of a description, not built; `own_relu` makes a user's version of ReLU."""
    return Sequential([(_MAKE | {"own_relu": own_relu})[kind](*settings) for kind, *settings in layers])


def build(name: str) -> Sequential:
    """Return a net of `NETS`, built with fixed initial weights."""
    return make(NETS[name].layers).build(NETS[name].input_shape, rng=0)


def describe(name: str) -> dict[str, Any]:
    """Return what a framework needs to build a net, for JSON: `input_shape`, `own_loss` and `layers`.

    Each layer has its `kind`, `settings`, and the `input_shape` of one example.
    """
    net = NETS[name]
    layers = [
        {"kind": kind, "settings": settings, "input_shape": layer.input_shape}
        for (kind, *settings), layer in zip(net.layers, build(name), strict=True)
    ]
    return {"input_shape": net.input_shape, "own_loss": net.own_loss, "layers": layers}


def initial_weights(name: str) -> list[np.ndarray]:
    """Return kernels and biases in order; normalizations begin with the same values in each framework."""
    weighted = [layer for layer in build(name).layers if isinstance(layer, Conv2D | Dense)]
    return [weight for layer in weighted for weight in layer.get_weights()]
