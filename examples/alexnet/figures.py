"""The drawings of claims.py, in the look of minicnn.plots."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from minicnn.plots.style import FAINT, INK, TEXT, dress


def dots(ax: Axes, arms: Mapping[str, Sequence[float]], colours: Sequence[str], title: str = "") -> None:
    """Draw one row a variant: a dot for each seed, joined from row to row, and the mean as a bar."""
    values = np.array(list(arms.values()))  # (variants, seeds)
    rows = np.arange(len(arms))
    ax.plot(values, rows, color=FAINT, linewidth=1, zorder=1)
    for row, (errors, colour) in enumerate(zip(values, colours, strict=True)):
        ax.plot(errors, np.full(len(errors), row), "o", color=colour, markersize=5, alpha=0.65, zorder=2)
        ax.plot([errors.mean()] * 2, [row - 0.28, row + 0.28], color=colour, linewidth=3, zorder=3)
        look = {"ha": "center", "va": "bottom", "fontsize": TEXT, "color": INK}
        ax.text(errors.mean(), row - 0.3, f"{errors.mean():.2f} %", **look)
    dress(ax, title, "test error (%)")
    ax.set_yticks(rows, list(arms))
    ax.set_ylim(len(arms) - 0.5, -0.75)
    ax.grid(axis="x", color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)


def band(
    ax: Axes, x: Sequence[float], curves: Sequence[Sequence[float]], colour: str, label: str, style: str = "-"
) -> None:
    """Draw the mean of some curves, and the room between the lowest and the highest of them."""
    values = np.array(curves)  # (seeds, points)
    ax.fill_between(x, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.18, linewidth=0)
    ax.plot(x, values.mean(axis=0), style, color=colour, linewidth=1.8, label=label)
    ax.grid(axis="y", color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)
