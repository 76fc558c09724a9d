"""The nodes of a model's layers, in order."""

from minicnn.interop.layer_map import counterpart, flat_layers
from minicnn.interop.onnx.graph import Graph
from minicnn.layers import Layer


def append_nodes(graph: Graph, model: Layer, taps: bool = False) -> dict[str, tuple[int, ...]]:
    """Append the nodes of each layer; with `taps`, also outputs "layers.N": return their shapes by name.

    ValueError names the first layer without a counterpart in ONNX.
    """
    shapes = {}
    for name, layer in flat_layers(model):
        _append(graph, name, layer)
        if taps:
            shapes[f"layers.{name}"] = layer.output_shape
            graph.tap(f"layers.{name}", len(layer.output_shape) + 1)
    return shapes


def _append(graph: Graph, name: str, layer: Layer) -> None:
    kind = type(layer).__name__
    row = counterpart(layer)
    if row is None or row.to_onnx is None:
        raise ValueError(
            f"layer {name} ({kind}) has no counterpart in ONNX; a layer of your own can say what it is "
            f"there, by a method to_onnx(graph) or to_layers()"
        )
    ndim = len(layer.input_shape or ()) + 1
    if row.branches:
        _append_branches(graph, name, row.branches(layer), len(layer.output_shape) + 1)
    elif row.onnx_channels == "first":
        graph.channels_first(ndim)
    elif row.onnx_channels == "last":
        graph.channels_last(ndim)
    graph.scope = f"{name}_{kind}"
    row.to_onnx(graph, layer)


def _append_branches(graph: Graph, name: str, branches: list[list[Layer]], ndim: int) -> None:
    """Append the nodes of all branches; their outputs become the current values, in one layout."""
    start, first = graph.values, graph.first
    ends = []
    for i, branch in enumerate(branches):
        graph.values, graph.first = start, first
        for place, layer in flat_layers(branch, f"{name}.{i}"):
            _append(graph, place, layer)
        ends.append((graph.values, graph.first))
    everywhere_first = all(first for _, first in ends)
    outputs = []
    for i, (values, first) in enumerate(ends):
        graph.values, graph.first, graph.scope = values, first, f"{name}.{i}"
        if not everywhere_first:
            graph.channels_last(ndim)
        outputs += graph.values
    graph.values, graph.first = outputs, everywhere_first
