"""The layers of the LeNet-5 of 1998, which Keras lacks."""

import numpy as np

from minicnn.interop.layer_map.counterpart import Counterpart, OnnxGraph, Rows
from minicnn.models.historic.lenet5_1998 import PartialConv2D, Subsample


def _partial_conv2d_to_onnx(graph: OnnxGraph, layer: PartialConv2D) -> None:
    kernel = layer._full_kernel(np.dtype(np.float32)).transpose(3, 2, 0, 1)
    graph.node("Conv", kernel, layer.bias.value)


def _subsample_to_onnx(graph: OnnxGraph, layer: Subsample) -> None:
    graph.node("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    graph.node("Mul", 4 * layer.factor.value.reshape(-1, 1, 1))
    graph.node("Add", layer.bias.value.reshape(-1, 1, 1))


ROWS: Rows = {
    PartialConv2D: Counterpart(to_onnx=_partial_conv2d_to_onnx, onnx_channels="first"),
    Subsample: Counterpart(to_onnx=_subsample_to_onnx, onnx_channels="first"),
}
