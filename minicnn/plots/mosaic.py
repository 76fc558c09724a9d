"""Many small maps on one pair of axes, in blue where positive and red where negative, to one scale."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from minicnn.plots.style import BLUES, SIGNED

_GAP = "#E4E4E4"  # so that white cells end somewhere


def mosaic(maps: np.ndarray, columns: int) -> np.ndarray:
    """Return maps (n, h, w) side by side in rows of `columns`, with gaps of NaN between them.

    >>> mosaic(np.arange(3.0).reshape(3, 1, 1), 2)
    array([[ 0., nan,  1.],
           [nan, nan, nan],
           [ 2., nan, nan]])
    """
    count, height, width = maps.shape
    gap = max(1, round(0.06 * max(height, width)))
    rows = -(-count // columns)
    whole = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for i, one in enumerate(maps):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        whole[top : top + height, left : left + width] = one
    return whole


def draw_signed(ax: Axes, values: np.ndarray) -> AxesImage:
    """Draw an array (h, w), white where it is 0, grey where NaN. Return the image, for a colour bar."""
    largest = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    signed = bool((values < 0).any())
    colours = (SIGNED if signed else BLUES).with_extremes(bad=_GAP)
    image = ax.imshow(values, cmap=colours, vmin=-largest if signed else 0, vmax=largest)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    return image
