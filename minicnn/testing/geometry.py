"""Layers that slide a window are held to what they declare, under the names that this project uses.

A gradient check cannot see a window at the wrong place: forward and backward agree on it. But a layer
with attributes `padding`, `strides` and `kernel_size` or `pool_size` says where its windows lie.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.ops.padding import Pads, Pair, output_size, pair, resolve_padding
from minicnn.testing.layer_under_test import LayerUnderTest, trainable
from minicnn.testing.report import fail, require_equal


def check_geometry(subject: LayerUnderTest) -> None:
    """Check that outputs have the size that is declared, and each sees the rows and columns declared."""
    layer = subject.built
    declared = _declared(layer)
    if declared is None or len(layer.output_shape or ()) != 3:
        return
    span, strides, pads = declared
    size, got = _sides(layer.input_shape), _sides(layer.output_shape)
    try:
        expected = output_size(size, span, strides, pads)
    except ValueError:
        return  # the window is larger than the image: what spreads, as below
    if any(out > max(n, right) for out, n, right in zip(got, size, expected, strict=True)):
        return  # a transposed convolution, which spreads where others gather
    words = f"padding {layer.padding!r}, a window of {span} and strides {strides}"  # type: ignore[attr-defined]
    if got != expected:
        hint = "(padded size - window) // stride + 1; 'same' is ceil(size / stride)"
        fail(f"with {words} the output must have {expected} rows and columns", "y", got=got, hint=hint)
    for axis, name in enumerate(("row", "column")):
        seen = _seen(subject, layer, axis)
        windows = [np.flatnonzero(row) for row in seen]
        first = np.arange(got[axis]) * strides[axis] - pads[axis][0]
        extents = [w[-1] - w[0] + 1 if w.size else 0 for w in windows]
        if max(extents) != span[axis] or span[axis] >= size[axis]:
            continue  # it sees more than one window, being several layers in one, or less; or all there is
        for i, window in enumerate(windows):
            low, high = max(first[i], 0), min(first[i] + span[axis], size[axis]) - 1
            if window.size and (window[0] < low or window[-1] > high):
                if _spreads(subject, axis):
                    return
                fail(
                    f"with {words} output {name} {i} must see the input {name}s {low} to {high}",
                    "y",
                    hint="'same' padding puts the odd row or column after, and depends on the strides",
                    got=f"{window[0]} to {window[-1]}",
                )


def check_padding(subject: LayerUnderTest) -> None:
    """Check that padded cells never win a maximum, also of negative inputs, and do not count in a mean."""
    layer = subject.fresh().eval()
    if list(layer.named_layers()) or subject.inputs is not None:
        return  # several layers in one may well pad with zeros first
    if len(layer.input_shape or ()) != 3 or len(layer.output_shape or ()) != 3:
        return
    shape = (4, *subject.input_shape)
    ranks = np.stack([subject.rng.permutation(math.prod(shape[1:])) + 1.0 for _ in range(4)])
    x = ranks.reshape(shape)
    for sign in (1, -1):
        if _copies(layer(sign * x), x).all():
            y = layer(-sign * x)
            # The padding wins at the edge, whatever the values; inside, values of the input come through.
            padded = (y == 0).all(axis=0)
            inside = _copies(y, x)[:, ~padded]
            mixed = padded.any(axis=(0, 1)) & ~padded.all(axis=(0, 1))
            if mixed.any() and inside.size and inside.all():
                index = tuple(int(i) for i in np.argwhere(padded)[0])
                hint = "zeros as padding of a maximum: pad with -inf"
                fail("a padded cell must not win", "y", (0, *index), hint, got=0.0, inputs="all of one sign")
    if hasattr(layer, "pool_size"):
        ones = layer(np.ones(shape))
        if (ones == 1.0).any():
            hint = "a mean divides by the number of real cells in its window (as TensorFlow)"
            message = "pooling a constant image must give that constant at the edges too"
            require_equal(ones, np.ones_like(ones), message, "y", hint)


def check_statistics(subject: LayerUnderTest) -> None:
    """Check that batch statistics of images are over examples, rows and columns, not pixel by pixel.

    This concerns layers that in eval mode treat all pixels alike, and in training mode mix examples.
    """
    layer, x = subject.built, subject.draw(examples=4)
    if len(subject.input_shape) != 3 or layer.output_shape != layer.input_shape or subject.random:
        return
    if len(trainable(layer)) == len(layer.parameters()) or list(layer.named_layers()):
        return
    order = subject.rng.permutation(math.prod(x.shape[:3]))

    def shuffled(images: np.ndarray) -> np.ndarray:
        return images.reshape(-1, images.shape[3])[order].reshape(images.shape)

    calm = subject.fresh().eval()
    # Wide inputs too: where a ReLU is dead, a convolution before it cannot be seen.
    inputs = (x, subject.draw("wide", examples=4))
    if all(np.allclose(calm(shuffled(z)), shuffled(calm(z)), rtol=1e-9, atol=1e-12) for z in inputs):
        message = "pixels are treated alike in eval mode, so they must be in training mode"
        hint = "mean and variance over axis 0 only: on images they are over (0, 1, 2)"
        require_equal(subject.fresh()(shuffled(x)), shuffled(subject.fresh()(x)), message, "y", hint)


def _declared(layer: Layer) -> tuple[Pair, Pair, Pads] | None:
    """Return span, strides and padding, as far as the layer has attributes that say so."""
    if list(layer.named_layers()) or "transpose" in type(layer).__name__.lower():
        return None
    missing: Any = object()
    window = getattr(layer, "kernel_size", getattr(layer, "pool_size", missing))
    strides = getattr(layer, "strides", getattr(layer, "stride", missing))
    padding = getattr(layer, "padding", missing)
    if any(word is missing for word in (window, strides, padding)) or len(layer.input_shape or ()) != 3:
        return None
    try:
        window = pair(window, "window")
        strides = window if strides is None else pair(strides, "strides")
        dilation = pair(getattr(layer, "dilation", getattr(layer, "dilation_rate", 1)), "dilation")
        span = ((window[0] - 1) * dilation[0] + 1, (window[1] - 1) * dilation[1] + 1)
        return span, strides, resolve_padding(padding, _sides(layer.input_shape), span, strides)
    except (TypeError, ValueError):
        return None  # words of its own, which mean what we do not know


def _sides(shape: tuple[int, ...] | None) -> Pair:
    rows, columns, *_ = shape or ()
    return rows, columns


def _spreads(subject: LayerUnderTest, axis: int) -> bool:
    """Say whether the kernel lies upside down, as in a transposed convolution whose strides are 1.

    Its first row (or column) then brings in what lies below that which the last one brings in.
    """
    places = []
    for k in (0, -1):
        layer = copy.deepcopy(subject.built)
        for p in layer.parameters():
            if len(p.shape) == 4:
                rows = np.moveaxis(p.value, axis, 0)
                rows[np.arange(len(rows)) != k % len(rows)] = 0.0
        seen = _seen(subject, layer, axis)
        places.append(np.where(seen.any(axis=1), seen.argmax(axis=1), np.nan))
    return bool(np.nansum(places[0] - places[1]) > 0)


def _seen(subject: LayerUnderTest, layer: Layer, axis: int) -> np.ndarray:
    """Return which output rows (or columns) change with which input rows: bool, (outputs, inputs)."""
    n = subject.input_shape[axis]
    x = np.repeat(subject.draw(examples=1), n, axis=0)
    moved = x.copy()
    for i in range(n):
        np.moveaxis(moved[i], axis, 0)[i] += 100.0  # so much that it wins any maximum
    layer = copy.deepcopy(layer).eval()
    change = (layer(x) != layer(moved)).any(axis=(3, 2 - axis))
    return change.T


def _copies(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return where the outputs are values of the input, with or without the sign."""
    return np.isin(np.abs(y), x)
