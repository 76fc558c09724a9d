"""Output shapes and numbers of weights of this package's layers, by arithmetic alone.

A file that declares a layer of a billion filters is refused by these numbers, before anything is allocated.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minicnn import layers
from minicnn.config.registry import is_registered
from minicnn.initializers import zeros
from minicnn.layers import Layer
from minicnn.layers._building import BuildRules, build_rules
from minicnn.layers.resize import zero_pads
from minicnn.models.historic.lenet5_1998 import PartialConv2D, Subsample
from minicnn.ops.padding import Pair, output_size, pair, resolve_padding
from minicnn.safeguards.claims import all_layers
from minicnn.saving.weights import check_weights

Shape = tuple[int, ...]
Rule = Callable[[Any, Shape], tuple[Shape, int]]  # the output shape and the number of weights
MAX_VALUES = 1 << 28  # of one example, in any layer: 1 GB in float32


class FileRules(BuildRules):
    """Allows only what a file with this number of weights can hold.

    The package's layers are not run: their output shapes are computed. Layers of others are run once, on an
    example of zeros, as `build` does it.
    """

    def __init__(self, weights: int) -> None:
        self.left = weights

    def check(self, layer: Any, input_shape: Shape) -> None:
        """Raise ValueError if the layer has more weights than are left, or too many values come out."""
        _check_size(layer, input_shape)
        if (rule := rule_of(type(layer))) is not None:
            output_shape, weights = rule(layer, input_shape)
            _check_size(layer, output_shape)
            self.left -= weights
            if self.left < 0:
                raise ValueError(
                    f"the architecture has more weights than the file: none left for {type(layer).__name__}"
                )

    def output_shape(self, layer: Any, input_shape: Shape) -> Shape | None:
        """Return the output shape of a layer of this package, whose parts are built."""
        if (join := JOINS.get(type(layer))) is not None:
            shape = join(layer, input_shape)
            _check_size(layer, shape)
            return shape
        rule = rule_of(type(layer))
        return None if rule is None else rule(layer, input_shape)[0]


def _check_size(layer: Layer, shape: Shape) -> None:
    if math.prod(shape) > MAX_VALUES:
        raise ValueError(
            f"an example can have at most {MAX_VALUES:,} values in a layer, {type(layer).__name__} needs more"
        )


def _images(layer: Any, shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ValueError(f"{type(layer).__name__} needs input_shape (H, W, C), got {shape}")
    return shape[0], shape[1], shape[2]


def _windows(layer: Any, shape: Shape, span: Pair, strides: Any) -> Pair:
    """Return the output's rows and columns; raise if the padded image or a step would be too large."""
    height, width, channels = shape
    steps = span if strides is None else pair(strides, "strides")
    rows, columns = pads = resolve_padding(layer.padding, (height, width), span, steps)
    _check_size(layer, (height + sum(rows), width + sum(columns), channels))
    _check_size(layer, (max(*span, *steps),))
    return output_size((height, width), span, steps, pads)


def _conv(layer: layers.Conv2D, shape: Shape) -> tuple[Shape, int]:
    height, width, channels = _images(layer, shape)
    rows, columns = pair(layer.kernel_size, "kernel_size")
    down, across = pair(layer.dilation, "dilation")
    span = ((rows - 1) * down + 1, (columns - 1) * across + 1)
    _check_size(layer, (max(down, across),))
    weights = (rows * columns * (channels // layer.groups) + bool(layer.use_bias)) * layer.filters
    return (*_windows(layer, (height, width, channels), span, layer.strides), layer.filters), weights


def _partial_conv(layer: PartialConv2D, shape: Shape) -> tuple[Shape, int]:
    height, width, channels = _images(layer, shape)
    span = pair(layer.kernel_size, "kernel_size")
    connections = [channel for row in layer.table for channel in row]
    if not all(type(channel) is int and 0 <= channel < channels for channel in connections):
        raise ValueError(f"`table` must hold channels in [0, {channels})")
    size = output_size((height, width), span, (1, 1), ((0, 0), (0, 0)))
    # The full kernel, with a zero for each connection that does not exist, is made at each step.
    _check_size(layer, (*span, channels, len(layer.table)))
    return (*size, len(layer.table)), math.prod(span) * len(connections) + len(layer.table)


def _subsample(layer: Subsample, shape: Shape) -> tuple[Shape, int]:
    height, width, channels = _images(layer, shape)
    return (*output_size((height, width), (2, 2), (2, 2), ((0, 0), (0, 0))), channels), 2 * channels


def _pool(layer: layers.Pool2D, shape: Shape) -> tuple[Shape, int]:
    height, width, channels = _images(layer, shape)
    window = pair(layer.pool_size, "pool_size")
    return (*_windows(layer, (height, width, channels), window, layer.strides), channels), 0


def _global_pool(layer: Layer, shape: Shape) -> tuple[Shape, int]:
    return _images(layer, shape)[2:], 0


def _zero_padding(layer: layers.ZeroPadding2D, shape: Shape) -> tuple[Shape, int]:
    height, width, channels = _images(layer, shape)
    rows, columns = zero_pads(layer.padding)
    return (height + sum(rows), width + sum(columns), channels), 0


def _upsampling(layer: layers.Upsampling2D, shape: Shape) -> tuple[Shape, int]:
    height, width, channels = _images(layer, shape)
    rows, columns = pair(layer.size, "size")
    return (height * rows, width * columns, channels), 0


def _rescaling(layer: layers.Rescaling, shape: Shape) -> tuple[Shape, int]:
    for numbers in (layer.scale, layer.offset):
        if isinstance(numbers, tuple) and len(numbers) != shape[-1]:
            raise ValueError(f"Rescaling needs a number per channel ({shape[-1]}), got {len(numbers)}")
    return shape, 0


def rule_of(kind: type[Layer]) -> Rule | None:
    """Return the rule of a class; one of the package without weights and without a row keeps the shape."""
    keeps_shape = is_registered(kind) and kind.init_params is Layer.init_params and kind not in JOINS
    return RULES.get(kind, _same if keeps_shape else None)


def _same(layer: Layer, shape: Shape) -> tuple[Shape, int]:
    return shape, 0


def _normalization(statistics: int) -> Callable[[Any, Shape], tuple[Shape, int]]:
    return lambda layer, shape: (shape, (bool(layer.scale) + bool(layer.center) + statistics) * shape[-1])


def _last(branch: Sequence[Layer], input_shape: Shape) -> Shape:
    return branch[-1].output_shape if branch else input_shape


def _sum(layer: layers.Residual, input_shape: Shape) -> Shape:
    added, shortcut = (_last(branch, input_shape) for branch in layer.branch_layers())
    if added != shortcut:
        raise ValueError(f"the two sides of a Residual must have the same shape, got {added} and {shortcut}")
    return added


def _concatenation(layer: layers.Concatenate, input_shape: Shape) -> Shape:
    shapes = [_last(branch, input_shape) for branch in layer.branch_layers()]
    if len({shape[:-1] for shape in shapes}) > 1:
        raise ValueError("the outputs of the branches of a Concatenate must agree in all but channels")
    return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))


# For each layer without parts, its output shape and the number of its weights.
RULES: dict[type[Layer], Rule] = {
    **dict.fromkeys((layers.GroupNorm, layers.LayerNorm), _normalization(0)),
    layers.Dropout: _same,
    layers.LocalResponseNorm: lambda layer, shape: (_images(layer, shape), 0),
    layers.BatchNorm: _normalization(2),
    layers.PReLU: lambda layer, shape: (shape, shape[-1] if layer.shared else math.prod(shape)),
    layers.Rescaling: _rescaling,
    layers.Flatten: lambda layer, shape: ((math.prod(shape),), 0),
    layers.Dense: lambda layer, shape: (
        (*shape[:-1], layer.units),
        (shape[-1] + bool(layer.use_bias)) * layer.units,
    ),
    layers.Conv2D: _conv,
    layers.Pool2D: _pool,
    **dict.fromkeys((layers.GlobalAveragePool2D, layers.GlobalMaxPool2D), _global_pool),
    layers.ZeroPadding2D: _zero_padding,
    layers.Upsampling2D: _upsampling,
    PartialConv2D: _partial_conv,
    Subsample: _subsample,
}
# For each layer made of layers, its output shape when these are built.
JOINS: dict[type[Layer], Callable[[Any, Shape], Shape]] = {
    layers.Sequential: lambda layer, shape: _last(layer.layers, shape),
    layers.Residual: _sum,
    layers.Concatenate: _concatenation,
}


def build_by_rules(
    model: Layer, input_shape: Sequence[int], dtype: str, tensors: Mapping[str, np.ndarray], seed: int
) -> None:
    """Build the model by what the file holds; raise ValueError if its weights are others."""
    if dtype not in ("float32", "float64"):
        raise ValueError(f"`dtype` must be float32 or float64, got {dtype!r:.40}")
    token = build_rules.set(FileRules(sum(tensor.size for tensor in tensors.values())))
    try:
        with _without_drawing(model):
            model.build(input_shape, rng=seed, dtype=dtype)
    finally:
        build_rules.reset(token)
    check_weights(model, tensors, "the file")


@contextlib.contextmanager
def _without_drawing(model: Layer) -> Iterator[None]:
    """Let the package's layers start from zeros, which takes no time; the weights come from the file."""
    known = [layer for layer in all_layers(model) if type(layer) in RULES]
    layers = [layer for layer in known if hasattr(layer, "kernel_initializer")]
    kept = [layer.kernel_initializer for layer in layers]
    for layer in layers:
        layer.kernel_initializer = zeros
    try:
        yield
    finally:
        for layer, initializer in zip(layers, kept, strict=True):
            layer.kernel_initializer = initializer
