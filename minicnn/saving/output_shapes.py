"""A model file is built by its declared sizes, computed by arithmetic alone.

A file that declares a layer of a billion filters is refused by these numbers, before anything is allocated.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minicnn.config.registry import is_registered
from minicnn.initializers import zeros
from minicnn.layers import Layer
from minicnn.layers._building import BuildRules, Size, build_rules
from minicnn.safeguards.claims import all_layers
from minicnn.saving.weights import check_weights

Shape = tuple[int, ...]
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
        _check_values(layer, math.prod(input_shape))
        if (size := size_of(layer, input_shape)) is not None:
            _check_values(layer, max(size.largest, math.prod(size.output_shape)))
            self.left -= size.weights
            if self.left < 0:
                raise ValueError(
                    f"the architecture has more weights than the file: none left for {type(layer).__name__}"
                )

    def output_shape(self, layer: Any, input_shape: Shape) -> Shape | None:
        """Return the output shape of a layer of this package, whose parts are built."""
        if (size := size_of(layer, input_shape)) is not None:
            return size.output_shape
        if not is_registered(type(layer)):
            return None
        shape: Shape = layer._shape_from_parts(input_shape)
        _check_values(layer, math.prod(shape))
        return shape


def size_of(layer: Any, input_shape: Shape) -> Size | None:
    """Return the size of a layer of the package; None for layers of others, and for those made of layers."""
    kind = type(layer)
    if not is_registered(kind):
        return None
    if hasattr(kind, "_size_for"):
        size: Size = layer._size_for(input_shape)
        return size
    return Size(input_shape) if kind.init_params is Layer.init_params else None


def _check_values(layer: Layer, values: int) -> None:
    if values > MAX_VALUES:
        raise ValueError(
            f"an example can have at most {MAX_VALUES:,} values in a layer, {type(layer).__name__} needs more"
        )


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
    known = [layer for layer in all_layers(model) if is_registered(type(layer))]
    layers = [layer for layer in known if hasattr(layer, "kernel_initializer")]
    kept = [layer.kernel_initializer for layer in layers]
    for layer in layers:
        layer.kernel_initializer = zeros
    try:
        yield
    finally:
        for layer, initializer in zip(layers, kept, strict=True):
            layer.kernel_initializer = initializer
