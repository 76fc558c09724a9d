"""Window positions, padding and batch statistics of layers, compared with what their attributes declare.

A gradient check cannot detect a window at the wrong position, because forward and backward agree on it. But
a layer with the attributes `padding`, `strides` and `kernel_size` or `pool_size` declares where its windows
are.
"""

import copy
import math
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.ops.padding import Pads, Pair, output_size, pair, resolve_padding
from minicnn.testing.layer_under_test import LayerUnderTest, trainable
from minicnn.testing.report import fail_check, require_equal


def check_geometry(target: LayerUnderTest) -> None:
    """Check that outputs have the declared size, and each sees the declared rows and columns."""
    layer = target.built
    declared = _declared_window(layer)
    if declared is None or len(layer.output_shape or ()) != 3:
        return
    span, strides, pads = declared
    size, got = _rows_columns(layer.input_shape), _rows_columns(layer.output_shape)
    try:
        expected = output_size(size, span, strides, pads)
    except ValueError:
        return  # the window is larger than the image, as in the next case
    if any(out > max(n, right) for out, n, right in zip(got, size, expected, strict=True)):
        return  # a transposed convolution, which enlarges its input
    declaration = f"padding {layer.padding!r}, window {span} and strides {strides}"  # type: ignore[attr-defined]
    if got != expected:
        hint = "(padded size - window) // stride + 1; with 'same' it is ceil(size / stride)"
        what = f"with {declaration}, the output must have {expected} rows and columns"
        fail_check(what, "y", got=got, hint=hint)
    for axis, name in enumerate(("row", "column")):
        first = np.arange(got[axis]) * strides[axis] - pads[axis][0]
        misplaced = _misplaced_window(target, axis, first, span[axis])
        if misplaced is None:
            continue
        if _is_transposed(target, axis):
            return
        i, low, high, seen = misplaced
        hint = "'same' padding puts an odd row or column after the image, and depends on the strides"
        what = f"with {declaration}, output {name} {i} must depend on input {name}s {low} to {high} only"
        fail_check(what, "y", hint=hint, got=f"{seen[0]} to {seen[-1]}")


def _misplaced_window(
    target: LayerUnderTest, axis: int, first: np.ndarray, span: int
) -> tuple[int, int, int, np.ndarray] | None:
    """Return the first output i that depends on inputs outside its window, which starts at first[i].

    Returned are i, the first and last input that are declared, and the inputs on which the output depends.
    """
    size = target.input_shape[axis]
    windows = [np.flatnonzero(inputs) for inputs in _receptive_fields(target, target.built, axis)]
    extents = [w[-1] - w[0] + 1 if w.size else 0 for w in windows]
    if max(extents) != span or span >= size:
        return None  # several layers in one may see more or less; a window of the whole image has no position
    for i, window in enumerate(windows):
        low, high = max(first[i], 0), min(first[i] + span, size) - 1
        if window.size and (window[0] < low or window[-1] > high):
            return i, low, high, window
    return None


def check_padding(target: LayerUnderTest) -> None:
    """Check that padded cells never win a maximum, even over negative inputs, nor count in a mean."""
    layer = target.fresh().eval()
    if list(layer.named_layers()) or target.inputs is not None:
        return  # in several layers, an earlier one may pad with zeros
    if len(layer.input_shape or ()) != 3 or len(layer.output_shape or ()) != 3:
        return
    shape = (4, *target.input_shape)
    ranks = np.stack([target.rng.permutation(math.prod(shape[1:])) + 1.0 for _ in range(4)])
    x = ranks.reshape(shape)
    for sign in (1, -1):
        if _is_input_value(layer(sign * x), x).all():
            y = layer(-sign * x)
            # A padded cell can win at the border only; inside, outputs are values of the input.
            padded = (y == 0).all(axis=0)
            inside = _is_input_value(y, x)[:, ~padded]
            mixed = padded.any(axis=(0, 1)) & ~padded.all(axis=(0, 1))
            if mixed.any() and inside.size and inside.all():
                index = tuple(int(i) for i in np.argwhere(padded)[0])
                hint = "zero padding for a maximum; pad with -inf"
                what = "a padded cell wins the maximum where all inputs are of one sign"
                fail_check(what, "y", (0, *index), hint, got=0.0)
    if hasattr(layer, "pool_size"):
        ones = layer(np.ones(shape))
        if (ones == 1.0).any():
            hint = "a mean must divide by the number of real cells in the window, as in TensorFlow"
            message = "average pooling of a constant image is not constant at the border"
            require_equal(ones, np.ones_like(ones), message, "y", hint)


def check_statistics(target: LayerUnderTest) -> None:
    """Check that batch statistics of images are over examples, rows and columns, not pixel by pixel.

    Only layers that treat all pixels alike in eval mode and mix examples in training mode are checked.
    """
    layer, x = target.built, target.draw(examples=4)
    if len(target.input_shape) != 3 or layer.output_shape != layer.input_shape or target.random:
        return
    if len(trainable(layer)) == len(layer.parameters()) or list(layer.named_layers()):
        return
    order = target.rng.permutation(math.prod(x.shape[:3]))

    def shuffled(images: np.ndarray) -> np.ndarray:
        return images.reshape(-1, images.shape[3])[order].reshape(images.shape)

    in_eval = target.fresh().eval()
    # Wide inputs as well: behind dead ReLUs a convolution would stay invisible.
    inputs = (x, target.draw("wide", examples=4))
    if all(np.allclose(in_eval(shuffled(z)), shuffled(in_eval(z)), rtol=1e-9, atol=1e-12) for z in inputs):
        message = "pixels are treated alike in eval mode, but not in training mode"
        hint = "mean and variance over axis 0 only; for images they are over axes (0, 1, 2)"
        require_equal(target.fresh()(shuffled(x)), shuffled(target.fresh()(x)), message, "y", hint)


def _declared_window(layer: Layer) -> tuple[Pair, Pair, Pads] | None:
    """Return span, strides and padding if the attributes of the layer declare them."""
    if list(layer.named_layers()) or "transpose" in type(layer).__name__.lower():
        return None
    missing: Any = object()
    window = getattr(layer, "kernel_size", getattr(layer, "pool_size", missing))
    strides = getattr(layer, "strides", getattr(layer, "stride", missing))
    padding = getattr(layer, "padding", missing)
    if any(value is missing for value in (window, strides, padding)) or len(layer.input_shape or ()) != 3:
        return None
    try:
        window = pair(window, "window")
        strides = window if strides is None else pair(strides, "strides")
        dilation = pair(getattr(layer, "dilation", getattr(layer, "dilation_rate", 1)), "dilation")
        span = ((window[0] - 1) * dilation[0] + 1, (window[1] - 1) * dilation[1] + 1)
        return span, strides, resolve_padding(padding, _rows_columns(layer.input_shape), span, strides)
    except (TypeError, ValueError):
        return None  # these attributes have another meaning in this layer


def _rows_columns(shape: tuple[int, ...] | None) -> Pair:
    rows, columns, *_ = shape or ()
    return rows, columns


def _is_transposed(target: LayerUnderTest, axis: int) -> bool:
    """Return whether the kernel is upside down, as in a transposed convolution with strides of 1.

    Its first row (or column) then sees inputs below those that the last one sees.
    """
    positions = []
    for k in (0, -1):
        layer = copy.deepcopy(target.built)
        for p in layer.parameters():
            if len(p.shape) == 4:
                rows = np.moveaxis(p.value, axis, 0)
                rows[np.arange(len(rows)) != k % len(rows)] = 0.0
        seen = _receptive_fields(target, layer, axis)
        positions.append(np.where(seen.any(axis=1), seen.argmax(axis=1), np.nan))
    return bool(np.nansum(positions[0] - positions[1]) > 0)


def _receptive_fields(target: LayerUnderTest, layer: Layer, axis: int) -> np.ndarray:
    """Return which output rows (or columns) depend on which input rows: bool, (outputs, inputs)."""
    n = target.input_shape[axis]
    x = np.repeat(target.draw(examples=1), n, axis=0)
    changed = x.copy()
    for i in range(n):
        np.moveaxis(changed[i], axis, 0)[i] += 100.0  # large enough to win any maximum
    layer = copy.deepcopy(layer).eval()
    differs = (layer(x) != layer(changed)).any(axis=(3, 2 - axis))
    return differs.T


def _is_input_value(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return where the outputs are values of the input, up to the sign."""
    return np.isin(np.abs(y), x)
