"""Activations. In Keras they are layers, or arguments of other layers."""

import math
from typing import Any

from minicnn.interop.layer_map.counterpart import (
    Counterpart,
    KerasSpec,
    OnnxGraph,
    Rows,
    activation_name,
    channel_values,
    require,
    require_last_axis,
)
from minicnn.layers import ELU, GELU, Layer, LeakyReLU, PReLU, ReLU, Sigmoid, SiLU, Softmax, Tanh


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


def _prelu_to_keras(layer: PReLU) -> list[KerasSpec]:
    shared = list(range(1, len(layer.input_shape or ()))) if layer.shared else []
    return [("PReLU", {"shared_axes": shared or None})]


def _prelu_from_keras(prelu: Any) -> list[Layer]:
    pixels = list(range(1, len(prelu.output.shape) - 1))
    shared = sorted(prelu.shared_axes or [])
    if shared not in ([], pixels):
        raise ValueError(f"`shared_axes` must be {pixels} or None, got {prelu.shared_axes}")
    return [PReLU(shared=shared == pixels)]


def _silu_to_onnx(graph: OnnxGraph, layer: SiLU) -> None:
    x = graph.values
    graph.node("Sigmoid")
    graph.values = x + graph.values
    graph.node("Mul")


def _gelu_to_keras(layer: GELU) -> list[KerasSpec]:
    return [("GELU", {"approximate": True}) if layer.approximate else ("Activation", {"activation": "gelu"})]


def _gelu_to_onnx(graph: OnnxGraph, layer: GELU) -> None:
    x = graph.values
    if layer.approximate:  # sqrt(2 / pi) * (x + 0.044715 x^3)
        graph.values = x + x
        graph.node("Mul")
        graph.node("Mul", 0.044715 * math.sqrt(2 / math.pi))
        graph.node("Add", math.sqrt(2 / math.pi))
        graph.values = x + graph.values
        graph.node("Mul")
        graph.node("Tanh")
    else:
        graph.node("Mul", math.sqrt(0.5))
        graph.node("Erf")
    graph.node("Add", 1.0)
    graph.values = x + graph.values
    graph.node("Mul")
    graph.node("Mul", 0.5)


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
    ELU: Counterpart(
        to_keras=lambda layer: [("ELU", {"alpha": layer.alpha})],
        from_keras={("ELU",): lambda elu: [ELU(elu.alpha)]},
        keras_activations={"elu": ELU},
        to_onnx=lambda graph, layer: graph.node("Elu", alpha=layer.alpha),
    ),
    PReLU: Counterpart(
        to_keras=_prelu_to_keras,
        from_keras={("PReLU",): _prelu_from_keras},
        to_onnx=lambda graph, layer: graph.node("PRelu", channel_values(graph, layer.slope.value)),
    ),
    SiLU: Counterpart(
        to_keras=lambda layer: [("Activation", {"activation": "silu"})],
        keras_activations={"silu": SiLU},
        to_onnx=_silu_to_onnx,
    ),
    GELU: Counterpart(
        to_keras=_gelu_to_keras,
        from_keras={("GELU",): lambda gelu: [GELU(gelu.approximate)]},
        keras_activations={"gelu": GELU},
        to_onnx=_gelu_to_onnx,
    ),
}
