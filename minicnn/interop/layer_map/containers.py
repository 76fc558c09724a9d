"""Layers made of branches. In Keras and ONNX, branches are part of the graph, and one layer joins them."""

from typing import Any

from minicnn.interop.layer_map.counterpart import Counterpart, Rows, require_last_axis
from minicnn.layers import Concatenate, Layer, Residual


def _residual_from_keras(add: Any, branches: list[list[Layer]]) -> list[Layer]:
    if len(branches) != 2:
        raise ValueError(f"a Residual adds two inputs, this one has {len(branches)}")
    layers, shortcut = branches if branches[0] else branches[::-1]
    return [Residual(layers, shortcut or None)]


def _concatenate_from_keras(concatenate: Any, branches: list[list[Layer]]) -> list[Layer]:
    require_last_axis(concatenate)
    return [Concatenate(branches)]


ROWS: Rows = {
    Residual: Counterpart(
        to_keras=lambda layer: [("Add", {})],
        from_keras={("Add",): _residual_from_keras},
        to_onnx=lambda graph, layer: graph.node("Add"),
        branches=Residual.branch_layers,
    ),
    Concatenate: Counterpart(
        to_keras=lambda layer: [("Concatenate", {"axis": -1})],
        from_keras={("Concatenate",): _concatenate_from_keras},
        to_onnx=lambda graph, layer: graph.node("Concat", axis=1 if graph.first else -1),
        branches=Concatenate.branch_layers,
    ),
}
