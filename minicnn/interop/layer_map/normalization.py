"""Normalization."""

from __future__ import annotations

from typing import Any

from minicnn.interop.layer_map.counterpart import (
    Counterpart,
    KerasSpec,
    OnnxGraph,
    Rows,
    require,
    require_last_axis,
)
from minicnn.layers import BatchNorm, Layer, LocalResponseNorm


def _batch_norm_from_keras(norm: Any) -> list[Layer]:
    require(norm, scale=True, center=True)
    require_last_axis(norm)
    return [BatchNorm(norm.momentum, norm.epsilon)]


def _batch_norm_to_onnx(graph: OnnxGraph, layer: BatchNorm) -> None:
    weights = (layer.gamma, layer.beta, layer.running_mean, layer.running_var)
    graph.node("BatchNormalization", *(weight.value for weight in weights), epsilon=layer.eps)


def _local_response_norm_to_keras(layer: LocalResponseNorm) -> list[KerasSpec]:
    settings = {"size": layer.size, "k": layer.k, "alpha": layer.alpha, "beta": layer.beta}
    return [("LocalResponseNorm", settings)]


def _local_response_norm_to_onnx(graph: OnnxGraph, layer: LocalResponseNorm) -> None:
    alpha = layer.size * layer.alpha  # ONNX's alpha is of the mean of the squares, not of their sum
    graph.node("LRN", size=layer.size, bias=layer.k, alpha=alpha, beta=layer.beta)


ROWS: Rows = {
    BatchNorm: Counterpart(
        to_keras=lambda layer: [("BatchNormalization", {"momentum": layer.momentum, "epsilon": layer.eps})],
        from_keras={("BatchNormalization",): _batch_norm_from_keras},
        to_onnx=_batch_norm_to_onnx,
        onnx_channels="first",
    ),
    LocalResponseNorm: Counterpart(
        to_keras=_local_response_norm_to_keras,
        from_keras={
            ("LocalResponseNorm",): lambda norm: [LocalResponseNorm(norm.size, norm.k, norm.alpha, norm.beta)]
        },
        to_onnx=_local_response_norm_to_onnx,
        onnx_channels="first",
    ),
}
