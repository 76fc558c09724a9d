"""Images in the feature space of the last hidden layer, projected to two dimensions."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from minicnn.insight import last_hidden, principal_components
from minicnn.layers import Sequential
from minicnn.plots.style import FAINT, SERIES, TITLE, dress, figure_of, new_axes, shorten

# Ten colors cannot all be distinct for color-blind readers: the marker changes from class to class, too, and
# the name of each is written at its median.
_MARKERS = "o^sDv"


def embedding(
    model: Sequential,
    images: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw images as points: the input of the last layer, projected to its first two principal components.

    Parameters
    ----------
    model : Sequential
        Built.
    images : ndarray, shape (N, H, W, C)
        uint8, or floats in [0, 1]; about a thousand.
    labels : ndarray of int, shape (N,)
        Their classes.
    class_names : sequence of str, optional
        By default the class indices.
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
        raise ValueError(f"`images` must hold at least 2 images, got {len(images)}")
    points, shares = principal_components(last_hidden(model, images))
    (ax,) = new_axes(7, 6) if ax is None else (ax,)
    for label in np.unique(labels):
        members = points[labels == label]
        colour, marker = SERIES[label % len(SERIES)], _MARKERS[label % len(_MARKERS)]
        ax.plot(*members.T, marker, color=colour, markersize=3.5, alpha=0.55, markeredgewidth=0)
        name = str(label) if class_names is None else shorten(class_names[label])
        x, y = np.median(members, axis=0)
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
