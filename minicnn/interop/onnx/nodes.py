"""The nodes of a model's layers, in order."""

import contextlib
from typing import Any

import numpy as np

from minicnn.errors import noted
from minicnn.interop.layer_map import counterpart, flat_layers
from minicnn.interop.layer_map.own import check_counterpart
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
    if hasattr(layer, "to_onnx"):  # one of the user's own
        try:
            _check_own(f"layer {name} ({kind})", layer, graph.first)
        except ValueError as error:
            hint = "; here the channels are first: `onnx_channels = 'last'` in the class moves them"
            raise ValueError(f"{error}{hint if graph.first and not row.onnx_channels else ''}") from error
    row.to_onnx(graph, layer)


def _check_own(called: str, layer: Any, first: bool) -> None:
    """Raise ValueError unless the nodes of a layer of the user's own compute what it does.

    Its input has the channels first or last, as the layers before it have left them.
    """
    from onnx.reference import ReferenceEvaluator  # here, since it takes long to import

    graph = Graph()
    if first:
        graph.channels_first(len(layer.input_shape) + 1)
    with noted(f"in `to_onnx` of {called}"):
        layer.to_onnx(graph)
    try:
        proto = graph.model(layer.input_shape, {"y": layer.output_shape})
    except ValueError as error:
        raise ValueError(f"`to_onnx` of {called}: {error}") from error
    reference = ReferenceEvaluator(proto)

    def compute(x: np.ndarray) -> Any:
        outputs: Any = reference.run(["y"], {"x": x.astype(np.float32)})
        return outputs[0]

    with contextlib.suppress(NotImplementedError):  # an operator that onnx itself cannot compute
        check_counterpart(called, layer, "to_onnx", compute)


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
