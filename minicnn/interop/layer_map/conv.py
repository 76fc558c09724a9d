"""Convolution."""

from typing import Any

from minicnn.interop.layer_map.counterpart import (
    CHANNELS_LAST,
    Counterpart,
    KerasSpec,
    OnnxGraph,
    Rows,
    onnx_windows,
    require,
    short,
)
from minicnn.layers import Conv2D, Layer
from minicnn.ops.padding import pair


def _to_keras(layer: Conv2D) -> list[KerasSpec]:
    settings = {
        "filters": layer.filters,
        "kernel_size": layer.kernel_size,
        "strides": layer.strides,
        "dilation_rate": layer.dilation,
        "groups": layer.groups,
        "use_bias": layer.use_bias,
        **CHANNELS_LAST,
    }
    if max(pair(layer.strides, "strides")) > 1 and max(pair(layer.dilation, "dilation")) > 1:
        raise ValueError("its convolutions have strides or dilation, not both")
    if isinstance(layer.padding, str):
        return [("Conv2D", {**settings, "padding": layer.padding})]
    return [
        ("ZeroPadding2D", {"padding": layer.padding, **CHANNELS_LAST}),
        ("Conv2D", {**settings, "padding": "valid"}),
    ]


def _from_keras(conv: Any, padding: Any = None) -> list[Layer]:
    return [
        Conv2D(
            conv.filters,
            short(conv.kernel_size),
            short(conv.strides),
            conv.padding if padding is None else padding,
            short(conv.dilation_rate),
            conv.groups,
            conv.use_bias,
        )
    ]


def _from_padded_keras(zeros: Any, conv: Any) -> list[Layer]:
    require(conv, padding="valid")
    return _from_keras(conv, zeros.padding)


def _depthwise_from_keras(conv: Any) -> list[Layer]:
    channels = conv.input.shape[-1]
    filters = channels * conv.depth_multiplier
    return [_depthwise(conv, filters, channels, conv.use_bias)]


def _separable_from_keras(conv: Any) -> list[Layer]:
    channels = conv.input.shape[-1]
    depthwise = _depthwise(conv, channels * conv.depth_multiplier, channels, use_bias=False)
    return [depthwise, Conv2D(conv.filters, 1, use_bias=conv.use_bias)]


def _depthwise(conv: Any, filters: int, channels: int, use_bias: bool) -> Conv2D:
    """Return the convolution of each channel for itself; in C order, its kernel is Keras's."""
    geometry = short(conv.kernel_size), short(conv.strides), conv.padding, short(conv.dilation_rate)
    return Conv2D(filters, *geometry, groups=channels, use_bias=use_bias)


def _to_onnx(graph: OnnxGraph, layer: Conv2D) -> None:
    kernel = layer.kernel.value
    dilation = pair(layer.dilation, "dilation")
    height, width = ((k - 1) * d + 1 for k, d in zip(kernel.shape[:2], dilation, strict=True))
    graph.node(
        "Conv",
        kernel.transpose(3, 2, 0, 1),
        *([] if layer.bias is None else [layer.bias.value]),
        kernel_shape=kernel.shape[:2],
        **onnx_windows(layer, (height, width)),
        dilations=dilation,
        group=layer.groups,
    )


ROWS: Rows = {
    Conv2D: Counterpart(
        to_keras=_to_keras,
        from_keras={
            ("Conv2D",): _from_keras,
            ("ZeroPadding2D", "Conv2D"): _from_padded_keras,
            ("DepthwiseConv2D",): _depthwise_from_keras,
            ("SeparableConv2D",): _separable_from_keras,
        },
        to_onnx=_to_onnx,
        onnx_channels="first",
    )
}
