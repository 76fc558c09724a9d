"""A grid of small images on one axes, each with a caption."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from minicnn.plots.pixels import to_pixels, white
from minicnn.plots.style import FAINT, INK, SMALL, WINE, new_axes

_GAP = 0.12  # between tiles, in image widths
_LINE = 0.17  # height of a caption line, in image widths
_LETTERS = 13  # that fit into a line; longer lines are written smaller


def tile_axes(images: np.ndarray, columns: int, title_lines: int = 1) -> Axes:
    """Return the axes of a new figure, an inch wide for each column, that these tiles fill exactly."""
    across, down = _pitch(images)
    rows = max(-(-len(images) // columns), 1)
    title = 0.15 + 0.2 * title_lines
    return new_axes(columns, title + columns * (rows * down - _GAP) / (columns * across - _GAP))[0]


def draw_tiles(
    ax: Axes,
    images: np.ndarray,
    captions: Sequence[tuple[str, str]],
    columns: int,
    accent: str = WINE,
) -> None:
    """Draw images (N, H, W, C) in rows of `columns`, with a caption of two lines below each.

    The first line of a caption has the color `accent`.
    """
    across, down = _pitch(images)
    height = images.shape[1] / images.shape[2]
    for i, (pixels, (first, second)) in enumerate(zip(to_pixels(images), captions, strict=True)):
        left, top = (i % columns) * across, (i // columns) * down
        # extent is left, right, bottom, top: y grows downwards
        ax.imshow(pixels, cmap="gray", vmin=0, vmax=white(pixels), extent=(left, left + 1, top + height, top))
        ax.add_patch(Rectangle((left, top), 1, height, fill=False, edgecolor=FAINT, linewidth=0.8))
        for line, text, colour in ((0.6, first, accent), (1.6, second, INK)):
            y = top + height + line * _LINE
            size = SMALL * min(1, _LETTERS / max(len(text), 1))
            ax.text(left + 0.5, y, text, fontsize=size, color=colour, ha="center", va="center")
    rows = -(-len(images) // columns)
    ax.set_xlim(0, columns * across - _GAP)
    ax.set_ylim(max(rows, 1) * down - _GAP, 0)
    ax.set_aspect("equal")
    ax.set_axis_off()


def _pitch(images: np.ndarray) -> tuple[float, float]:
    """Return the horizontal and vertical distance of tiles, in image widths."""
    return 1 + _GAP, images.shape[1] / images.shape[2] + 2 * _LINE + _GAP
