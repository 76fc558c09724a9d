"""A map of images as a net sees them: near, what it takes for alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from minicnn.insight import last_hidden, principal_components
from minicnn.layers import Sequential
from minicnn.plots.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    TITLE,
    VERMILLION,
    dress,
    figure_of,
    new_axes,
    shorten,
)

# No ten colours are distinct for everybody: the classes beyond the eighth have another marker as well, and
# each has its name at its middle.
_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, INK, MUTED)
_MARKERS = "o^sDv"


def hidden_map(
    model: Sequential,
    images: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw images as points: what the last layer is given, along the two directions in which it varies most.

    Parameters
    ----------
    model : Sequential
        Built.
    images : ndarray, shape (N, H, W, C)
        uint8, or floats in [0, 1]; a thousand will do.
    labels : ndarray of int, shape (N,)
        Their classes.
    class_names : sequence of str, optional
        By default the numbers.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there are fewer than two images.
    """
    if len(images) < 2:
        raise ValueError(f"there must be two images at least to tell apart, got {len(images)}")
    places, shares = principal_components(last_hidden(model, images))
    (ax,) = new_axes(7, 6) if ax is None else (ax,)
    for label in np.unique(labels):
        own = places[labels == label]
        colour = _COLOURS[label % len(_COLOURS)]
        marker = _MARKERS[label // len(_COLOURS) % len(_MARKERS)]
        ax.plot(*own.T, marker, color=colour, markersize=3.5, alpha=0.55, markeredgewidth=0)
        name = str(label) if class_names is None else shorten(class_names[label])
        x, y = np.median(own, axis=0)
        text = ax.text(x, y, name, fontsize=TITLE, color=colour, weight="bold", ha="center", va="center")
        text.set_path_effects([withStroke(linewidth=3.5, foreground="white")])
    ax.grid(color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)
    first, second = 100 * shares
    dress(
        ax,
        f"{len(images):,} images in the last hidden layer",
        f"first principal component ({first:.0f} % of the variance)",
        f"second ({second:.0f} %)",
    )
    return figure_of(ax)
