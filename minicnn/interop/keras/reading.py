"""From Keras's layers to ours."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras

from minicnn.interop.keras.weights import copy_weights
from minicnn.interop.keras.writing import to_keras
from minicnn.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    Layer,
    LeakyReLU,
    Pool2D,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)

_ACTIVATIONS: dict[str, Callable[[], list[Layer]]] = {
    "linear": lambda: [],
    "relu": lambda: [ReLU()],
    "tanh": lambda: [Tanh()],
    "sigmoid": lambda: [Sigmoid()],
    "softmax": lambda: [Softmax()],
    "leaky_relu": lambda: [LeakyReLU(0.2)],  # that function's default, unlike the layer's 0.3
}


def from_keras(
    source: keras.Model | str | os.PathLike[str], architecture: keras.Model | Layer | None = None
) -> Sequential:
    """Return a built `Sequential` of our layers with the weights of a Keras model, bit for bit.

    An activation inside a Keras layer becomes a layer of its own. What only concerns Keras's training
    (optimizer, loss, regularizers, constraints, seeds) does not come along; frozen weights stay frozen.

    Parameters
    ----------
    source : keras.Model or path
        A model whose layers form one chain, or a file that Keras saved: `.keras`, or `.weights.h5`, which
        needs an `architecture` beside it. Files are read by Keras itself with `safe_mode` on: none of them
        can bring code to be run.
    architecture : keras.Model or Layer, optional
        For a `.weights.h5` file: a model, of Keras's layers or a built one of ours, of the same architecture.
        It is not changed.

    Returns
    -------
    Sequential

    Raises
    ------
    ValueError
        If a layer has no counterpart; it names the first. Or if the layers form no chain, the input's size is
        not fixed, or Keras cannot read the file.
    TypeError
        If the weights are neither float32 nor float64.

    Examples
    --------
    >>> import keras
    >>> twin = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="relu")])
    >>> from_keras(twin)
    Sequential([
        Dense(2),
        ReLU(),
    ])
    """
    if not isinstance(source, keras.Model):
        source = _read(Path(source), architecture)
    groups = list(_groups(list(_chain(source))))
    model = Sequential([layer for i, group in enumerate(groups) for layer in _counterpart(i, group)])
    input_shape = source.input_shape[1:]
    if None in input_shape:
        raise ValueError(f"the model's input must have a fixed size, got {input_shape}")
    model.build(input_shape, dtype=next((weight.dtype for weight in source.weights), source.compute_dtype))
    copy_weights(source, model)
    variables = [variable for group in groups for variable in group[-1].weights]
    for parameter, variable in zip(model.parameters(), variables, strict=True):
        parameter.trainable = variable.trainable
    return model


def _read(path: Path, architecture: keras.Model | Layer | None) -> keras.Model:
    if path.name.endswith(".weights.h5"):
        if architecture is None:
            raise ValueError(f"{path} holds weights alone: an `architecture` must be given with it")
        if isinstance(architecture, Layer):
            model = to_keras(architecture)
        else:  # a copy, and not compiled: the file's optimizer state is of no interest
            model = type(architecture).from_config(architecture.get_config())
        model.load_weights(path)
        return model
    return keras.models.load_model(path, compile=False, safe_mode=True)


def _chain(model: keras.Model) -> Iterator[keras.Layer]:
    """Yield the layers in order, those of nested models too, if each feeds the next and nothing else."""
    layers = model.layers if isinstance(model, keras.Sequential) else _functional_chain(model)
    for layer in layers:
        if isinstance(layer, keras.Model):
            yield from _chain(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer


def _functional_chain(model: keras.Model) -> list[keras.Layer]:
    """Return the layers of a functional model, walking back from its output."""
    chain, tensor = [], getattr(model, "output", None)
    while isinstance(tensor, keras.KerasTensor):
        # The record of Keras's that every tensor has since its beginnings: which call of which layer made it.
        layer, node, _ = tensor._keras_history
        chain.append(layer)
        inputs = layer._inbound_nodes[node].input_tensors
        if not inputs:
            return chain[::-1]
        tensor = inputs[0] if len(inputs) == 1 else inputs
    raise ValueError("the layers of the model must form one chain, from one input to one output")


def _groups(layers: Sequence[keras.Layer]) -> Iterator[Sequence[keras.Layer]]:
    """Yield the layers, those together that `to_keras` makes of one of ours."""
    i = 0
    while i < len(layers):
        kinds = [type(layer).__name__ for layer in layers[i : i + 3]]
        length = 1
        if kinds[:2] == ["ZeroPadding2D", "Conv2D"]:
            length = 2
        elif kinds == ["Rescaling", "Activation", "Rescaling"]:
            length = 3
        yield layers[i : i + length]
        i += length


def _counterpart(index: int, group: Sequence[keras.Layer]) -> list[Layer]:
    """Return our layers for a group of Keras's."""
    kind = type(group[0]) if len(group) == 1 else tuple(type(layer) for layer in group)
    try:
        if kind not in _TABLE:
            raise ValueError("there is no such layer")
        for layer in group:
            _require(layer, data_format="channels_last")
        layers = _TABLE[kind](*group)
        return [*layers, *_activation(group[-1])] if hasattr(group[-1], "kernel") else layers
    except ValueError as error:
        name = f"layer {index} ({type(group[0]).__name__} {group[0].name!r})"
        raise ValueError(f"{name} has no counterpart in minicnn: {error}") from error


def _require(layer: keras.Layer, **settings: Any) -> None:
    for name, wanted in settings.items():
        got = getattr(layer, name, wanted)
        if got != wanted:
            raise ValueError(f"`{name}` must be {wanted!r}, got {got!r}")


def _require_last_axis(layer: keras.Layer) -> None:
    if layer.axis not in (-1, len(layer.output.shape) - 1):
        raise ValueError(f"`axis` must be the last, got {layer.axis}")


def _activation(layer: keras.Layer) -> list[Layer]:
    name = layer.get_config()["activation"]
    if not isinstance(name, str) or name not in _ACTIVATIONS:
        raise ValueError(f"its activation must be one of {', '.join(_ACTIVATIONS)}, got {name!r}")
    return _ACTIVATIONS[name]()


def _short(sizes: tuple[int, int]) -> int | tuple[int, int]:
    """Return (3, 3) as 3, which reads better in the layer's `repr`."""
    return sizes[0] if sizes[0] == sizes[1] else sizes


def _conv2d(layer: keras.Layer, padding: Any = None) -> list[Layer]:
    return [
        Conv2D(
            layer.filters,
            _short(layer.kernel_size),
            _short(layer.strides),
            layer.padding if padding is None else padding,
            _short(layer.dilation_rate),
            layer.groups,
            layer.use_bias,
        )
    ]


def _padded_conv2d(zeros: keras.Layer, layer: keras.Layer) -> list[Layer]:
    _require(layer, padding="valid")
    return _conv2d(layer, zeros.padding)


def _pool2d(layer: keras.Layer) -> list[Layer]:
    window, strides = _short(layer.pool_size), _short(layer.strides)
    mode = "max" if isinstance(layer, keras.layers.MaxPooling2D) else "avg"
    return [Pool2D(window, None if strides == window else strides, layer.padding, mode)]


def _relu(layer: keras.Layer) -> list[Layer]:
    _require(layer, max_value=None, threshold=0)
    return [LeakyReLU(layer.negative_slope)] if layer.negative_slope else [ReLU()]


def _softmax(layer: keras.Layer) -> list[Layer]:
    _require_last_axis(layer)
    return [Softmax()]


def _scaled_tanh(inner: keras.Layer, tanh: keras.Layer, outer: keras.Layer) -> list[Layer]:
    for layer in (inner, outer):
        _require(layer, offset=0)
    if tanh.get_config()["activation"] != "tanh":
        raise ValueError("only a tanh can be scaled")
    return [Tanh(outer.scale, inner.scale)]


def _batch_norm(layer: keras.Layer) -> list[Layer]:
    _require(layer, scale=True, center=True)
    _require_last_axis(layer)
    return [BatchNorm(layer.momentum, layer.epsilon)]


def _dropout(layer: keras.Layer) -> list[Layer]:
    _require(layer, noise_shape=None)
    return [Dropout(layer.rate)]


def _global_average(layer: keras.Layer) -> list[Layer]:
    _require(layer, keepdims=False)
    return [GlobalAveragePool2D()]


_TABLE: dict[Any, Callable[..., list[Layer]]] = {
    keras.layers.Conv2D: _conv2d,
    (keras.layers.ZeroPadding2D, keras.layers.Conv2D): _padded_conv2d,
    keras.layers.MaxPooling2D: _pool2d,
    keras.layers.AveragePooling2D: _pool2d,
    keras.layers.GlobalAveragePooling2D: _global_average,
    keras.layers.Dense: lambda layer: [Dense(layer.units, layer.use_bias)],
    keras.layers.Flatten: lambda layer: [Flatten()],
    keras.layers.Activation: _activation,
    keras.layers.ReLU: _relu,
    keras.layers.LeakyReLU: lambda layer: [LeakyReLU(layer.negative_slope)],
    keras.layers.Softmax: _softmax,
    (keras.layers.Rescaling, keras.layers.Activation, keras.layers.Rescaling): _scaled_tanh,
    keras.layers.Dropout: _dropout,
    keras.layers.BatchNormalization: _batch_norm,
}
