"""Copying weights between minicnn and Keras models."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from minicnn.interop.keras import topology
from minicnn.interop.layer_map import counterpart, leaf_layers
from minicnn.layers import Layer


def copy_weights(source: Layer | keras.Model, target: Layer | keras.Model) -> None:
    """Copy all weights of one model into another; each may be a minicnn or a Keras model.

    Layers with weights are paired in order. Other layers do not matter: a model that ends with logits matches
    one that ends with a softmax, and activations may be layers or arguments of layers. No array is
    transposed, since minicnn has Keras's shapes. On an error, nothing is copied.

    Parameters
    ----------
    source : Layer or keras.Model
        A built model.
    target : Layer or keras.Model
        A built model; values are cast to its dtype.

    Raises
    ------
    RuntimeError
        If a minicnn model is not built.
    ValueError
        If a layer has no counterpart: another kind, other shapes, or no layer left. The message names the
        first.

    Examples
    --------
    >>> import keras
    >>> from minicnn import Dense
    >>> twin = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> ours = Dense(2).build((3,), rng=0)
    >>> copy_weights(ours, twin)
    >>> bool((twin.get_weights()[0] == ours.kernel.value).all())
    True
    """
    givers, takers = list(_weighted(source)), list(_weighted(target))
    for i, (name, layer) in enumerate(givers):
        if i == len(takers):
            raise ValueError(f"{name} has no counterpart: the target has no more layers with weights")
        _check(name, layer, *takers[i])
    if len(takers) > len(givers):
        name = takers[len(givers)][0]
        raise ValueError(
            f"{name} of the target has no counterpart: the source has no more layers with weights"
        )
    for (_, giver), (_, taker) in zip(givers, takers, strict=True):
        set_weights(taker, giver.get_weights())


def set_weights(layer: Layer | keras.Layer, weights: list[np.ndarray]) -> None:
    """Copy arrays into a layer; their shapes may differ by leading axes of length 1, as PReLU's slopes do."""
    shapes, given = ([np.shape(weight) for weight in each] for each in (layer.get_weights(), weights))
    if [*map(_without_ones, shapes)] != [*map(_without_ones, given)]:
        raise ValueError(f"weights of shapes {given} do not fit {type(layer).__name__}, which has {shapes}")
    layer.set_weights([w.reshape(shape) for w, shape in zip(weights, shapes, strict=True)])


def _weighted(model: Layer | keras.Model) -> Iterator[tuple[str, Layer | keras.Layer]]:
    """Yield the layers that have weights, in order, each with its name in messages."""
    if isinstance(model, Layer):
        if model.input_shape is None:
            raise RuntimeError("the model is not built, so it has no weights: call build(input_shape) first")
        for place, layer in leaf_layers(model):
            if layer.parameters():
                yield f"layer {place} ({type(layer).__name__})", layer
        return
    if not isinstance(model, keras.Model):
        raise TypeError(f"models must be minicnn or Keras models, got {type(model).__name__}")
    for layer in _keras_layers(model):
        if layer.weights:
            yield f"layer {layer.name!r} ({type(layer).__name__})", layer


def _keras_layers(model: keras.Model) -> list[keras.Layer]:
    """Return the layers of a model, in the order in which `from_keras` reads them."""
    try:
        steps = topology.leaf_layers(topology.ordered_layers(model))
        # A layer that is called twice is listed once, an operation such as keras.ops.exp never.
        return [layer for layer in dict.fromkeys(steps) if isinstance(layer, keras.Layer)]
    except ValueError:  # a graph that cannot be converted; its layers still have an order
        nested = (_keras_layers(each) if isinstance(each, keras.Model) else [each] for each in model.layers)
        return [layer for layers in nested for layer in layers]


def _kind(layer: Layer | keras.Layer) -> str | type[Layer]:
    """Return the name of the Keras layer that has a layer's weights, or the class if there is none."""
    if not isinstance(layer, Layer):
        return type(layer).__name__
    row = counterpart(layer)
    if row and row.to_keras and hasattr(layer, "to_keras"):
        last: Any = row.to_keras(layer)[-1]
        return type(last).__name__ if isinstance(last, keras.Layer) else str(last[0])
    return next(iter(row.from_keras))[-1] if row and row.from_keras else type(layer)


def _check(name: str, giver: Layer | keras.Layer, other: str, taker: Layer | keras.Layer) -> None:
    """Raise unless the two layers are of one kind and have weights of the same shapes."""
    if _kind(giver) != _kind(taker):
        raise ValueError(f"{name} has no counterpart: in its place the target has {other}")
    shapes = [[np.shape(weight) for weight in layer.get_weights()] for layer in (giver, taker)]
    if [*map(_without_ones, shapes[0])] != [*map(_without_ones, shapes[1])]:
        raise ValueError(
            f"{name} has no counterpart: its weights have shapes {shapes[0]}, those of {other} {shapes[1]}"
        )


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape without leading axes of length 1."""
    return shape if shape[:1] != (1,) else _without_ones(shape[1:])
