"""Activations. In Keras they are layers, or arguments of other layers."""

from __future__ import annotations

from typing import Any

from minicnn.interop.layer_map.counterpart import (
    Counterpart,
    KerasSpec,
    OnnxGraph,
    Rows,
    activation_name,
    require,
    require_last_axis,
)
from minicnn.layers import Layer, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh


def _relu_from_keras(relu: Any) -> list[Layer]:
    require(relu, max_value=None, threshold=0)
    return [LeakyReLU(relu.negative_slope)] if relu.negative_slope else [ReLU()]


def _tanh_to_keras(layer: Tanh) -> list[KerasSpec]:
    tanh = ("Activation", {"activation": "tanh"})
    if layer.amplitude == layer.steepness == 1:
        return [tanh]
    return [("Rescaling", {"scale": layer.steepness}), tanh, ("Rescaling", {"scale": layer.amplitude})]


def _scaled_tanh_from_keras(inner: Any, tanh: Any, outer: Any) -> list[Layer]:
    for scale in (inner, outer):
        require(scale, offset=0)
    if activation_name(tanh) != "tanh":
        raise ValueError("only a tanh can be scaled")
    return [Tanh(outer.scale, inner.scale)]


def _tanh_to_onnx(graph: OnnxGraph, layer: Tanh) -> None:
    if layer.steepness != 1:
        graph.node("Mul", layer.steepness)
    graph.node("Tanh")
    if layer.amplitude != 1:
        graph.node("Mul", layer.amplitude)


def _softmax_from_keras(softmax: Any) -> list[Layer]:
    require_last_axis(softmax)
    return [Softmax()]


ROWS: Rows = {
    ReLU: Counterpart(
        to_keras=lambda layer: [("ReLU", {})],
        from_keras={("ReLU",): _relu_from_keras},
        keras_activations={"relu": ReLU},
        to_onnx=lambda graph, layer: graph.node("Relu"),
    ),
    LeakyReLU: Counterpart(
        to_keras=lambda layer: [("LeakyReLU", {"negative_slope": layer.slope})],
        from_keras={("LeakyReLU",): lambda relu: [LeakyReLU(relu.negative_slope)]},
        # 0.2 is the function's default; the layer's is 0.3.
        keras_activations={"leaky_relu": lambda: LeakyReLU(0.2)},
        to_onnx=lambda graph, layer: graph.node("LeakyRelu", alpha=layer.slope),
    ),
    Tanh: Counterpart(
        to_keras=_tanh_to_keras,
        from_keras={("Rescaling", "Activation", "Rescaling"): _scaled_tanh_from_keras},
        keras_activations={"tanh": Tanh},
        to_onnx=_tanh_to_onnx,
    ),
    Sigmoid: Counterpart(
        to_keras=lambda layer: [("Activation", {"activation": "sigmoid"})],
        keras_activations={"sigmoid": Sigmoid},
        to_onnx=lambda graph, layer: graph.node("Sigmoid"),
    ),
    Softmax: Counterpart(
        to_keras=lambda layer: [("Softmax", {})],
        from_keras={("Softmax",): _softmax_from_keras},
        keras_activations={"softmax": Softmax},
        to_onnx=lambda graph, layer: graph.node("Softmax", axis=-1),
        onnx_channels="last",
    ),
}
