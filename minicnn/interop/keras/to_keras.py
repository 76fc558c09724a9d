"""From our layers to Keras's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from minicnn.ops.padding import pair, resolve_padding

_Spec = tuple[str, dict[str, Any]]  # the name of a Keras layer, and its arguments
_OURS = {"LocalResponseNorm": KerasLocalResponseNorm}  # those that Keras lacks
_LAST: dict[str, Any] = {"data_format": "channels_last"}  # whatever the user's Keras is configured to


def to_keras(model: Layer, dtype: str | None = None) -> keras.Model:
    """Return a Keras model of the same layers with the same weights, bit for bit.

    It is functional, and not compiled. Explicit padding of a convolution becomes a `ZeroPadding2D` before it,
    a scaled Tanh a tanh between two `Rescaling`, a Dropout that is not inverted one after a `Rescaling`;
    nested `Sequential` are laid out flat. Local response normalisation, which Keras lacks, becomes a Keras
    layer of this package. Frozen weights stay frozen. Dropout draws its masks from Keras's random numbers.

    In float64 two things are Keras's own: `fit` and `predict` cast arrays to `keras.config.floatx()`, calling
    the model does not; and settings that are no weights (a LeakyReLU's slope, a Tanh's scales) are rounded to
    float32.

    Parameters
    ----------
    model : Layer
        A built `Sequential`, or a layer alone.
    dtype : str, optional
        In which Keras is to compute. By default that of the weights; float32 if there are none.

    Returns
    -------
    keras.Model
        For inputs of the model's `input_shape`.

    Raises
    ------
    RuntimeError
        If the model has not been built.
    ValueError
        If a layer has no counterpart; it names the first. That is: layers of your own; convolutions with both
        strides and dilation; pooling with an explicit padding that is neither "valid" nor "same"; and maximum
        pooling with `ties` other than "first", whose outputs Keras has, but not its gradients.

    Examples
    --------
    >>> from minicnn.models import lenet5
    >>> twin = to_keras(lenet5().build((28, 28, 1), rng=0))
    >>> [type(layer).__name__ for layer in twin.layers][-3:], twin.count_params()
    (['Dense', 'ReLU', 'Dense'], 61706)
    """
    if not isinstance(model, Layer):
        raise TypeError(f"`model` must be a model of minicnn's, got {type(model).__name__}")
    if model.input_shape is None:
        raise RuntimeError("a model must be built before it is turned into Keras's: call build(input_shape)")
    dtype = str(model.dtype) if dtype is None else dtype
    x = y = keras.Input(model.input_shape, dtype=dtype)
    for name, layer in leaves(model):
        try:
            for kind, settings in _specs(layer):
                twin = (_OURS.get(kind) or getattr(keras.layers, kind))(**settings, dtype=dtype)
                y = twin(y)
        except ValueError as error:
            raise ValueError(
                f"layer {name} ({type(layer).__name__}) has no counterpart in Keras: {error}"
            ) from error
        if layer.parameters():
            twin.set_weights(layer.get_weights())
            for variable, parameter in zip(twin.weights, layer.parameters(), strict=True):
                variable.trainable = parameter.trainable
    return keras.Model(x, y)


def leaves(model: Layer, name: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield the layers of nested `Sequential`, in order, each with its place: "3", or "3.0" in the 3rd."""
    if not isinstance(model, Sequential):
        yield name or "0", model
        return
    for i, layer in enumerate(model):
        yield from leaves(layer, f"{name}.{i}" if name else f"{i}")


def _specs(layer: Layer) -> list[_Spec]:
    if type(layer) not in _TABLE:
        raise ValueError("it knows no such layer")
    return _TABLE[type(layer)](layer)


def _conv2d(layer: Conv2D) -> list[_Spec]:
    settings = {
        "filters": layer.filters,
        "kernel_size": layer.kernel_size,
        "strides": layer.strides,
        "dilation_rate": layer.dilation,
        "groups": layer.groups,
        "use_bias": layer.use_bias,
    }
    if max(pair(layer.strides, "strides")) > 1 and max(pair(layer.dilation, "dilation")) > 1:
        raise ValueError("its convolutions have strides or dilation, not both")
    if isinstance(layer.padding, str):
        return [("Conv2D", {**settings, "padding": layer.padding, **_LAST})]
    return [
        ("ZeroPadding2D", {"padding": layer.padding, **_LAST}),
        ("Conv2D", {**settings, "padding": "valid", **_LAST}),
    ]


def _pool2d(layer: Pool2D) -> list[_Spec]:
    if layer.mode == "max" and layer.ties != "first":
        raise ValueError(f"its gradient goes to the first of tied maxima, this one's to {layer.ties!r}")
    window = pair(layer.pool_size, "pool_size")
    strides = window if layer.strides is None else pair(layer.strides, "strides")
    settings = {"pool_size": window, "strides": strides, "padding": _named_padding(layer, window, strides)}
    return [("MaxPooling2D" if layer.mode == "max" else "AveragePooling2D", {**settings, **_LAST})]


def _named_padding(layer: Pool2D, window: tuple[int, int], strides: tuple[int, int]) -> str:
    """Return "valid" or "same", whichever the padding is; Keras's pooling has no other."""
    height, width, _ = layer.input_shape or (0, 0, 0)
    size = (height, width)
    for name in ("valid", "same"):
        if resolve_padding(layer.padding, size, window, strides) == resolve_padding(
            name, size, window, strides
        ):
            return name
    raise ValueError(f"its pooling has no explicit padding, this one has {layer.padding}")


def _tanh(layer: Tanh) -> list[_Spec]:
    tanh = ("Activation", {"activation": "tanh"})
    if layer.amplitude == layer.steepness == 1:
        return [tanh]
    return [("Rescaling", {"scale": layer.steepness}), tanh, ("Rescaling", {"scale": layer.amplitude})]


def _dropout(layer: Dropout) -> list[_Spec]:
    dropout: list[_Spec] = [("Dropout", {"rate": layer.rate})]
    return dropout if layer.inverted else [("Rescaling", {"scale": 1 - layer.rate}), *dropout]


def _local_response_norm(layer: LocalResponseNorm) -> list[_Spec]:
    settings = {"size": layer.size, "k": layer.k, "alpha": layer.alpha, "beta": layer.beta}
    return [("LocalResponseNorm", settings)]


_TABLE: dict[type[Layer], Callable[[Any], list[_Spec]]] = {
    Conv2D: _conv2d,
    Pool2D: _pool2d,
    Tanh: _tanh,
    Dense: lambda layer: [("Dense", {"units": layer.units, "use_bias": layer.use_bias})],
    Flatten: lambda layer: [("Flatten", _LAST)],
    ReLU: lambda layer: [("ReLU", {})],
    LeakyReLU: lambda layer: [("LeakyReLU", {"negative_slope": layer.slope})],
    Sigmoid: lambda layer: [("Activation", {"activation": "sigmoid"})],
    Softmax: lambda layer: [("Softmax", {})],
    Dropout: _dropout,
    BatchNorm: lambda layer: [("BatchNormalization", {"momentum": layer.momentum, "epsilon": layer.eps})],
    LocalResponseNorm: _local_response_norm,
    GlobalAveragePool2D: lambda layer: [("GlobalAveragePooling2D", _LAST)],
}
