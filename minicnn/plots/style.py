"""The one look of all pictures: colours, sizes, and figures that belong to nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

# The palette of Okabe and Ito (2008): distinct also for the colour-blind.
BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, ORANGE, SKY = "#CC79A7", "#E69F00", "#56B4E9"
INK, MUTED, FAINT = "#222222", "#6B6B6B", "#DDDDDD"

TITLE, TEXT, SMALL = 12, 10, 8.5  # points
DPI = 150  # 8 inches are 1200 pixels: sharp at twice the width that a README gives

BLUES = LinearSegmentedColormap.from_list("blues", ["#FFFFFF", BLUE])
REDS = LinearSegmentedColormap.from_list("reds", ["#FFFFFF", VERMILLION])
SIGNED = LinearSegmentedColormap.from_list("signed", [VERMILLION, "#FFFFFF", BLUE])  # blue is more than 0


def new_axes(width: float, height: float, columns: int = 1) -> list[Axes]:
    """Return the axes, side by side, of a new figure of this size in inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    return [figure.add_subplot(1, columns, 1 + column) for column in range(columns)]


def figure_of(axes: Axes) -> Any:
    """Return the figure, or subfigure, in which the axes are."""
    return axes.figure


def shorten(name: str, most: int = 12) -> str:
    """Return a name as it is, or, if it has more letters than there is room for, its beginning.

    >>> shorten("ankle boot"), shorten("ankle boot", 6)
    ('ankle boot', 'ankle…')
    """
    return name if len(name) <= most else name[: most - 1] + "…"


def lone_mark(values: Sequence[float]) -> str:
    """Return the marker for a line through values: a line of one point is not to be seen without."""
    return "o" if len(values) == 1 else ""


def dress(axes: Axes, title: str = "", xlabel: str = "", ylabel: str = "") -> None:
    """Give axes their labels, and the common look of lines and ticks."""
    axes.set_title(title, fontsize=TITLE, color=INK, loc="left", pad=8)
    axes.set_xlabel(xlabel, fontsize=TEXT, color=INK)
    axes.set_ylabel(ylabel, fontsize=TEXT, color=INK)
    axes.tick_params(which="both", labelsize=TEXT, colors=INK, length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
