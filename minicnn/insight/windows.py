"""The receptive field: the pixels of the image that a cell of a layer's output depends on."""

from collections.abc import Iterable

import numpy as np

from minicnn.config.registry import is_registered
from minicnn.insight.trace import Trace
from minicnn.layers import Concatenate, Conv2D, Layer, Pool2D, Residual, Sequential, ZeroPadding2D
from minicnn.layers.resize import zero_pads
from minicnn.ops.padding import pair, resolve_padding

Window = tuple[slice, slice]
# For rows and columns each: the size of a window, the stride, and the padding before and after.
Geometry = tuple[tuple[int, ...], tuple[int, ...], tuple[tuple[int, int], ...]]


def receptive_field(model: Sequential, layer: int, row: int, column: int) -> Window:
    """Return the rows and columns of the image that a cell of a layer's output depends on.

    They may extend beyond the image, into the padding.

    Parameters
    ----------
    model : Sequential
        Built.
    layer : int
        Index of the layer. It and all layers before it must be convolutions, pooling, padding, layers that
        act on each value or pixel separately, a Residual or Concatenate of such layers, or layers of your
        own, whose windows are found by changing their inputs.
    row, column : int
        The cell.

    Examples
    --------
    >>> from minicnn.models import lenet5
    >>> receptive_field(lenet5().build((28, 28, 1), rng=0), 3, 0, 0)  # the second convolution, 'valid'
    (slice(-2, 12, None), slice(-2, 12, None))
    """
    layers = Trace(model, np.zeros((1, *(model.input_shape or ())), model.dtype)).layers
    return _seen_by(layers[: layer + 1], (slice(row, row + 1), slice(column, column + 1)))


def _seen_by(layers: Iterable[Layer], window: Window) -> Window:
    """Return the rows and columns of the input on which a window of the last layer's output depends."""
    for layer in reversed(list(layers)):
        if isinstance(layer, Residual | Concatenate):
            parts = [_seen_by(branch, window) for branch in layer.branch_layers()]
            rows, columns = (
                slice(min(part.start for part in axis), max(part.stop for part in axis))
                for axis in zip(*parts, strict=True)
            )
        elif isinstance(layer, Sequential):
            rows, columns = _seen_by(layer, window)
        else:
            rows, columns = (
                slice(part.start * s - p[0], (part.stop - 1) * s - p[0] + k)
                for part, k, s, p in zip(window, *_geometry(layer), strict=True)
            )
        window = (rows, columns)
    return window


def _geometry(layer: Layer) -> Geometry:
    """Return the window, the strides and the padding of a layer."""
    if isinstance(layer, Conv2D):
        dilation = pair(layer.dilation, "dilation")
        size = pair(layer.kernel_size, "kernel_size")
        window = ((size[0] - 1) * dilation[0] + 1, (size[1] - 1) * dilation[1] + 1)
        strides = pair(layer.strides, "strides")
    elif isinstance(layer, Pool2D):
        window = pair(layer.pool_size, "pool_size")
        strides = window if layer.strides is None else pair(layer.strides, "strides")
    elif isinstance(layer, ZeroPadding2D):
        return (1, 1), (1, 1), zero_pads(layer.padding)
    elif not is_registered(type(layer)) and len(layer.input_shape or ()) == len(layer.output_shape) == 3:
        return _probed_geometry(layer)
    elif layer.output_shape == layer.input_shape and len(layer.output_shape) == 3:
        return (1, 1), (1, 1), ((0, 0), (0, 0))
    else:
        raise ValueError(
            f"the layers up to `layer` must be convolutions, pooling, padding, or act on each value, "
            f"got {layer!r}"
        )
    height, width = (layer.input_shape or ())[:2]
    return window, strides, resolve_padding(layer.padding, (height, width), window, strides)


def _probed_geometry(layer: Layer) -> Geometry:
    """Find window, strides and padding of a user's layer: how its output changes with rows and columns."""
    rows, columns = (_probed_axis(layer.eval(), axis) for axis in (0, 1))
    return (rows[0], columns[0]), (rows[1], columns[1]), (rows[2], columns[2])


def _probed_axis(layer: Layer, axis: int) -> tuple[int, int, tuple[int, int]]:
    """Change each row of a random image, or each column, and see which rows of the output differ."""
    rng, shape = np.random.default_rng(0), layer.input_shape or ()
    image, other = (rng.standard_normal(shape).astype(layer.dtype) for _ in range(2))
    usual = layer(image[np.newaxis])[0]
    threshold = 1e-5 * np.abs(usual).max()
    changes = []
    for place in range(shape[axis]):
        changed = image.copy()
        index = (slice(None),) * axis + (place,)
        changed[index] = other[index]
        difference = np.abs(layer(changed[np.newaxis])[0] - usual)
        changes.append(difference.max(axis=(1 - axis, 2)) > threshold)
    seen = [np.flatnonzero(column) for column in np.transpose(changes)]
    middle = (len(seen) - 1) // 2  # away from the borders, where padding is seen instead
    if not len(seen[middle]):
        raise ValueError(f"the output of {type(layer).__name__} does not depend on its input")
    first, last = int(seen[middle][0]), int(seen[middle][-1])
    stride = int(seen[middle + 1][0]) - first if len(seen) > 1 and len(seen[middle + 1]) else 1
    return last - first + 1, stride, (middle * stride - first, 0)
