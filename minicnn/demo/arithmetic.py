"""The factors, products, sums and maxima behind one value of each kind of layer."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.layers import (
    ELU,
    GELU,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    GlobalMaxPool2D,
    Layer,
    LeakyReLU,
    LocalResponseNorm,
    Pool2D,
    PReLU,
    ReLU,
    Rescaling,
    Sigmoid,
    SiLU,
    Tanh,
)
from minicnn.models.historic.lenet5_1998 import PartialConv2D, Subsample
from minicnn.ops.padding import Pads, Pair, pair, resolve_padding
from minicnn.ops.windows import pad

Cell = tuple[int, ...]


def explain_other(layer: Layer, x: np.ndarray, cell: Cell) -> dict[str, Any]:
    """Return no more than that there is no explanation."""
    return {"kind": "other"}


def _explain_elementwise(layer: Layer, x: np.ndarray, cell: Cell) -> dict[str, Any]:
    return {"kind": "elementwise", "function": repr(layer), "x": float(x[cell]), **_cells(x, [cell])}


def _explain_flatten(layer: Flatten, x: np.ndarray, cell: Cell) -> dict[str, Any]:
    place = tuple(int(i) for i in np.unravel_index(cell[0], x.shape))
    return {"kind": "flatten", "x": float(x[place]), "from": list(place), **_cells(x, [place])}


def _explain_conv(layer: Conv2D, x: np.ndarray, cell: Cell) -> dict[str, Any]:
    row, column, filter_ = cell
    kernel = layer.kernel.value[..., filter_].astype(np.float64)  # (kh, kw, channels of the group)
    strides, dilation = pair(layer.strides, "strides"), pair(layer.dilation, "dilation")
    span = ((kernel.shape[0] - 1) * dilation[0] + 1, (kernel.shape[1] - 1) * dilation[1] + 1)
    pads = resolve_padding(layer.padding, x.shape[:2], span, strides)
    first = filter_ // (layer.filters // layer.groups) * kernel.shape[2]
    channels = list(range(first, first + kernel.shape[2]))
    window = _window(x[..., channels], pads, (row, column), strides, span, 0.0)
    bias = 0.0 if layer.bias is None else float(layer.bias.value[filter_])
    place = _window_place((row, column), strides, span, pads)
    return _products(window[:: dilation[0], :: dilation[1]], kernel, bias, channels) | place


def _explain_partial_conv(layer: PartialConv2D, x: np.ndarray, cell: Cell) -> dict[str, Any]:
    row, column, filter_ = cell
    kernel, size = layer.kernel.value[..., layer.filters == filter_], layer.kernel_size
    channels = [int(channel) for channel in layer.table[filter_]]
    window = x[row : row + size, column : column + size][..., channels]
    place = {"top": row, "left": column, "rows": size, "columns": size}
    return _products(window, kernel, float(layer.bias.value[filter_]), channels) | place


def _products(window: np.ndarray, kernel: np.ndarray, bias: float, channels: list[int]) -> dict[str, Any]:
    """Return the arithmetic of a convolution, channel by channel, in float64."""
    window, kernel = window.astype(np.float64), kernel.astype(np.float64)
    products = window * kernel
    arrays = {"window": window, "kernel": kernel, "products": products}
    return {
        "kind": "conv",
        "channels": channels,
        **{name: array.transpose(2, 0, 1).tolist() for name, array in arrays.items()},
        "sums": products.sum(axis=(0, 1)).tolist(),
        "sum": float(products.sum()),
        "bias": bias,
    }


def _explain_dense(layer: Dense, x: np.ndarray, cell: Cell) -> dict[str, Any]:
    if x.ndim != 1:
        return {"kind": "other"}
    weights = layer.kernel.value[:, cell[0]].astype(np.float64)
    products = x * weights
    strongest = np.argsort(-abs(products), kind="stable")[:8]
    return {
        "kind": "dense",
        "inputs": len(x),
        "strongest": [
            {"input": int(i), "x": float(x[i]), "weight": float(weights[i]), "product": float(products[i])}
            for i in strongest
        ],
        "rest": float(np.delete(products, strongest).sum()),
        "sum": float(products.sum()),
        "bias": 0.0 if layer.bias is None else float(layer.bias.value[cell[0]]),
    }


def _explain_pool(layer: Pool2D, x: np.ndarray, cell: Cell) -> dict[str, Any]:
    row, column, channel = cell
    size = pair(layer.pool_size, "pool_size")
    strides = size if layer.strides is None else pair(layer.strides, "strides")
    pads = resolve_padding(layer.padding, x.shape[:2], size, strides)
    window = _window(x[..., channel], pads, (row, column), strides, size, np.nan)
    place = _window_place((row, column), strides, size, pads)
    return _pooled(layer.mode, window, layer.ties) | {"channels": [channel], **place}


def _explain_global_pool(layer: Any, x: np.ndarray, cell: Cell) -> dict[str, Any]:
    mode, ties = ("max", layer.ties) if isinstance(layer, GlobalMaxPool2D) else ("avg", "all")
    place = {"top": 0, "left": 0, "rows": x.shape[0], "columns": x.shape[1]}
    return _pooled(mode, x[..., cell[0]], ties) | {"channels": [cell[0]], **place}


def _pooled(mode: str, window: np.ndarray, ties: str) -> dict[str, Any]:
    best = np.argwhere(window == np.nanmax(window)).tolist()
    winners = best[:1] if ties == "first" else best
    shares = np.zeros(window.shape)  # of the gradient, in the backward pass
    if mode == "avg":
        shares[~np.isnan(window)] = 1 / np.count_nonzero(~np.isnan(window))
    else:
        shares[tuple(np.transpose(winners))] = 1 / len(winners) if ties == "split" else 1
    return {
        "kind": mode,
        # Padded cells are ignored; JSON has no NaN.
        "window": [[None if np.isnan(v) else float(v) for v in line] for line in window],
        "winners": winners,
        "shares": shares.tolist(),
    }


def _explain_subsample(layer: Subsample, x: np.ndarray, cell: Cell) -> dict[str, Any]:
    row, column, channel = cell
    window = x[2 * row : 2 * row + 2, 2 * column : 2 * column + 2, channel].astype(np.float64)
    return {
        "kind": "subsample",
        "channels": [channel],
        **{"top": 2 * row, "left": 2 * column, "rows": 2, "columns": 2},
        "window": window.tolist(),
        "sum": float(window.sum()),
        "factor": float(layer.factor.value[channel]),
        "bias": float(layer.bias.value[channel]),
    }


def _explain_local_response_norm(layer: LocalResponseNorm, x: np.ndarray, cell: Cell) -> dict[str, Any]:
    *place, channel = cell
    first = max(0, channel - layer.size // 2)
    neighbours = list(range(first, min(x.shape[-1], channel + layer.size // 2 + 1)))
    values = x[tuple(place)][neighbours].astype(np.float64)
    squares = float((values**2).sum())
    return {
        "kind": "lrn",
        "x": float(x[cell]),
        "neighbours": [{"map": i, "x": float(v)} for i, v in zip(neighbours, values, strict=True)],
        "squares": squares,
        **{name: getattr(layer, name) for name in ("k", "alpha", "beta")},
        "denominator": float((layer.k + layer.alpha * squares) ** layer.beta),
        **_cells(x, [(*place, i) for i in neighbours]),
    }


def _explain_batch_norm(layer: BatchNorm, x: np.ndarray, cell: Cell) -> dict[str, Any]:
    channel = cell[-1]
    return {
        "kind": "norm",
        "x": float(x[cell]),
        "mean": float(layer.running_mean.value[channel]),
        "deviation": float(np.sqrt(layer.running_var.value[channel] + layer.eps)),
        "gamma": 1.0 if layer.gamma is None else float(layer.gamma.value[channel]),
        "beta": 0.0 if layer.beta is None else float(layer.beta.value[channel]),
        **_cells(x, [cell]),
    }


# Each function gets the layer, its input without the batch axis, and the cell.
EXPLAINERS: dict[type[Layer], Callable[[Any, np.ndarray, Cell], dict[str, Any]]] = {
    BatchNorm: _explain_batch_norm,
    Conv2D: _explain_conv,
    Dense: _explain_dense,
    Flatten: _explain_flatten,
    GlobalAveragePool2D: _explain_global_pool,
    GlobalMaxPool2D: _explain_global_pool,
    LocalResponseNorm: _explain_local_response_norm,
    PartialConv2D: _explain_partial_conv,
    Pool2D: _explain_pool,
    Subsample: _explain_subsample,
    **dict.fromkeys(
        (Dropout, ELU, GELU, LeakyReLU, PReLU, ReLU, Rescaling, Sigmoid, SiLU, Tanh), _explain_elementwise
    ),
}


def _cells(x: np.ndarray, cells: list[Cell]) -> dict[str, Any]:
    """Return the cells of the layer before to frame."""
    return {"cells": [list(cell) for cell in cells]} if x.ndim in (1, 3) else {}


def _window(x: np.ndarray, pads: Pads, at: Pair, strides: Pair, span: Pair, fill: float) -> np.ndarray:
    """Return the part of an image, (H, W) or (H, W, C) and padded with `fill`, that a window covers."""
    image = x[np.newaxis] if x.ndim == 3 else x[np.newaxis, ..., np.newaxis]
    (top, left), padded = (at[0] * strides[0], at[1] * strides[1]), pad(image, pads, fill)[0]
    window = padded[top : top + span[0], left : left + span[1]]
    return window if x.ndim == 3 else window[..., 0]


def _window_place(at: Pair, strides: Pair, span: Pair, pads: Pads) -> dict[str, int]:
    """Return the position of a window in its image; windows over padding extend beyond the edges."""
    return {
        "top": at[0] * strides[0] - pads[0][0],
        "left": at[1] * strides[1] - pads[1][0],
        "rows": span[0],
        "columns": span[1],
    }
