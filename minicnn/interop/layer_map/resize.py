"""Zero padding, upsampling and rescaling."""

from typing import Any

import numpy as np

from minicnn.interop.layer_map.counterpart import (
    CHANNELS_LAST,
    Counterpart,
    OnnxGraph,
    Rows,
    channel_values,
    require,
    short,
)
from minicnn.layers import Layer, Rescaling, Upsampling2D, ZeroPadding2D
from minicnn.layers.resize import zero_pads
from minicnn.ops.padding import pair


def _padding_to_onnx(graph: OnnxGraph, layer: ZeroPadding2D) -> None:
    (top, bottom), (left, right) = zero_pads(layer.padding)
    graph.node("Pad", np.array([0, 0, top, left, 0, 0, bottom, right]))


def _upsampling_from_keras(upsampling: Any) -> list[Layer]:
    require(upsampling, interpolation="nearest")
    return [Upsampling2D(short(upsampling.size))]


def _upsampling_to_onnx(graph: OnnxGraph, layer: Upsampling2D) -> None:
    settings = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    scales = [1.0, 1.0, *map(float, pair(layer.size, "size"))]
    graph.node("Resize", np.zeros(0, np.float32), scales, mode="nearest", **settings)


def _rescaling_from_keras(rescaling: Any) -> list[Layer]:
    return [Rescaling(rescaling.scale, rescaling.offset)]


def _rescaling_to_onnx(graph: OnnxGraph, layer: Rescaling) -> None:
    graph.node("Mul", channel_values(graph, layer.scale))
    if np.any(layer.offset):
        graph.node("Add", channel_values(graph, layer.offset))


ROWS: Rows = {
    ZeroPadding2D: Counterpart(
        to_keras=lambda layer: [("ZeroPadding2D", {"padding": zero_pads(layer.padding), **CHANNELS_LAST})],
        from_keras={("ZeroPadding2D",): lambda zeros: [ZeroPadding2D(zeros.padding)]},
        to_onnx=_padding_to_onnx,
        onnx_channels="first",
    ),
    Upsampling2D: Counterpart(
        to_keras=lambda layer: [("UpSampling2D", {"size": pair(layer.size, "size"), **CHANNELS_LAST})],
        from_keras={("UpSampling2D",): _upsampling_from_keras},
        to_onnx=_upsampling_to_onnx,
        onnx_channels="first",
    ),
    Rescaling: Counterpart(
        to_keras=lambda layer: [("Rescaling", {"scale": layer.scale, "offset": layer.offset})],
        from_keras={("Rescaling",): _rescaling_from_keras},
        to_onnx=_rescaling_to_onnx,
    ),
}
