"""What each of Keras's layers is here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from minicnn.interop.keras.normalization import LocalResponseNorm as KerasLocalResponseNorm
from minicnn.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    Layer,
    LeakyReLU,
    LocalResponseNorm,
    Pool2D,
    ReLU,
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


def counterparts(index: int, group: Sequence[keras.Layer]) -> list[Layer]:
    """Return our layers for a group of Keras's."""
    kind = type(group[0]) if len(group) == 1 else tuple(type(layer) for layer in group)
    try:
        if kind not in _TABLE:
            raise ValueError("there is no such layer")
        for layer in group:
            _require(layer, data_format="channels_last")
        layers = _TABLE[kind](*group)
        return [*layers, *_activation(group[-1])] if hasattr(group[-1], "kernel") else layers
    except (TypeError, ValueError) as error:
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
    function = layer.activation
    if isinstance(function, (keras.layers.ReLU, keras.layers.LeakyReLU)):
        return _TABLE[type(function)](function)
    name = getattr(function, "__name__", type(function).__name__)
    # By the name alone, a function of the user's own that is called "relu" would pass.
    if name not in _ACTIVATIONS or function.__module__.split(".")[0] not in ("keras", "tensorflow"):
        raise ValueError(f"its activation must be Keras's {', '.join(_ACTIVATIONS)}, got {function!r:.60}")
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
    if [type(layer) for layer in _activation(tanh)] != [Tanh]:
        raise ValueError("only a tanh can be scaled")
    return [Tanh(outer.scale, inner.scale)]


def _batch_norm(layer: keras.Layer) -> list[Layer]:
    _require(layer, scale=True, center=True)
    _require_last_axis(layer)
    return [BatchNorm(layer.momentum, layer.epsilon)]


def _dropout(layer: keras.Layer) -> list[Layer]:
    _require(layer, noise_shape=None)
    return [Dropout(layer.rate)]


def _first_dropout(scale: keras.Layer, layer: keras.Layer) -> list[Layer]:
    _require(scale, scale=1 - layer.rate, offset=0)
    _require(layer, noise_shape=None)
    return [Dropout(layer.rate, inverted=False)]


def _local_response_norm(layer: KerasLocalResponseNorm) -> list[Layer]:
    return [LocalResponseNorm(layer.size, layer.k, layer.alpha, layer.beta)]


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
    (keras.layers.Rescaling, keras.layers.Dropout): _first_dropout,
    keras.layers.BatchNormalization: _batch_norm,
    KerasLocalResponseNorm: _local_response_norm,
}
