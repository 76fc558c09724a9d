"""ONNX files of our models, for onnxruntime and whatever else reads them. Writing only."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

import minicnn
from minicnn.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    Layer,
    LeakyReLU,
    Pool2D,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from minicnn.models.lenet5_1998 import PartialConv2D, Subsample
from minicnn.ops.padding import Pair, pair, resolve_padding
from minicnn.training.weights import write_atomically

try:
    import onnx
    from onnx import helper, numpy_helper
except ImportError as error:
    raise ImportError(f"ONNX files need onnx: pip install 'minicnn[onnx]' ({error})") from error

_OPSET, _IR = 17, 8  # of 2022: whatever reads ONNX today reads these


def save_onnx(model: Layer, path: str | os.PathLike[str]) -> None:
    """Write a built model as an ONNX file, see `to_onnx`; it is replaced as a whole or not at all."""
    write_atomically(path, to_onnx(model).SerializeToString())


def to_onnx(model: Layer) -> onnx.ModelProto:
    """Return a built model in ONNX's form, as it is in evaluation mode, checked by `onnx.checker`.

    Input "x" and output "y" are as here, (N, H, W, C) and (N, ...), with any N; inside, images are
    (N, C, H, W) as ONNX has them. All is float32: onnxruntime has no float64 convolution for CPUs.

    Parameters
    ----------
    model : Layer
        A built `Sequential`, or a layer alone.

    Raises
    ------
    RuntimeError
        If the model has not been built.
    ValueError
        If a layer cannot be written (one of your own); it names the first.

    Examples
    --------
    >>> from minicnn.models import lenet5
    >>> graph = to_onnx(lenet5().build((28, 28, 1), rng=0)).graph
    >>> [node.op_type for node in graph.node][:5]
    ['Transpose', 'Conv', 'Relu', 'MaxPool', 'Conv']
    """
    if model.input_shape is None:
        raise RuntimeError("a model must be built before it is exported: call build(input_shape) first")
    graph = _Graph()
    graph.layer(model, "")
    graph.channels_last(len(model.output_shape) + 1)
    graph.node("Identity", output="y")
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", *shape])
        for name, shape in (("x", model.input_shape), ("y", model.output_shape))
    ]
    proto = helper.make_model(
        helper.make_graph(graph.nodes, "minicnn", ends[:1], ends[1:], graph.weights),
        producer_name="minicnn",
        producer_version=minicnn.__version__,
        ir_version=_IR,
        opset_imports=[helper.make_opsetid("", _OPSET)],
    )
    onnx.checker.check_model(proto, full_check=True)
    return proto


class _Graph:
    """Nodes in a row: each takes what the one before gave.

    `first` says where the channels are now: first, as convolutions and poolings want them, or last, as they
    are outside. They are moved only when the next layer needs it.
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.value, self.first, self.place = "x", False, ""

    def node(self, kind: str, *weights: Any, output: str | None = None, **attributes: Any) -> None:
        """Add a node that takes the value so far, and arrays as its further inputs."""
        name = f"{self.place}/{kind}_{len(self.nodes)}".lstrip("/")
        inputs = [self.value]
        for i, weight in enumerate(weights):
            inputs.append(f"{name}/{i}")
            self.weights.append(numpy_helper.from_array(np.asarray(weight, np.float32), inputs[-1]))
        self.value = output or f"{name}/y"
        self.nodes.append(helper.make_node(kind, inputs, [self.value], name, **attributes))

    def channels_first(self, ndim: int) -> None:
        """See to it that the channels come right after the examples."""
        if not self.first and ndim > 2:
            self.node("Transpose", perm=[0, ndim - 1, *range(1, ndim - 1)])
            self.first = True

    def channels_last(self, ndim: int) -> None:
        """See to it that the channels come last."""
        if self.first and ndim > 2:
            self.node("Transpose", perm=[0, *range(2, ndim), 1])
        self.first = False

    def layer(self, layer: Layer, name: str) -> None:
        """Add a layer; of a Sequential, each of its own."""
        if isinstance(layer, Sequential):
            for i, inner in enumerate(layer):
                self.layer(inner, f"{name}.{i}" if name else f"{i}")
            return
        kind = type(layer)
        if kind not in _WRITERS:
            raise ValueError(f"layer {name or 0} ({kind.__name__}) has no counterpart in ONNX")
        self.place = f"{name or 0}_{kind.__name__}"
        ndim = len(layer.input_shape or ()) + 1
        if kind in _CHANNELS_FIRST:
            self.channels_first(ndim)
        elif kind in _CHANNELS_LAST:
            self.channels_last(ndim)
        _WRITERS[kind](self, layer)


def _conv2d(graph: _Graph, layer: Conv2D) -> None:
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


def _pool2d(graph: _Graph, layer: Pool2D) -> None:
    window = pair(layer.pool_size, "pool_size")
    geometry = {"kernel_shape": window, **_windows(layer, window)}
    if layer.mode == "max":
        graph.node("MaxPool", **geometry)
    else:
        graph.node("AveragePool", **geometry, count_include_pad=0)


def _partial_conv2d(graph: _Graph, layer: PartialConv2D) -> None:
    kernel = layer._full_kernel(np.dtype(np.float32)).transpose(3, 2, 0, 1)
    graph.node("Conv", kernel, layer.bias.value)


def _subsample(graph: _Graph, layer: Subsample) -> None:
    graph.node("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    graph.node("Mul", 4 * layer.factor.value.reshape(-1, 1, 1))
    graph.node("Add", layer.bias.value.reshape(-1, 1, 1))


def _dense(graph: _Graph, layer: Dense) -> None:
    graph.node("MatMul", layer.kernel.value)
    if layer.bias is not None:
        graph.node("Add", layer.bias.value)


def _tanh(graph: _Graph, layer: Tanh) -> None:
    if layer.steepness != 1:
        graph.node("Mul", layer.steepness)
    graph.node("Tanh")
    if layer.amplitude != 1:
        graph.node("Mul", layer.amplitude)


def _batch_norm(graph: _Graph, layer: BatchNorm) -> None:
    weights = (layer.gamma, layer.beta, layer.running_mean, layer.running_var)
    graph.node("BatchNormalization", *(weight.value for weight in weights), epsilon=layer.eps)


def _global_average(graph: _Graph, layer: GlobalAveragePool2D) -> None:
    graph.node("GlobalAveragePool")
    graph.node("Flatten", axis=1)
    graph.first = False


_CHANNELS_FIRST = {Conv2D, Pool2D, GlobalAveragePool2D, BatchNorm, PartialConv2D, Subsample}
_CHANNELS_LAST = {Dense, Flatten, Softmax}  # for all others it makes no difference
_WRITERS: dict[type[Layer], Callable[[_Graph, Any], None]] = {
    Conv2D: _conv2d,
    Pool2D: _pool2d,
    Dense: _dense,
    Tanh: _tanh,
    BatchNorm: _batch_norm,
    GlobalAveragePool2D: _global_average,
    PartialConv2D: _partial_conv2d,
    Subsample: _subsample,
    Flatten: lambda graph, layer: graph.node("Flatten", axis=1),
    ReLU: lambda graph, layer: graph.node("Relu"),
    LeakyReLU: lambda graph, layer: graph.node("LeakyRelu", alpha=layer.slope),
    Sigmoid: lambda graph, layer: graph.node("Sigmoid"),
    Softmax: lambda graph, layer: graph.node("Softmax", axis=-1),
    Dropout: lambda graph, layer: None,  # nothing is dropped in evaluation
}
