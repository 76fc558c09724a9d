"""Pooling."""

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
from minicnn.layers import GlobalAveragePool2D, GlobalMaxPool2D, Layer, Pool2D
from minicnn.ops.padding import Pair, pair, resolve_padding


def _to_keras(layer: Pool2D) -> list[KerasSpec]:
    if layer.mode == "max" and layer.ties != "first":
        raise ValueError(f"its gradient goes to the first of tied maxima, this one's to {layer.ties!r}")
    window = pair(layer.pool_size, "pool_size")
    strides = window if layer.strides is None else pair(layer.strides, "strides")
    settings = {"pool_size": window, "strides": strides, "padding": _padding_name(layer, window, strides)}
    return [("MaxPooling2D" if layer.mode == "max" else "AveragePooling2D", {**settings, **CHANNELS_LAST})]


def _padding_name(layer: Pool2D, window: Pair, strides: Pair) -> str:
    """Return "valid" or "same", whichever the padding is; Keras's pooling has no other."""
    height, width, _ = layer.input_shape or (0, 0, 0)
    pads = resolve_padding(layer.padding, (height, width), window, strides)
    for name in ("valid", "same"):
        if pads == resolve_padding(name, (height, width), window, strides):
            return name
    raise ValueError(f"its pooling has no explicit padding, this one has {layer.padding}")


def _from_keras(pool: Any, mode: str) -> list[Layer]:
    window, strides = short(pool.pool_size), short(pool.strides)
    return [Pool2D(window, None if strides == window else strides, pool.padding, mode)]


def _to_onnx(graph: OnnxGraph, layer: Pool2D) -> None:
    window = pair(layer.pool_size, "pool_size")
    geometry = {"kernel_shape": window, **onnx_windows(layer, window)}
    if layer.mode == "max":
        graph.node("MaxPool", **geometry)
    else:
        graph.node("AveragePool", **geometry, count_include_pad=0)


def _global_from_keras(pool: Any, kind: type[Layer]) -> list[Layer]:
    require(pool, keepdims=False)
    return [kind()]


def _global_max_to_keras(layer: GlobalMaxPool2D) -> list[KerasSpec]:
    if layer.ties != "split":
        raise ValueError(f"its gradient is shared by tied maxima, this one's goes to {layer.ties!r}")
    return [("GlobalMaxPooling2D", CHANNELS_LAST)]


def _global_to_onnx(graph: OnnxGraph, kind: str) -> None:
    graph.node(kind)
    graph.node("Flatten", axis=1)
    graph.first = False


ROWS: Rows = {
    Pool2D: Counterpart(
        to_keras=_to_keras,
        from_keras={
            ("MaxPooling2D",): lambda pool: _from_keras(pool, "max"),
            ("AveragePooling2D",): lambda pool: _from_keras(pool, "avg"),
        },
        to_onnx=_to_onnx,
        onnx_channels="first",
    ),
    GlobalAveragePool2D: Counterpart(
        to_keras=lambda layer: [("GlobalAveragePooling2D", CHANNELS_LAST)],
        from_keras={("GlobalAveragePooling2D",): lambda pool: _global_from_keras(pool, GlobalAveragePool2D)},
        to_onnx=lambda graph, layer: _global_to_onnx(graph, "GlobalAveragePool"),
        onnx_channels="first",
    ),
    GlobalMaxPool2D: Counterpart(
        to_keras=_global_max_to_keras,
        from_keras={("GlobalMaxPooling2D",): lambda pool: _global_from_keras(pool, GlobalMaxPool2D)},
        to_onnx=lambda graph, layer: _global_to_onnx(graph, "GlobalMaxPool"),
        onnx_channels="first",
    ),
}
