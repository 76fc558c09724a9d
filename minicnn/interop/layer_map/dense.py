"""Dense, and the layers that stand around it: Flatten and Dropout."""

from typing import Any

from minicnn.interop.layer_map.counterpart import (
    CHANNELS_LAST,
    Counterpart,
    KerasSpec,
    OnnxGraph,
    Rows,
    require,
)
from minicnn.layers import Dense, Dropout, Flatten, Layer


def _dense_to_onnx(graph: OnnxGraph, layer: Dense) -> None:
    graph.node("MatMul", layer.kernel.value)
    if layer.bias is not None:
        graph.node("Add", layer.bias.value)


def _dropout_to_keras(layer: Dropout) -> list[KerasSpec]:
    dropout: list[KerasSpec] = [("Dropout", {"rate": layer.rate})]
    return dropout if layer.inverted else [("Rescaling", {"scale": 1 - layer.rate}), *dropout]


def _dropout_from_keras(dropout: Any) -> list[Layer]:
    require(dropout, noise_shape=None)
    return [Dropout(dropout.rate)]


def _scaled_dropout_from_keras(scale: Any, dropout: Any) -> list[Layer]:
    require(scale, scale=1 - dropout.rate, offset=0)
    require(dropout, noise_shape=None)
    return [Dropout(dropout.rate, inverted=False)]


def _dropout_to_onnx(graph: OnnxGraph, layer: Dropout) -> None:
    if not layer.inverted:  # nothing is dropped in evaluation, but it is scaled
        graph.node("Mul", 1 - layer.rate)


ROWS: Rows = {
    Dense: Counterpart(
        to_keras=lambda layer: [("Dense", {"units": layer.units, "use_bias": layer.use_bias})],
        from_keras={("Dense",): lambda dense: [Dense(dense.units, dense.use_bias)]},
        to_onnx=_dense_to_onnx,
        onnx_channels="last",
    ),
    Flatten: Counterpart(
        to_keras=lambda layer: [("Flatten", CHANNELS_LAST)],
        from_keras={("Flatten",): lambda flatten: [Flatten()]},
        to_onnx=lambda graph, layer: graph.node("Flatten", axis=1),
        onnx_channels="last",
    ),
    Dropout: Counterpart(
        to_keras=_dropout_to_keras,
        from_keras={
            ("Dropout",): _dropout_from_keras,
            ("Rescaling", "Dropout"): _scaled_dropout_from_keras,
        },
        to_onnx=_dropout_to_onnx,
    ),
}
