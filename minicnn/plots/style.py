"""The common style of all plots: colors, text sizes, and axes of new figures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

__all__ = [
    "BLUE",
    "BLUES",
    "DPI",
    "FAINT",
    "GREEN",
    "INK",
    "MUTED",
    "ORANGE",
    "PURPLE",
    "REDS",
    "SIGNED",
    "SKY",
    "SMALL",
    "TEXT",
    "TITLE",
    "VERMILLION",
    "draw_signed",
    "dress",
    "figure_of",
    "new_axes",
    "shorten",
]

# The palette of Okabe and Ito (2008), which color-blind readers can distinguish too.
BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, ORANGE, SKY = "#CC79A7", "#E69F00", "#56B4E9"
INK, MUTED, FAINT = "#222222", "#6B6B6B", "#DDDDDD"

TITLE, TEXT, SMALL = 12, 10, 8.5  # points
DPI = 150  # 8 inches are 1200 pixels: sharp on high-resolution screens

BLUES = LinearSegmentedColormap.from_list("blues", ["#FFFFFF", BLUE])
REDS = LinearSegmentedColormap.from_list("reds", ["#FFFFFF", VERMILLION])
SIGNED = LinearSegmentedColormap.from_list("signed", [VERMILLION, "#FFFFFF", BLUE])  # blue: positive
_NAN = "#E4E4E4"  # grey, so that the edge of white cells is visible


def new_axes(width: float, height: float, columns: int = 1, rows: int = 1) -> list[Axes]:
    """Return axes in rows and columns, row by row, in a new figure of this size in inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    return [figure.add_subplot(rows, columns, 1 + place) for place in range(rows * columns)]


def figure_of(axes: Axes) -> Any:
    """Return the figure or subfigure that contains the axes."""
    return axes.figure


def shorten(name: str, length: int = 12) -> str:
    """Return a name, cut to this length if it is longer.

    >>> shorten("ankle boot"), shorten("ankle boot", 6)
    ('ankle boot', 'ankle…')
    """
    return name if len(name) <= length else name[: length - 1] + "…"


def lone_mark(values: Sequence[float]) -> str:
    """Return the marker of a line: a line with a single point is invisible without one."""
    return "o" if len(values) == 1 else ""


def dress(axes: Axes, title: str = "", xlabel: str = "", ylabel: str = "") -> None:
    """Set title and labels of axes, and the common style of their lines and ticks."""
    axes.set_title(title, fontsize=TITLE, color=INK, loc="left", pad=8)
    axes.set_xlabel(xlabel, fontsize=TEXT, color=INK)
    axes.set_ylabel(ylabel, fontsize=TEXT, color=INK)
    axes.tick_params(which="both", labelsize=TEXT, colors=INK, length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)


def draw_signed(ax: Axes, values: np.ndarray) -> AxesImage:
    """Draw an array (h, w), blue where positive, orange where negative, white at 0, grey where NaN.

    Returns
    -------
    AxesImage
        For a color bar.
    """
    largest = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    signed = bool((values < 0).any())
    colormap = (SIGNED if signed else BLUES).with_extremes(bad=_NAN)
    image = ax.imshow(values, cmap=colormap, vmin=-largest if signed else 0, vmax=largest)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    return image
