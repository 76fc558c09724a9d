"""The arithmetic of one cell: the factors, products, sums and maxima behind its value.

A *stage* is a picture on the page: stage 0 is the input, stage i the output of layer i - 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.insight import Trace
from minicnn.layers import Conv2D, Dense, Flatten, Layer, Pool2D, ReLU
from minicnn.ops.padding import Pads, Pair, pair, resolve_padding
from minicnn.ops.windows import pad


def explain(trace: Trace, stage: int, cell: tuple[int, ...]) -> dict[str, Any]:
    """Return how a cell of a stage was computed.

    Parameters
    ----------
    trace : Trace
        The trace of a batch of one image.
    stage : int
        At least 1: the output of layer `stage` - 1.
    cell : tuple of int
        Row, column and channel; of a vector, its index.

    Returns
    -------
    dict
        In types that JSON has. `kind` is "conv", "dense", "max", "avg" or "other"; `source` is the stage that
        it was computed from, `value` the result. If a ReLU follows, or the stage is a ReLU, `relu` is its
        output.
    """
    layers, stages = trace.layers, [trace.x, *trace.outputs]
    requested = stage
    if isinstance(layers[stage - 1], ReLU) and stage > 1:
        stage -= 1  # a ReLU is explained together with the layer before it
    layer, x, value = layers[stage - 1], stages[stage - 1][0], float(stages[stage][0][cell])
    found: dict[str, Any]
    match layer:
        case Conv2D():
            found = _explain_conv(layer, x, cell)
        case Dense() if x.ndim == 1:
            found = _explain_dense(layer, x, cell[0])
        case Pool2D():
            found = _explain_pool(layer, x, cell)
        case _:
            found = {"kind": "other"}
    if stage < len(layers) and isinstance(layers[stage], ReLU):
        found["relu"] = float(stages[stage + 1][0][cell])
    return found | {
        "stage": requested,
        "source": _shown(layers, stage - 1),
        "cell": list(cell),
        "value": value,
    }


def _shown(layers: list[Layer], stage: int) -> int:
    """Return the stage that is shown instead of this one; Flatten, which changes no number, is not shown."""
    while stage and isinstance(layers[stage - 1], Flatten):
        stage -= 1
    return stage


def _explain_conv(layer: Conv2D, x: np.ndarray, cell: tuple[int, ...]) -> dict[str, Any]:
    row, column, filter_ = cell
    kernel = layer.kernel.value[..., filter_].astype(np.float64)  # (kh, kw, channels of the group)
    strides, dilation = pair(layer.strides, "strides"), pair(layer.dilation, "dilation")
    span = ((kernel.shape[0] - 1) * dilation[0] + 1, (kernel.shape[1] - 1) * dilation[1] + 1)
    pads = resolve_padding(layer.padding, x.shape[:2], span, strides)
    first = filter_ // (layer.filters // layer.groups) * kernel.shape[2]
    window = _window(x[..., first : first + kernel.shape[2]], pads, (row, column), strides, span, 0.0)
    window = window[:: dilation[0], :: dilation[1]].astype(np.float64)
    products = window * kernel
    bias = 0.0 if layer.bias is None else float(layer.bias.value[filter_])
    return {
        "kind": "conv",
        "channels": list(range(first, first + kernel.shape[2])),
        **_window_place((row, column), strides, span, pads),
        **{
            # The page shows them channel by channel.
            name: array.transpose(2, 0, 1).tolist()
            for name, array in (("window", window), ("kernel", kernel), ("products", products))
        },
        "sums": products.sum(axis=(0, 1)).tolist(),
        "sum": float(products.sum()),
        "bias": bias,
    }


def _explain_dense(layer: Dense, x: np.ndarray, unit: int) -> dict[str, Any]:
    weights = layer.kernel.value[:, unit].astype(np.float64)
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
        "bias": 0.0 if layer.bias is None else float(layer.bias.value[unit]),
    }


def _explain_pool(layer: Pool2D, x: np.ndarray, cell: tuple[int, ...]) -> dict[str, Any]:
    row, column, channel = cell
    size = pair(layer.pool_size, "pool_size")
    strides = size if layer.strides is None else pair(layer.strides, "strides")
    pads = resolve_padding(layer.padding, x.shape[:2], size, strides)
    window = _window(x[..., channel], pads, (row, column), strides, size, np.nan)
    best = np.argwhere(window == np.nanmax(window)).tolist()
    return {
        "kind": layer.mode,
        "channels": [channel],
        **_window_place((row, column), strides, size, pads),
        # Padded cells are ignored; JSON has no NaN.
        "window": [[None if np.isnan(v) else float(v) for v in line] for line in window],
        "winners": best[:1] if layer.ties == "first" else best,
    }


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
