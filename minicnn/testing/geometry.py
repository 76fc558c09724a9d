"""Window positions and padding of layers, compared with what their attributes declare.

A gradient check cannot detect a window at the wrong position, because forward and backward agree on it. But
a layer with the attributes `padding`, `strides` and `kernel_size` or `pool_size` declares where its windows
are.
"""

import copy
import math

import numpy as np

from minicnn.layers.base import Layer
from minicnn.ops.padding import Pair
from minicnn.testing.layer_under_test import LAYOUTS, LayerUnderTest
from minicnn.testing.report import CheckFailed, Failure, fail_check, require_equal
from minicnn.testing.windows import (
    CONVENTIONS,
    FIRST_AXIS,
    Window,
    declared_window,
    is_enlarged,
    placements,
    rows_columns,
)


def check_geometry(target: LayerUnderTest) -> None:
    """Check that outputs have the declared size, and each sees the declared rows and columns."""
    layer = target.built
    if len(layer.input_shape or ()) != 3 or len(layer.output_shape or ()) != 3:
        return
    failures = []
    for layout in _layouts(target):
        size = rows_columns(layer.input_shape, layout)
        window = declared_window(layer, size)
        if window is None:
            return
        if _is_too_large(window, size):
            continue
        got = rows_columns(layer.output_shape, layout)
        if window.name != "full" and is_enlarged(window, size, got):
            return
        remark, failure = _fit_convention(target, layer, window, layout)
        if failure is None:
            if remark:
                target.remark(remark)
            return
        failures.append(failure)
    if failures:
        raise CheckFailed(failures[0])


def _is_too_large(window: Window, size: Pair) -> bool:
    if window.pads is None:
        return False
    return any(n + sum(pad) < span for n, pad, span in zip(size, window.pads, window.span, strict=True))


def _fit_convention(
    target: LayerUnderTest, layer: Layer, window: Window, layout: str
) -> tuple[str, Failure | None]:
    """Return the remark of the convention that fits, or the failure by the convention of this package."""
    size = rows_columns(layer.input_shape, layout)
    first: Failure | None = None
    for convention in CONVENTIONS:
        placed = placements(window, size, convention)
        if placed is None:
            continue
        failure = _misfit(target, layer, window, layout, placed)
        if failure is None:
            return convention.remark, None
        first = first or failure
    return "", first


def _misfit(
    target: LayerUnderTest, layer: Layer, window: Window, layout: str, placed: tuple
) -> Failure | None:
    """Return the failure if sizes or positions differ from those of a convention."""
    got = rows_columns(layer.output_shape, layout)
    expected = tuple(each.outputs for each in placed)
    padding = layer.padding  # type: ignore[attr-defined]
    declaration = f"padding {padding!r}, window {window.span} and strides {window.strides}"
    if got != expected:
        hint = "(padded size - window) // stride + 1; with 'same' it is ceil(size / stride)"
        what = f"with {declaration}, the output must have {expected} rows and columns"
        return Failure("", what, "y", None, {"got": got}, hint)
    for axis, name in enumerate(("row", "column")):
        first = np.arange(got[axis]) * window.strides[axis] - placed[axis].before
        misplaced = _misplaced_window(target, axis + FIRST_AXIS[layout], first, window.span[axis])
        if misplaced is None:
            continue
        if _is_transposed(target, axis, layout):
            return None
        i, low, high, seen = misplaced
        hint = "'same' padding puts an odd row or column after the image, and depends on the strides"
        what = f"with {declaration}, output {name} {i} must depend on input {name}s {low} to {high} only"
        return Failure("", what, "y", None, {"got": f"{seen[0]} to {seen[-1]}"}, hint)
    return None


def _layouts(target: LayerUnderTest) -> list[str]:
    """Return the layout that the caller told, or those in which the other axis looks like channels.

    Two output channels depend on the same input channels (all, or those of a group) or share none, where
    the windows of rows and columns overlap.
    """
    if target.layout is not None:
        return [target.layout]
    if target.likely_layouts:
        return target.likely_layouts
    found = []
    for layout, channels in zip(LAYOUTS, (2, 0), strict=True):
        seen = _built_fields(target, channels).astype(int)
        shared = seen @ seen.T
        size = np.maximum(seen.sum(axis=1), 1)
        if ((shared == 0) | (shared == size) & (shared == size[:, None])).all():
            found.append(layout)
    target.likely_layouts = found or ["NHWC"]
    return target.likely_layouts


def _misplaced_window(
    target: LayerUnderTest, axis: int, first: np.ndarray, span: int
) -> tuple[int, int, int, np.ndarray] | None:
    """Return the first output i that depends on inputs outside its window, which starts at first[i].

    Returned are i, the first and last input that are declared, and the inputs on which the output depends.
    """
    size = target.input_shape[axis]
    windows = [np.flatnonzero(inputs) for inputs in _built_fields(target, axis)]
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
    spatial = (0, 1) if _layouts(target)[0] == "NHWC" else (1, 2)
    ranks = np.stack([target.rng.permutation(math.prod(shape[1:])) + 1.0 for _ in range(4)])
    x = ranks.reshape(shape)
    for sign in (1, -1):
        if _is_input_value(layer(sign * x), x).all():
            y = layer(-sign * x)
            # A padded cell can win at the border only; inside, outputs are values of the input.
            padded = (y == 0).all(axis=0)
            inside = _is_input_value(y, x)[:, ~padded]
            mixed = padded.any(axis=spatial) & ~padded.all(axis=spatial)
            if mixed.any() and inside.size and inside.all():
                index = tuple(int(i) for i in np.argwhere(padded)[0])
                hint = "zero padding for a maximum; pad with -inf"
                what = "a padded cell wins the maximum where all inputs are of one sign"
                fail_check(what, "y", (0, *index), hint, got=0.0)
    if hasattr(layer, "pool_size"):
        _check_mean_of_ones(target, layer(np.ones(shape)), layer(np.full(shape, 2.0)))


def _check_mean_of_ones(target: LayerUnderTest, ones: np.ndarray, twos: np.ndarray) -> None:
    """Check what average pooling gives for a constant image; the largest output is that of a whole window."""
    if not np.allclose(twos, 2 * ones) or ones.max() != 1.0 or (ones == 1.0).all():
        return  # no average, such as sum pooling, or a right one
    try:
        window = math.prod(np.broadcast_to(target.built.pool_size, 2))  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return
    cells = ones * float(window)
    if np.allclose(cells, np.rint(cells), atol=1e-6) and (cells > 0.5).all():
        target.remark("padding counts in the mean, as with `count_include_pad` of PyTorch")
        return
    hint = "a mean must divide by the number of real cells in the window, as in TensorFlow"
    message = "average pooling of a constant image is not constant at the border"
    require_equal(ones, np.ones_like(ones), message, "y", hint)


def _is_transposed(target: LayerUnderTest, axis: int, layout: str) -> bool:
    """Return whether the kernel is upside down, as in a transposed convolution with strides of 1.

    Its first row (or column) then sees inputs below those that the last one sees.
    """
    positions = []
    for k in (0, -1):
        layer = copy.deepcopy(target.built)
        for p in layer.parameters():
            if len(p.shape) == 4:
                rows = np.moveaxis(p.value, axis if layout == "NHWC" else axis + 2, 0)
                rows[np.arange(len(rows)) != k % len(rows)] = 0.0
        seen = _receptive_fields(target, layer, axis + FIRST_AXIS[layout])
        positions.append(np.where(seen.any(axis=1), seen.argmax(axis=1), np.nan))
    return bool(np.nansum(positions[0] - positions[1]) > 0)


def _built_fields(target: LayerUnderTest, axis: int) -> np.ndarray:
    """Return `_receptive_fields` of the built layer, found once for each axis."""
    if axis not in target.receptive_fields:
        target.receptive_fields[axis] = _receptive_fields(target, target.built, axis)
    return target.receptive_fields[axis]


def _receptive_fields(target: LayerUnderTest, layer: Layer, axis: int) -> np.ndarray:
    """Return which outputs depend on which inputs along one axis of an example: bool, (outputs, inputs)."""
    n = target.input_shape[axis]
    x = np.repeat(target.draw(examples=1), n, axis=0)
    changed = x.copy()
    for i in range(n):
        np.moveaxis(changed[i], axis, 0)[i] += 100.0  # large enough to win any maximum
    layer = copy.deepcopy(layer).eval()
    others = tuple(i for i in (1, 2, 3) if i != axis + 1)
    differs = (layer(x) != layer(changed)).any(axis=others)
    return differs.T


def _is_input_value(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return where the outputs are values of the input, up to the sign."""
    return np.isin(np.abs(y), x)
