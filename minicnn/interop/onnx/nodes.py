"""The nodes of a model's layers, in order."""

from __future__ import annotations

from minicnn.interop.layer_map import LAYER_MAP, flat_layers
from minicnn.interop.onnx.graph import Graph
from minicnn.layers import Layer


def append_nodes(graph: Graph, model: Layer) -> None:
    """Append the nodes of each layer; ValueError names the first layer without a counterpart in ONNX."""
    for name, layer in flat_layers(model):
        kind = type(layer).__name__
        row = LAYER_MAP.get(type(layer))
        if row is None or row.to_onnx is None:
            raise ValueError(f"layer {name} ({kind}) has no counterpart in ONNX")
        graph.scope = f"{name}_{kind}"
        ndim = len(layer.input_shape or ()) + 1
        if row.onnx_channels == "first":
            graph.channels_first(ndim)
        elif row.onnx_channels == "last":
            graph.channels_last(ndim)
        row.to_onnx(graph, layer)
