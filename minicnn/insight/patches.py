"""The image patches that activate a filter most, each as large as its receptive field."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from minicnn.insight.trace import Trace
from minicnn.layers import Concatenate, Conv2D, Layer, Pool2D, Residual, Sequential, ZeroPadding2D
from minicnn.layers.resize import zero_pads
from minicnn.ops.padding import pair, resolve_padding
from minicnn.ops.scaling import to_float
from minicnn.safeguards.nonfinite import explained
from minicnn.validation import check_int

_BATCH = 256  # images per batch: the outputs of all layers are in memory

Window = tuple[slice, slice]


class Patches(NamedTuple):
    """The patches with the largest outputs of a filter, each from another image.

    Attributes
    ----------
    pixels : ndarray, shape (n, h, w, C)
        Floats; 0 outside the image.
    values : ndarray, shape (n,)
        The outputs of the filter, in descending order.
    images : ndarray of int, shape (n,)
        Indices of the images.
    windows : list of (slice, slice)
        Rows and columns of the image; in the padding they are negative or beyond its size.
    """

    pixels: np.ndarray
    values: np.ndarray
    images: np.ndarray
    windows: list[Window]


def receptive_field(model: Sequential, layer: int, row: int, column: int) -> Window:
    """Return the rows and columns of the image that a cell of a layer's output depends on.

    They may extend beyond the image, into the padding.

    Parameters
    ----------
    model : Sequential
        Built.
    layer : int
        Index of the layer. It and all layers before it must be convolutions, pooling, padding, layers that
        act on each value or pixel separately, or a Residual or Concatenate of such layers.
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


@explained
def strongest_patches(
    model: Sequential, images: np.ndarray, layer: int, channel: int, count: int = 9
) -> Patches:
    """Return the image patches with the largest outputs of a filter, at most one from each image.

    Zeiler and Fergus, "Visualizing and understanding convolutional networks" (2014), section 3.

    Parameters
    ----------
    model : Sequential
        Built.
    images : ndarray, shape (N, H, W, C)
        uint8, or floats in [0, 1].
    layer : int
        Index of a layer with maps (h, w, channels) as output, see `receptive_field`.
    channel : int
        Index of the map: the filter, if the layer is a convolution.
    count : int
        Maximum number of patches.
    """
    layer, channel = check_int(layer, "layer"), check_int(channel, "channel")
    count = check_int(count, "count", low=1)
    if not len(images):
        raise ValueError("`images` must hold at least 1 image, got none")
    values, cells = [], []
    for start in range(0, len(images), _BATCH):
        maps = Trace(model, images[start : start + _BATCH]).outputs[layer]
        if maps.ndim != 4 or channel >= maps.shape[3]:
            raise ValueError(
                f"`layer` must have maps (h, w, channels) as output and `channel` must be one of them, "
                f"got {layer} and {channel} for an output of shape {maps.shape[1:]}"
            )
        flat = maps[..., channel].reshape(len(maps), -1)
        cells.append(flat.argmax(axis=1))
        values.append(flat.max(axis=1))
    strength, cell = np.concatenate(values), np.concatenate(cells)
    best = np.argsort(-strength, kind="stable")[:count]
    rows, columns = np.unravel_index(cell[best], maps.shape[1:3])
    windows = [receptive_field(model, layer, int(r), int(c)) for r, c in zip(rows, columns, strict=True)]
    # To look at: in [0, 1] also where the model itself scales its uint8 images.
    pixels = [_cut(to_float(images[i], model.dtype), window) for i, window in zip(best, windows, strict=True)]
    return Patches(np.stack(pixels), strength[best], best, windows)


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


def _geometry(layer: Layer) -> tuple[tuple[int, int], tuple[int, int], tuple[tuple[int, int], ...]]:
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
    elif layer.output_shape == layer.input_shape and len(layer.output_shape) == 3:
        return (1, 1), (1, 1), ((0, 0), (0, 0))
    else:
        raise ValueError(
            f"the layers up to `layer` must be convolutions, pooling, padding, or act on each value, "
            f"got {layer!r}"
        )
    height, width = (layer.input_shape or ())[:2]
    return window, strides, resolve_padding(layer.padding, (height, width), window, strides)


def _cut(image: np.ndarray, window: Window) -> np.ndarray:
    """Return a window of an image, with zeros outside the image."""
    pads = [
        (max(-part.start, 0), max(part.stop - size, 0))
        for part, size in zip(window, image.shape, strict=False)
    ]
    padded = np.pad(image, [*pads, (0, 0)])
    rows, columns = (slice(p.start + b, p.stop + b) for p, (b, _) in zip(window, pads, strict=True))
    return padded[rows, columns]
