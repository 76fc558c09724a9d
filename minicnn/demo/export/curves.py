"""Elementwise layers as data for the JavaScript of a static copy, which has their functions and slopes."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.demo.export.weights import Weights
from minicnn.layers import (
    ELU,
    GELU,
    Dropout,
    Layer,
    LeakyReLU,
    PReLU,
    ReLU,
    Rescaling,
    Sigmoid,
    SiLU,
    Tanh,
)

Curve = dict[str, Any]


def curve_of(layer: Layer, weights: Weights) -> Curve:
    """Return the kind of an elementwise layer's function, and its numbers; arrays go to the weights."""
    return _CURVES[type(layer)](layer, weights)


def _linear(below: float, above: float) -> Curve:
    """Return a function that is linear below and above 0."""
    return {"kind": "linear", "below": below, "above": above}


def _dropout(layer: Dropout, weights: Weights) -> Curve:
    factor = 1 if layer.inverted else 1 - layer.rate
    return _linear(factor, factor)


def _prelu(layer: PReLU, weights: Weights) -> Curve:
    slopes = layer.slope.value
    return {"kind": "prelu", "slopes": weights.add(slopes), "count": slopes.size}


def _rescaling(layer: Rescaling, weights: Weights) -> Curve:
    count = layer.output_shape[-1]
    scale, offset = (weights.add(np.broadcast_to(n, count)) for n in (layer.scale, layer.offset))
    return {"kind": "affine", "scale": scale, "offset": offset, "count": count}


def _tanh(layer: Tanh, weights: Weights) -> Curve:
    return {"kind": "tanh", "amplitude": layer.amplitude, "steepness": layer.steepness}


_CURVES: dict[type[Layer], Callable[[Any, Weights], Curve]] = {
    Dropout: _dropout,
    ELU: lambda layer, weights: {"kind": "elu", "alpha": layer.alpha},
    GELU: lambda layer, weights: {"kind": "geluOfTanh" if layer.approximate else "gelu"},
    LeakyReLU: lambda layer, weights: _linear(layer.slope, 1),
    PReLU: _prelu,
    ReLU: lambda layer, weights: _linear(0, 1),
    Rescaling: _rescaling,
    SiLU: lambda layer, weights: {"kind": "silu"},
    Sigmoid: lambda layer, weights: {"kind": "sigmoid"},
    Tanh: _tanh,
}
