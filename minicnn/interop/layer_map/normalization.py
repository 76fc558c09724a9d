"""Normalization."""

from typing import Any

import numpy as np

from minicnn.interop.layer_map.counterpart import (
    Counterpart,
    KerasSpec,
    OnnxGraph,
    Rows,
    require,
    require_last_axis,
)
from minicnn.layers import BatchNorm, GroupNorm, Layer, LayerNorm, LocalResponseNorm


def _settings(layer: BatchNorm | GroupNorm | LayerNorm) -> dict[str, Any]:
    return {"epsilon": layer.eps, "scale": layer.scale, "center": layer.center}


def _weights(layer: BatchNorm | GroupNorm | LayerNorm) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and shift, of 1 and 0 where they are not learned."""
    gamma = np.ones(layer.channels) if layer.gamma is None else layer.gamma.value
    beta = np.zeros(layer.channels) if layer.beta is None else layer.beta.value
    return gamma, beta


def _batch_norm_from_keras(norm: Any) -> list[Layer]:
    require_last_axis(norm)
    return [BatchNorm(norm.momentum, norm.epsilon, norm.scale, norm.center)]


def _batch_norm_to_onnx(graph: OnnxGraph, layer: BatchNorm) -> None:
    running = layer.running_mean.value, layer.running_var.value
    graph.node("BatchNormalization", *_weights(layer), *running, epsilon=layer.eps)


def _group_norm_from_keras(norm: Any) -> list[Layer]:
    require_last_axis(norm)
    groups = norm.input.shape[-1] if norm.groups == -1 else norm.groups
    return [GroupNorm(groups, norm.epsilon, norm.scale, norm.center)]


def _group_norm_to_onnx(graph: OnnxGraph, layer: GroupNorm) -> None:
    """As in ONNX's own definition: each group becomes a channel of an instance normalization."""
    *size, channels = layer.output_shape
    ones, zeros = np.ones(layer.groups), np.zeros(layer.groups)
    graph.node("Reshape", np.array([0, layer.groups, -1]))
    graph.node("InstanceNormalization", ones, zeros, epsilon=layer.eps)
    graph.node("Reshape", np.array([0, channels, *size]))
    for kind, weight in zip(("Mul", "Add"), _weights(layer), strict=True):
        graph.node(kind, weight.reshape(-1, *[1] * len(size)))


def _layer_norm_from_keras(norm: Any) -> list[Layer]:
    require(norm, rms_scaling=False)
    require_last_axis(norm)
    return [LayerNorm(norm.epsilon, norm.scale, norm.center)]


def _layer_norm_to_onnx(graph: OnnxGraph, layer: LayerNorm) -> None:
    graph.node("LayerNormalization", *_weights(layer), axis=-1, epsilon=layer.eps)


def _local_response_norm_to_keras(layer: LocalResponseNorm) -> list[KerasSpec]:
    settings = {"size": layer.size, "k": layer.k, "alpha": layer.alpha, "beta": layer.beta}
    return [("LocalResponseNorm", settings)]


def _local_response_norm_to_onnx(graph: OnnxGraph, layer: LocalResponseNorm) -> None:
    alpha = layer.size * layer.alpha  # ONNX's alpha is of the mean of the squares, not of their sum
    graph.node("LRN", size=layer.size, bias=layer.k, alpha=alpha, beta=layer.beta)


ROWS: Rows = {
    BatchNorm: Counterpart(
        to_keras=lambda layer: [("BatchNormalization", {"momentum": layer.momentum, **_settings(layer)})],
        from_keras={("BatchNormalization",): _batch_norm_from_keras},
        to_onnx=_batch_norm_to_onnx,
        onnx_channels="first",
    ),
    GroupNorm: Counterpart(
        to_keras=lambda layer: [("GroupNormalization", {"groups": layer.groups, **_settings(layer)})],
        from_keras={("GroupNormalization",): _group_norm_from_keras},
        to_onnx=_group_norm_to_onnx,
        onnx_channels="first",
    ),
    LayerNorm: Counterpart(
        to_keras=lambda layer: [("LayerNormalization", _settings(layer))],
        from_keras={("LayerNormalization",): _layer_norm_from_keras},
        to_onnx=_layer_norm_to_onnx,
        onnx_channels="last",
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
