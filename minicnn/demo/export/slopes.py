"""The derivatives of elementwise layers, as data for the JavaScript of a static copy."""

from collections.abc import Callable
from typing import Any

from minicnn.layers import Dropout, Layer, LeakyReLU, ReLU, Rescaling, Sigmoid, Tanh

Slope = dict[str, Any]


def slope_of(layer: Layer) -> Slope | None:
    """Return the derivative of an elementwise layer, by input or output; None if the browser has none."""
    slope = _SLOPES.get(type(layer))
    return None if slope is None else slope(layer)


def _linear(below: float, above: float) -> Slope:
    """Return the slope of a function that is linear below and above 0."""
    return {"kind": "linear", "below": below, "above": above}


_SLOPES: dict[type[Layer], Callable[[Any], Slope | None]] = {
    Dropout: lambda layer: _linear(*[1 if layer.inverted else 1 - layer.rate] * 2),
    LeakyReLU: lambda layer: _linear(layer.slope, 1),
    ReLU: lambda layer: _linear(0, 1),
    Rescaling: lambda layer: _linear(*[layer.scale] * 2) if isinstance(layer.scale, float) else None,
    Sigmoid: lambda layer: {"kind": "sigmoid"},
    Tanh: lambda layer: {"kind": "tanh", "amplitude": layer.amplitude, "steepness": layer.steepness},
}
