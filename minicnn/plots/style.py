"""The common style of all plots: colors, text sizes, and axes of new figures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

__all__ = [
    "DPI",
    "FAINT",
    "INK",
    "MUTED",
    "NEGATIVE",
    "OLIVE",
    "ORCHID",
    "POSITIVE",
    "SERIES",
    "SIGNED",
    "SMALL",
    "TEAL",
    "TEXT",
    "TITLE",
    "UNSIGNED",
    "VIOLET",
    "WINE",
    "draw_signed",
    "dress",
    "figure_of",
    "new_axes",
    "series",
    "shorten",
]

# Blue and orange are signs, in each picture, report and page: positive or for, negative or against. Both are
# of the palette of Okabe and Ito (2008), and nothing else has them.
POSITIVE, NEGATIVE = "#0072B2", "#D55E00"
UNSIGNED = LinearSegmentedColormap.from_list("unsigned", ["#FFFFFF", POSITIVE])
SIGNED = LinearSegmentedColormap.from_list("signed", [NEGATIVE, "#FFFFFF", POSITIVE])

INK, MUTED, FAINT = "#222222", "#6B6B6B", "#DDDDDD"

# What is only to be told apart (frameworks, classes, curves) has these, which color-blind readers distinguish
# too. Dashes or markers add to them, since in grey print some are alike.
TEAL, WINE, ORCHID, OLIVE, VIOLET = "#009E73", "#882255", "#BE79D0", "#7A7A00", "#5B3A9E"
SERIES = (TEAL, WINE, INK, ORCHID, OLIVE, VIOLET)
_DASHES = ("-", "--", "-.", ":", (0, (6, 1.5, 1, 1.5, 1, 1.5)), (0, (2, 1)))

TITLE, TEXT, SMALL = 12, 10, 8.5  # points
DPI = 150  # 8 inches are 1200 pixels: sharp on high-resolution screens

_NAN = "#E4E4E4"  # grey, so that the edge of white cells is visible


def new_axes(width: float, height: float, columns: int = 1, rows: int = 1) -> list[Axes]:
    """Return axes in rows and columns, row by row, in a new figure of this size in inches.

    Lines without a color of their own get those of `SERIES`.
    """
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    axes = [figure.add_subplot(rows, columns, 1 + place) for place in range(rows * columns)]
    for ax in axes:
        ax.set_prop_cycle(color=SERIES)
    return axes


def series(number: int) -> dict[str, Any]:
    """Return color and dashes of a line, for `Axes.plot`: of the first six, each has its own.

    >>> series(0), series(7)
    ({'color': '#009E73', 'linestyle': '-'}, {'color': '#882255', 'linestyle': '--'})
    """
    number %= len(SERIES)
    return {"color": SERIES[number], "linestyle": _DASHES[number]}


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
    colormap = (SIGNED if signed else UNSIGNED).with_extremes(bad=_NAN)
    image = ax.imshow(values, cmap=colormap, vmin=-largest if signed else 0, vmax=largest)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    return image
