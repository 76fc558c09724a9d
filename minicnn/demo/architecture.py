"""Networks with random weights: of the opened architecture, or of the one that was chosen on the page."""

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minicnn.config.registry import custom_classes
from minicnn.demo.settings import ACTIVATIONS, Settings
from minicnn.initializers import he_normal
from minicnn.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, Layer, Pool2D, Sequential
from minicnn.saving.output_shapes import size_of

MAX_WEIGHTS = 3_000_000
MAX_VALUES = 1 << 27  # of a batch in all layers: half a gigabyte
MAX_MACS = 40_000_000  # multiplications of a forward pass of one image: LeNet-5 has 0.4 million
_SMALLEST_POOLED = 4  # rows


def make_net(settings: Settings, opened: Sequential) -> Any:
    """Return the network of some settings, with the random weights of their seed.

    Parameters
    ----------
    settings : Settings
        `net` says whether it has the opened network's architecture.
    opened : Sequential
        A built network, which gives the shape of the images and the number of classes.

    Raises
    ------
    ValueError
        If the network would be too large.
    """
    shape, classes = opened.input_shape or (), opened.output_shape[0]
    if settings.net == "run":
        net = Layer.from_config(opened.to_config(), custom_classes(opened))
        values = sum(math.prod(layer.output_shape) for layer in opened)
    else:
        layers = list(_layers(settings, shape, classes))
        values = check_size(layers, shape)
        net = Sequential(layers)
    if settings.batch_size * values > MAX_VALUES:
        raise ValueError(
            f"a batch would have {settings.batch_size * values:,} values in all layers, and this page allows "
            f"{MAX_VALUES:,}: choose a smaller batch size"
        )
    return net.build(shape, rng=settings.seed, dtype=opened.dtype)


def check_size(layers: Sequence[Layer], shape: tuple[int, ...]) -> int:
    """Return the number of values of an image in all layers, which are not built yet.

    Raises
    ------
    ValueError
        If they would have too many weights, or be too slow.
    """
    weights = macs = values = 0
    for layer in layers:
        size = size_of(layer, shape)
        assert size is not None  # all are layers of the package
        shape, added = size.output_shape, size.weights
        weights, macs = weights + added, macs + added * math.prod(shape[:-1])
        values += math.prod(shape)
    for count, most, what in (
        (weights, MAX_WEIGHTS, "weights"),
        (macs, MAX_MACS, "multiplications for an image"),
    ):
        if count > most:
            raise ValueError(
                f"this network would have {count:,} {what}, and this page allows {most:,}: choose pooling, "
                "fewer filters or fewer units"
            )
    return values


def _layers(settings: Settings, shape: tuple[int, ...], classes: int) -> Iterator[Layer]:
    """Yield the layers that were chosen: convolutions, hidden dense layers, and the logits."""
    initial = functools.partial(scaled_he, scale=settings.init)
    activation = ACTIVATIONS[settings.activation]

    def hidden(layer: Layer) -> Iterator[Layer]:
        yield layer
        if settings.batchnorm == "yes":
            yield BatchNorm(momentum=0.9)  # a few steps must do for its statistics
        if activation is not None:
            yield activation()

    rows = min(shape[:2])
    for filters in settings.filters:
        kernel = int(settings.kernel)
        yield from hidden(Conv2D(filters, kernel, padding="same", kernel_initializer=initial))
        if settings.pooling != "none" and rows >= _SMALLEST_POOLED:
            yield Pool2D(2, mode=settings.pooling)
            rows //= 2
    yield Flatten()
    for units in settings.units:
        yield from hidden(Dense(units, kernel_initializer=initial))
    if settings.dropout:
        yield Dropout(settings.dropout)
    yield Dense(classes, kernel_initializer=initial)


def scaled_he(shape: Sequence[int], rng: np.random.Generator, scale: float) -> np.ndarray:
    """Draw He's initial weights, multiplied by a factor."""
    return he_normal(shape, rng) * scale
