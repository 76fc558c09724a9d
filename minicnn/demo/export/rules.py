"""How each layer computes a cell, as data for the JavaScript of a static copy: settings and arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.demo.arithmetic import EXPLAINERS
from minicnn.demo.export.curves import curve_of
from minicnn.demo.export.views import view_of
from minicnn.demo.export.weights import Weights
from minicnn.demo.inside import maps_before
from minicnn.insight.trace import unnested
from minicnn.layers import (
    BatchNorm,
    Concatenate,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePool2D,
    GlobalMaxPool2D,
    Layer,
    LocalResponseNorm,
    Pool2D,
    ReLU,
    Residual,
    Sequential,
)
from minicnn.models.historic.lenet5_1998 import PartialConv2D, Subsample
from minicnn.ops.padding import Pair, pair, resolve_padding

Rule = dict[str, Any]


def rules_of(model: Sequential) -> tuple[list[Rule], Weights]:
    """Return the rule of each layer, and the arrays that they name by their places."""
    weights, layers = Weights(), list(model)
    rules = []
    for number, layer in enumerate(layers):
        rule = _rule_of(layer, weights)
        if isinstance(layer, ReLU):
            rule["relu"] = True
        if isinstance(layer, Dense):
            rule["source"] = source = maps_before(layers, number)
            rule["before"] = layers[source - 1].output_shape if source else model.input_shape
        rules.append(rule | {"view": view_of(layer)})
    return rules, weights


def are_known(rules: list[Rule]) -> bool:
    """Return whether the page's own JavaScript has the outputs and gradients of all of these layers."""
    return all(
        rule["kind"] != "other" and all(are_known(branch) for branch in rule.get("branches", ()))
        for rule in rules
    )


def _rule_of(layer: Layer, weights: Weights) -> Rule:
    return _RULES.get(type(layer), _rule_of_other)(layer, weights) | {"out": layer.output_shape}


def _rule_of_other(layer: Layer, weights: Weights) -> Rule:
    if type(layer) in EXPLAINERS:  # of one value alone
        return {"kind": "elementwise", "function": repr(layer), "curve": curve_of(layer, weights)}
    return {"kind": "other"}


def _rule_of_branches(layer: Residual | Concatenate, weights: Weights) -> Rule:
    branches = [[leaf for part in branch for leaf in unnested(part)] for branch in layer.branch_layers()]
    found = [[_rule_of(part, weights) for part in branch] for branch in branches]
    return {"kind": "residual" if isinstance(layer, Residual) else "concatenate", "branches": found}


def _rule_of_conv(layer: Conv2D, weights: Weights) -> Rule:
    kernel = layer.kernel.value
    dilation, size = pair(layer.dilation, "dilation"), kernel.shape[:2]
    span = ((size[0] - 1) * dilation[0] + 1, (size[1] - 1) * dilation[1] + 1)
    return {
        "kind": "conv",
        "size": size,
        "dilation": dilation,
        "depth": kernel.shape[2],
        "filters_per_group": layer.filters // layer.groups,
        "kernel": weights.add(kernel.transpose(3, 0, 1, 2)),
        "bias": None if layer.bias is None else weights.add(layer.bias.value),
        **_windows(layer, span),
    }


def _rule_of_partial_conv(layer: PartialConv2D, weights: Weights) -> Rule:
    kernel, size = layer.kernel.value, (layer.kernel_size,) * 2
    ordered = [kernel[..., layer.filters == number].ravel() for number in range(len(layer.table))]
    return {
        "kind": "conv",
        "size": size,
        "span": size,
        "dilation": (1, 1),
        "strides": (1, 1),
        "pads": (0, 0),
        "table": [[int(channel) for channel in channels] for channels in layer.table],
        "kernel": weights.add(np.concatenate(ordered)),
        "bias": weights.add(layer.bias.value),
    }


def _rule_of_dense(layer: Dense, weights: Weights) -> Rule:
    if len(layer.input_shape or ()) != 1:
        return {"kind": "other"}
    bias = None if layer.bias is None else weights.add(layer.bias.value)
    return {"kind": "dense", "kernel": weights.add(layer.kernel.value.T), "bias": bias}


def _rule_of_pool(layer: Pool2D, weights: Weights) -> Rule:
    span = pair(layer.pool_size, "pool_size")
    return {"kind": "pool", "mode": layer.mode, "ties": layer.ties, **_windows(layer, span)}


def _rule_of_global_pool(layer: Any, weights: Weights) -> Rule:
    mode, ties = ("max", layer.ties) if isinstance(layer, GlobalMaxPool2D) else ("avg", "all")
    return {"kind": "globalPool", "mode": mode, "ties": ties}


def _rule_of_subsample(layer: Subsample, weights: Weights) -> Rule:
    factor, bias = weights.add(layer.factor.value), weights.add(layer.bias.value)
    return {"kind": "subsample", "factor": factor, "bias": bias}


def _rule_of_local_response_norm(layer: LocalResponseNorm, weights: Weights) -> Rule:
    return {"kind": "lrn", **{name: getattr(layer, name) for name in ("size", "k", "alpha", "beta")}}


def _rule_of_batch_norm(layer: BatchNorm, weights: Weights) -> Rule:
    mean, variance = layer.running_mean.value, layer.running_var.value
    gamma = np.ones_like(mean) if layer.gamma is None else layer.gamma.value
    beta = np.zeros_like(mean) if layer.beta is None else layer.beta.value
    arrays = {"mean": mean, "deviation": np.sqrt(variance + layer.eps), "gamma": gamma, "beta": beta}
    return {"kind": "norm", **{name: weights.add(array) for name, array in arrays.items()}}


def _windows(layer: Any, span: Pair) -> Rule:
    """Return how windows lie: strides, padding above and left, and the pixels that each spans."""
    strides = span if layer.strides is None else pair(layer.strides, "strides")
    pads = resolve_padding(layer.padding, layer.input_shape[:2], span, strides)
    return {"strides": strides, "pads": (pads[0][0], pads[1][0]), "span": span}


_RULES: dict[type[Layer], Callable[[Any, Weights], Rule]] = {
    BatchNorm: _rule_of_batch_norm,
    Concatenate: _rule_of_branches,
    Conv2D: _rule_of_conv,
    Dense: _rule_of_dense,
    Flatten: lambda layer, weights: {"kind": "flatten"},
    GlobalAveragePool2D: _rule_of_global_pool,
    GlobalMaxPool2D: _rule_of_global_pool,
    LocalResponseNorm: _rule_of_local_response_norm,
    PartialConv2D: _rule_of_partial_conv,
    Pool2D: _rule_of_pool,
    Residual: _rule_of_branches,
    Subsample: _rule_of_subsample,
}
