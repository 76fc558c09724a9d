"""The nodes that each of our layers becomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.interop.onnx.graph import Graph
from minicnn.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    Layer,
    LeakyReLU,
    LocalResponseNorm,
    Pool2D,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from minicnn.models.historic.lenet5_1998 import PartialConv2D, Subsample
from minicnn.ops.padding import Pair, pair, resolve_padding


def write(graph: Graph, layer: Layer, name: str = "") -> None:
    """Add a layer; of a Sequential, each of its own."""
    if isinstance(layer, Sequential):
        for i, inner in enumerate(layer):
            write(graph, inner, f"{name}.{i}" if name else f"{i}")
        return
    kind = type(layer)
    if kind not in _WRITERS:
        raise ValueError(f"layer {name or 0} ({kind.__name__}) has no counterpart in ONNX")
    graph.place = f"{name or 0}_{kind.__name__}"
    ndim = len(layer.input_shape or ()) + 1
    if kind in _CHANNELS_FIRST:
        graph.channels_first(ndim)
    elif kind in _CHANNELS_LAST:
        graph.channels_last(ndim)
    _WRITERS[kind](graph, layer)


def _conv2d(graph: Graph, layer: Conv2D) -> None:
    kernel = layer.kernel.value
    dilation = pair(layer.dilation, "dilation")
    span = tuple((k - 1) * d + 1 for k, d in zip(kernel.shape[:2], dilation, strict=True))
    graph.node(
        "Conv",
        kernel.transpose(3, 2, 0, 1),
        *([] if layer.bias is None else [layer.bias.value]),
        kernel_shape=kernel.shape[:2],
        **_windows(layer, (span[0], span[1])),
        dilations=dilation,
        group=layer.groups,
    )


def _windows(layer: Any, span: Pair) -> dict[str, Any]:
    """Return strides and pads of a layer whose windows span so many rows and columns."""
    strides = span if layer.strides is None else pair(layer.strides, "strides")
    (top, bottom), (left, right) = resolve_padding(layer.padding, layer.input_shape[:2], span, strides)
    return {"strides": strides, "pads": [top, left, bottom, right]}


def _pool2d(graph: Graph, layer: Pool2D) -> None:
    window = pair(layer.pool_size, "pool_size")
    geometry = {"kernel_shape": window, **_windows(layer, window)}
    if layer.mode == "max":
        graph.node("MaxPool", **geometry)
    else:
        graph.node("AveragePool", **geometry, count_include_pad=0)


def _partial_conv2d(graph: Graph, layer: PartialConv2D) -> None:
    kernel = layer._full_kernel(np.dtype(np.float32)).transpose(3, 2, 0, 1)
    graph.node("Conv", kernel, layer.bias.value)


def _subsample(graph: Graph, layer: Subsample) -> None:
    graph.node("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    graph.node("Mul", 4 * layer.factor.value.reshape(-1, 1, 1))
    graph.node("Add", layer.bias.value.reshape(-1, 1, 1))


def _dense(graph: Graph, layer: Dense) -> None:
    graph.node("MatMul", layer.kernel.value)
    if layer.bias is not None:
        graph.node("Add", layer.bias.value)


def _tanh(graph: Graph, layer: Tanh) -> None:
    if layer.steepness != 1:
        graph.node("Mul", layer.steepness)
    graph.node("Tanh")
    if layer.amplitude != 1:
        graph.node("Mul", layer.amplitude)


def _batch_norm(graph: Graph, layer: BatchNorm) -> None:
    weights = (layer.gamma, layer.beta, layer.running_mean, layer.running_var)
    graph.node("BatchNormalization", *(weight.value for weight in weights), epsilon=layer.eps)


def _local_response_norm(graph: Graph, layer: LocalResponseNorm) -> None:
    alpha = layer.size * layer.alpha  # ONNX has it of the squares' mean, not of their sum
    graph.node("LRN", size=layer.size, bias=layer.k, alpha=alpha, beta=layer.beta)


def _dropout(graph: Graph, layer: Dropout) -> None:
    if not layer.inverted:  # nothing is dropped in evaluation, but it is scaled
        graph.node("Mul", 1 - layer.rate)


def _global_average(graph: Graph, layer: GlobalAveragePool2D) -> None:
    graph.node("GlobalAveragePool")
    graph.node("Flatten", axis=1)
    graph.first = False


_CHANNELS_FIRST = {
    Conv2D,
    Pool2D,
    GlobalAveragePool2D,
    BatchNorm,
    LocalResponseNorm,
    PartialConv2D,
    Subsample,
}
_CHANNELS_LAST = {Dense, Flatten, Softmax}  # for all others it makes no difference
_WRITERS: dict[type[Layer], Callable[[Graph, Any], None]] = {
    Conv2D: _conv2d,
    Pool2D: _pool2d,
    Dense: _dense,
    Tanh: _tanh,
    BatchNorm: _batch_norm,
    LocalResponseNorm: _local_response_norm,
    Dropout: _dropout,
    GlobalAveragePool2D: _global_average,
    PartialConv2D: _partial_conv2d,
    Subsample: _subsample,
    Flatten: lambda graph, layer: graph.node("Flatten", axis=1),
    ReLU: lambda graph, layer: graph.node("Relu"),
    LeakyReLU: lambda graph, layer: graph.node("LeakyRelu", alpha=layer.slope),
    Sigmoid: lambda graph, layer: graph.node("Sigmoid"),
    Softmax: lambda graph, layer: graph.node("Softmax", axis=-1),
}
