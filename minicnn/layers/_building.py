"""What `Layer.build` does: it creates the weights of layers that are not built, and keeps those of others.

Files are built by rules: what a layer takes is computed by its `_size_for`, and refused before it is made.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from minicnn.ops.padding import Pair, output_size, resolve_padding
from minicnn.parameter import Parameter
from minicnn.parameter_tree import find_objects
from minicnn.safeguards.claims import all_layers

Layer = Any  # `minicnn.layers.base` imports this module


class Size(NamedTuple):
    """What a layer takes for one example, as its `_size_for(input_shape)` computes it before it is built.

    Each layer of the package has this method, unless it keeps the shape and has no weights.
    """

    output_shape: tuple[int, ...]
    weights: int = 0
    largest: int = 0  # values of the largest other array that it makes


def image_shape(layer: Layer, input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the input shape if it is that of images; raise ValueError otherwise."""
    if len(input_shape) != 3:
        raise ValueError(f"{type(layer).__name__} needs input_shape (H, W, C), got {input_shape}")
    return input_shape[0], input_shape[1], input_shape[2]


def size_of_windows(
    layer: Layer,
    input_shape: tuple[int, ...],
    window: Pair,
    strides: Pair,
    padding: Any,
    dilation: Pair = (1, 1),
) -> tuple[Pair, int]:
    """Return the rows and columns of the output of windows, and what is `largest` in their Size."""
    height, width, channels = image_shape(layer, input_shape)
    span = ((window[0] - 1) * dilation[0] + 1, (window[1] - 1) * dilation[1] + 1)
    rows, columns = pads = resolve_padding(padding, (height, width), span, strides)
    padded = (height + sum(rows)) * (width + sum(columns)) * channels
    # Steps, too: arrays are addressed by them.
    return output_size((height, width), span, strides, pads), max(padded, *span, *strides, *dilation)


class BuildRules:
    """What the reader of a file demands of a build; this base demands nothing, and layers are run."""

    def check(self, layer: Layer, input_shape: tuple[int, ...]) -> None:
        """Raise ValueError if the layer must not be built for this shape; called before `init_params`."""

    def output_shape(self, layer: Layer, input_shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the output shape if it is known without running the layer."""
        return None


NO_RULES = BuildRules()
# What all layers built within one `build` share.
outer_dtype: ContextVar[np.dtype | None] = ContextVar("dtype of the outermost build", default=None)
build_rules: ContextVar[BuildRules] = ContextVar("rules of the outermost build", default=NO_RULES)


def build_layer(
    layer: Layer, shape: tuple[int, ...], rng: np.random.Generator, dtype: np.dtype, outermost: bool
) -> Layer:
    """Create or keep the layer's weights, and set its shapes; on an error all layers are as before."""
    mode = layer.training
    try:
        with _unbuild_on_error(layer):
            rules = build_rules.get()
            rules.check(layer, shape)
            make_weights = _create_weights if layer.input_shape is None else _keep_weights
            make_weights(layer, shape, rng, dtype)
            layer.input_shape, layer.dtype = shape, dtype
            with np.errstate(all="ignore"):  # zeros may divide by zero; only the shape matters
                known = rules.output_shape(layer, shape)
                layer.output_shape = known or layer.eval().forward(np.zeros((1, *shape), dtype)).shape[1:]
            if outermost:
                layer.refuse_tied_weights()
    finally:
        layer.train(mode)
    return layer


def not_built(layer: Layer) -> RuntimeError:
    """Return the error of a layer that is run before it is built."""
    return RuntimeError(
        f"{type(layer).__name__} is not built yet: call build(input_shape) first; a layer made of layers "
        f"does so in init_params"
    )


def _create_weights(layer: Layer, shape: tuple[int, ...], rng: np.random.Generator, dtype: np.dtype) -> None:
    """Create the weights of a layer that is not built, in `dtype`; frozen ones if the layer is frozen."""
    held = {id(part) for _, part in layer.named_layers()}
    layer.init_params(shape, rng)
    for parameter in _own_parameters(layer):
        parameter.cast(dtype)
        parameter.frozen = not layer.trainable
    for _, part in layer.named_layers():
        if id(part) not in held and not layer.trainable:
            part.trainable = False


def _keep_weights(layer: Layer, shape: tuple[int, ...], rng: np.random.Generator, dtype: np.dtype) -> None:
    """Prepare a built layer for inputs of this shape: it keeps its weights, and builds new layers in it.

    Raises
    ------
    ValueError
        If its weights do not fit the shape or the dtype, or would be lost.
    """
    name, built = type(layer).__name__, [part for _, part in layer.named_layers() if part.input_shape]
    kept = [*_own_parameters(layer), *(parameter for part in built for parameter in part.parameters())]
    if any(parameter.dtype != dtype for parameter in kept):
        raise ValueError(
            f"{name} is built in {layer.dtype}, and this build is in {dtype}: pass dtype={layer.dtype.name!r}"
        )
    if not any(layer.named_layers()):
        if shape != layer.input_shape:
            _adapt(layer, shape)
    elif shape != layer.input_shape or layer.unbuilt_part():
        attributes = dict(vars(layer))
        layer.init_params(shape, rng)
        if {*map(id, kept)} - {*map(id, layer.parameters())}:
            layer.__dict__.clear()
            layer.__dict__.update(attributes)
            raise ValueError(
                f"{name} creates weights in init_params, which would replace its present ones: build the "
                f"new layers in it one by one, or use a new {name}"
            )


def _adapt(layer: Layer, shape: tuple[int, ...]) -> None:
    """Give a built layer that holds no layers another input shape, if it needs weights of the same shapes."""
    trial = copy.deepcopy(layer)
    trial.init_params(shape, np.random.default_rng(0))
    if [p.shape for p in trial.parameters()] != [p.shape for p in layer.parameters()]:
        raise ValueError(
            f"{type(layer).__name__} is built for input_shape {layer.input_shape}, and its weights do not "
            f"fit {shape}: use a new layer"
        )
    for name, value in trial.__getstate__().items():
        if not any(find_objects(value, Parameter, np.random.Generator)):
            layer.__dict__[name] = value


@contextmanager
def _unbuild_on_error(layer: Layer) -> Iterator[None]:
    """Leave all layers as they were, built or not, if an exception leaves the block."""
    before = [(part, part.input_shape, part.output_shape) for part in all_layers(layer)]
    try:
        yield
    except BaseException:
        for part in all_layers(layer):
            part.input_shape = None
        for part, input_shape, output_shape in before:
            part.input_shape, part.output_shape = input_shape, output_shape
        raise


def _own_parameters(layer: Layer) -> list[Parameter]:
    """Return the parameters that the layer itself holds, not those of layers in it."""
    return [parameter for _, parameter in find_objects(layer.__getstate__(), Parameter)]
