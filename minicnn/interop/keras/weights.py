"""Weights from a model here to one in Keras, and back."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np

from minicnn.interop.keras.to_keras import leaves
from minicnn.layers import Layer

_COUNTERPARTS = {"Conv2D": "Conv2D", "Dense": "Dense", "BatchNorm": "BatchNormalization"}


def copy_weights(source: Layer | keras.Model, target: Layer | keras.Model) -> None:
    """Copy all weights of one model into another; either may be ours or Keras's.

    Layers that have weights are paired in order; the others do not matter, so that a net of logits and one
    that ends with a softmax, or one whose activations are inside its layers, match. No array is transposed:
    shapes are Keras's everywhere. All weights are copied or, on an error, none.

    Parameters
    ----------
    source : Layer or keras.Model
        A built model.
    target : Layer or keras.Model
        A built model; values are cast to its dtype.

    Raises
    ------
    RuntimeError
        If a model of ours has not been built.
    ValueError
        If a layer has no counterpart: other kind, other shapes, or nothing left. It names the first.

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
        taker.set_weights(giver.get_weights())


def _weighted(model: Layer | keras.Model) -> Iterator[tuple[str, Layer | keras.Layer]]:
    """Yield the layers that have weights, in order, each with a name for messages."""
    if isinstance(model, Layer):
        if model.input_shape is None:
            raise RuntimeError(
                "a model must be built before weights are copied: call build(input_shape) first"
            )
        for place, layer in leaves(model):
            if layer.parameters():
                yield f"layer {place} ({type(layer).__name__})", layer
        return
    if not isinstance(model, keras.Model):
        raise TypeError(f"weights go between models, of minicnn's or of Keras's, got {type(model).__name__}")
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _weighted(layer)
        elif layer.weights:
            yield f"layer {layer.name!r} ({type(layer).__name__})", layer


def _check(name: str, giver: Layer | keras.Layer, other: str, taker: Layer | keras.Layer) -> None:
    """Raise unless the two layers are of one kind and have weights of the same shapes."""
    kinds = [_COUNTERPARTS.get(type(x).__name__, type(x)) for x in (giver, taker) if isinstance(x, Layer)]
    kinds += [type(x).__name__ for x in (giver, taker) if not isinstance(x, Layer)]
    if kinds[0] != kinds[1]:
        raise ValueError(f"{name} has no counterpart: in its place the target has {other}")
    shapes = [[np.shape(weight) for weight in layer.get_weights()] for layer in (giver, taker)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"{name} has no counterpart: its weights have shapes {shapes[0]}, those of {other} {shapes[1]}"
        )
