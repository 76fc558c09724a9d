"""From Keras's layers to ours."""

from __future__ import annotations

import os
from pathlib import Path

import keras

from minicnn.interop.keras.layer_map import counterparts
from minicnn.interop.keras.to_keras import to_keras
from minicnn.interop.keras.topology import chain, groups
from minicnn.interop.keras.weights import copy_weights
from minicnn.layers import Layer, Sequential


def from_keras(
    source: keras.Model | str | os.PathLike[str], architecture: keras.Model | Layer | None = None
) -> Sequential:
    """Return a built `Sequential` of our layers with the weights of a Keras model, bit for bit.

    An activation inside a Keras layer becomes a layer of its own. What only concerns Keras's training
    (optimizer, loss, regularizers, constraints, seeds) does not come along; frozen weights stay frozen.
    (A frozen BatchNormalization of Keras's uses its running statistics in training too, ours the batch's.)

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
        not fixed, or the file is none of these.
    RuntimeError
        If a Keras Sequential has not been built.
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
    if isinstance(source, (str, os.PathLike)):
        source = _read(Path(source), architecture)
    if not isinstance(source, keras.Model):
        raise TypeError(f"`source` must be a Keras model or a path, got {type(source).__name__}")
    if isinstance(source, keras.Sequential) and not getattr(source, "inputs", None):
        raise RuntimeError("a Keras model must be built before it is turned into ours: call it once")
    layers = list(chain(source))
    grouped = list(groups(layers))
    model = Sequential([layer for i, group in enumerate(grouped) for layer in counterparts(i, group)])
    for layer in layers:
        if layer.weights and layers.count(layer) > 1:
            raise ValueError(f"layer {layer.name!r} has no counterpart in minicnn: it is used more than once")
    input_shape = source.inputs[0].shape[1:]
    if None in input_shape:
        raise ValueError(f"the model's input must have a fixed size, got {input_shape}")
    model.build(input_shape, dtype=next((weight.dtype for weight in source.weights), source.compute_dtype))
    copy_weights(source, model)
    variables = [variable for group in grouped for variable in group[-1].weights]
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
    if path.suffix != ".keras":  # HDF5 files of old can bring code past `safe_mode`
        raise ValueError(f"a file must be a .keras or a .weights.h5, got {path}")
    return keras.models.load_model(path, compile=False, safe_mode=True)
