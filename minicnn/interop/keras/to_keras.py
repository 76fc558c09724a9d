"""Conversion of minicnn models to Keras."""

import contextlib
import functools
from typing import Any

import keras
import numpy as np

from minicnn.errors import noted
from minicnn.interop.keras.custom_layers import keras_class
from minicnn.interop.keras.weights import set_weights
from minicnn.interop.layer_map import counterpart, flat_layers
from minicnn.interop.layer_map.own import check_chains, check_counterpart
from minicnn.layers import Layer
from minicnn.safeguards.claims import reading


def to_keras(model: Layer, dtype: str | None = None) -> keras.Model:
    """Return a Keras model of the same layers with the same weights, bit for bit.

    The model is functional and not compiled. Explicit padding of a convolution becomes a `ZeroPadding2D`
    before it, a scaled Tanh becomes a tanh between two `Rescaling`, and a Dropout that is not inverted
    becomes a `Rescaling` and a Dropout. Nested `Sequential` are flattened, and the branches of `Residual` and
    `Concatenate` become branches of the graph. Local response normalization,
    which Keras lacks, becomes a Keras layer of this package. Frozen weights stay frozen. Dropout masks come
    from Keras's random numbers.

    Keras differs in float64: `fit` and `predict` cast arrays to `keras.config.floatx()`, calling the model
    does not; and hyper-parameters (a LeakyReLU's slope, a Tanh's scales) and GELU's constants are rounded to
    float32. The weights of branches are in another order in `twin.get_weights()`, that of their depth;
    `copy_weights` and `from_keras` follow the branches.

    Parameters
    ----------
    model : Layer
        A built `Sequential`, or a layer alone.
    dtype : str, optional
        The dtype in which Keras computes; by default that of the weights, float32 if there are none.

    Returns
    -------
    keras.Model
        For inputs of the model's `input_shape`.

    Raises
    ------
    RuntimeError
        If the model has not been built.
    ValueError
        If a layer has no counterpart in Keras; the message names the first. These are custom layers without
        a method `to_keras` or `to_layers`, or whose method makes something else of it than its `forward`;
        convolutions with both strides and dilation; pooling with explicit padding other than "valid" and
        "same"; and max pooling with other `ties` than Keras, which has "first" for windows and "split" for
        whole images.

    Examples
    --------
    >>> from minicnn.models import lenet5
    >>> twin = to_keras(lenet5().build((28, 28, 1), rng=0))
    >>> [type(layer).__name__ for layer in twin.layers][-3:], twin.count_params()
    (['Dense', 'ReLU', 'Dense'], 61706)
    """
    if not isinstance(model, Layer):
        raise TypeError(f"`model` must be a minicnn model, got {type(model).__name__}")
    if model.input_shape is None:
        raise RuntimeError("the model is not built: call build(input_shape) first")
    dtype = str(model.dtype) if dtype is None else dtype
    x = y = keras.Input(model.input_shape, dtype=dtype)
    with reading(model, copied=True) as (source, _):
        check_chains(source)
        for name, layer in flat_layers(source):
            y = _call(name, layer, y, dtype)
    return keras.Model(x, y)


def _call(name: str, layer: Layer, y: Any, dtype: str) -> Any:
    """Return the output of a layer's twin for the Keras tensor `y`."""
    row = counterpart(layer)
    if row is not None and row.branches:
        outputs = []
        for i, branch in enumerate(row.branches(layer)):
            outputs.append(y)
            for place, part in flat_layers(branch, f"{name}.{i}"):
                outputs[-1] = _call(place, part, outputs[-1], dtype)
        if len(outputs) == 1:  # Keras has no layer that joins a single input
            return outputs[0]
        y = outputs
    called = f"layer {name} ({type(layer).__name__})"
    is_own = hasattr(layer, "to_keras")  # a layer of the user's says itself what it is
    try:
        if row is None or row.to_keras is None:
            raise ValueError(
                "Keras has no such layer; one of your own can have a method to_keras or to_layers"
            )
        with noted(f"in `to_keras` of {called}") if is_own else contextlib.nullcontext():
            specs = row.to_keras(layer)
        twins = [_twin(spec, dtype) for spec in specs]
        for twin in twins:
            y = twin(y)
        if layer.parameters() and not row.branches:
            _take_weights(twins[-1], layer)
    except ValueError as error:
        raise ValueError(f"{called} has no counterpart in Keras: {error}") from error
    if is_own:
        check_counterpart(called, layer, "to_keras", functools.partial(_run, twins))
    return y


def _twin(spec: Any, dtype: str) -> keras.Layer:
    if isinstance(spec, keras.Layer):
        return spec
    if not isinstance(spec, tuple):
        raise ValueError(f"`to_keras` must return a Keras layer or a list of some, got {spec!r:.80}")
    return keras_class(spec[0])(**spec[1], dtype=dtype)


def _take_weights(twin: keras.Layer, layer: Layer) -> None:
    """Give the Keras layer the weights of ours, and freeze those that are frozen."""
    set_weights(twin, layer.get_weights())
    for variable, parameter in zip(twin.weights, layer.parameters(), strict=True):
        variable.trainable = parameter.trainable
    if not layer.trainable:
        twin.trainable = False


def _run(twins: list[keras.Layer], x: np.ndarray) -> np.ndarray:
    y: Any = x
    for twin in twins:
        y = twin(y)
    return keras.ops.convert_to_numpy(y)
