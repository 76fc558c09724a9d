"""A row of the layer map, and the functions that rows share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from minicnn.layers import Layer
from minicnn.ops.padding import Pair, pair, resolve_padding

KerasSpec = tuple[str, dict[str, Any]]  # the name of a Keras layer, and its arguments
CHANNELS_LAST: dict[str, Any] = {"data_format": "channels_last"}  # whatever the user's Keras is configured to


class OnnxGraph(Protocol):
    """The part of `minicnn.interop.onnx.graph.Graph` that rows use."""

    values: list[str]
    first: bool

    def node(self, kind: str, *weights: Any, **attributes: Any) -> None:
        """Append a node that takes the current values, with arrays as its further inputs."""


@dataclass(frozen=True)
class Counterpart:
    """What a layer is in Keras and in ONNX.

    Attributes
    ----------
    to_keras : callable, optional
        `f(layer)` returns the specs of the Keras layers to call one after the other; the last one holds the
        weights. It raises ValueError for settings that Keras lacks.
    from_keras : mapping
        By the names of the Keras layers that are replaced together, in order: `f(*keras_layers)` returns
        ours. For a Keras layer that joins branches, `f(keras_layer, branches)` with the layers of each.
    keras_activations : mapping
        By the name of a function in `keras.activations`: makes the layer.
    to_onnx : callable, optional
        `f(graph, layer)` appends the layer's nodes.
    onnx_channels : {"first", "last"}, optional
        Where these nodes need the channels; None if it makes no difference.
    branches : callable, optional
        For a layer made of branches, `f(layer)` returns the layers of each. `to_keras` and `to_onnx` are then
        those of the layer that joins their outputs, which are its inputs.
    """

    to_keras: Callable[[Any], list[KerasSpec]] | None = None
    from_keras: Mapping[tuple[str, ...], Callable[..., list[Layer]]] = field(default_factory=dict)
    keras_activations: Mapping[str, Callable[[], Layer]] = field(default_factory=dict)
    to_onnx: Callable[[OnnxGraph, Any], None] | None = None
    onnx_channels: Literal["first", "last"] | None = None
    branches: Callable[[Any], list[list[Layer]]] | None = None


Rows = dict[type[Layer], Counterpart]


def require(keras_layer: Any, **settings: Any) -> None:
    """Raise ValueError unless a Keras layer has these settings, or lacks the attribute."""
    for name, wanted in settings.items():
        got = getattr(keras_layer, name, wanted)
        if got != wanted:
            raise ValueError(f"`{name}` must be {wanted!r}, got {got!r}")


def require_last_axis(keras_layer: Any) -> None:
    """Raise ValueError unless a Keras layer works along the last axis."""
    axis = keras_layer.axis
    if axis not in (-1, [-1], last := len(keras_layer.output.shape) - 1, [last]):
        raise ValueError(f"`axis` must be the last, got {axis}")


def activation_name(keras_layer: Any) -> str:
    """Return the name of the function in `keras.activations` that a Keras layer applies, or ""."""
    function = keras_layer.activation
    # By the name alone, a function of the user's own that is called "relu" would pass.
    is_known = getattr(function, "__module__", "").split(".")[0] in ("keras", "tensorflow")
    return getattr(function, "__name__", "") if is_known else ""


def short(sizes: Pair) -> int | Pair:
    """Return (3, 3) as 3, which reads better in the layer's `repr`."""
    return sizes[0] if sizes[0] == sizes[1] else sizes


def onnx_windows(layer: Any, span: Pair) -> dict[str, Any]:
    """Return the ONNX strides and pads of a layer whose windows span this many rows and columns."""
    strides = span if layer.strides is None else pair(layer.strides, "strides")
    (top, bottom), (left, right) = resolve_padding(layer.padding, layer.input_shape[:2], span, strides)
    return {"strides": strides, "pads": [top, left, bottom, right]}


def channel_values(graph: OnnxGraph, values: Any) -> np.ndarray:
    """Return one value for each channel, or for each value of an example, as the graph's layout has them."""
    values = np.asarray(values, np.float32)
    if graph.first and values.ndim:
        values = values.reshape(*(1,) * (3 - values.ndim), *values.shape).transpose(2, 0, 1)
    return values
