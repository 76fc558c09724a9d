"""The image patches that activate a filter most, each as large as its receptive field."""

from typing import NamedTuple

import numpy as np

from minicnn.insight.trace import Trace
from minicnn.insight.windows import Window, receptive_field
from minicnn.layers import Sequential
from minicnn.ops.scaling import to_float
from minicnn.safeguards.nonfinite import explained
from minicnn.validation import check_int

_BATCH = 256  # images per batch: the outputs of all layers are in memory


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


def _cut(image: np.ndarray, window: Window) -> np.ndarray:
    """Return a window of an image, with zeros outside the image."""
    pads = [
        (max(-part.start, 0), max(part.stop - size, 0))
        for part, size in zip(window, image.shape, strict=False)
    ]
    padded = np.pad(image, [*pads, (0, 0)])
    rows, columns = (slice(p.start + b, p.stop + b) for p, (b, _) in zip(window, pads, strict=True))
    return padded[rows, columns]
