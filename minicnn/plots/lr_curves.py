"""Distributions inside each layer during training, and the learning rate search."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from minicnn.insight import Distributions
from minicnn.plots.style import (
    DPI,
    FAINT,
    INK,
    SMALL,
    TEAL,
    TEXT,
    VIOLET,
    WINE,
    dress,
    figure_of,
    lone_mark,
    new_axes,
)
from minicnn.training import RateSearch


def distributions(record: Distributions, axes: np.ndarray | None = None) -> Figure:
    """Draw activations, gradients and dead channels of each block over the training steps.

    The line is the median, the dark band the middle half of the values, the light band the middle 90 %. All
    gradients share one scale, so that a vanishing gradient is visibly low; where a quarter of them are 0, the
    dark band reaches the bottom.

    Parameters
    ----------
    record : Distributions
        The callback, after training.
    axes : ndarray of Axes, shape (3, blocks), optional
        Where to draw.

    Returns
    -------
    Figure
    """
    if not record.steps:
        raise ValueError("`record` is empty: pass it to a Trainer as a callback, and call `fit` first")
    if axes is None:
        figure = Figure(figsize=(10, 6), dpi=DPI, layout="constrained", facecolor="white")
        axes = figure.subplots(3, len(record.names), sharex=True, sharey="row", squeeze=False)
    activations, gradients = np.array(record.activations), np.array(record.gradients)
    positive = gradients[np.isfinite(gradients) & (gradients > 0)]
    largest = float(positive.max(initial=1e-12))
    # Values below a millionth of the largest are drawn as zero.
    bottom = max(float(positive.min(initial=largest)), 1e-6 * largest) / 2
    dead = 100 * np.array(record.dead)
    for block, (name, column) in enumerate(zip(record.names, np.transpose(axes), strict=True)):
        above, middle, below = column
        _band(above, record.steps, activations[:, block], TEAL)
        _band(middle, record.steps, np.maximum(gradients[:, block], bottom), VIOLET)
        below.fill_between(record.steps, dead[:, block], color=WINE, alpha=0.25, linewidth=0)
        below.plot(record.steps, dead[:, block], color=WINE, linewidth=1.5, marker=lone_mark(record.steps))
        middle.set_yscale("log")
        middle.set_ylim(bottom, 2 * largest)
        below.set_ylim(0, 100)
        _dress_column(column, name, first=block == 0)
    return figure_of(axes[0][0])


def _dress_column(column: np.ndarray, name: str, first: bool) -> None:
    """Set the labels and ticks of a block's axes; the first block has the labels of all rows."""
    above, middle, below = column
    dress(above, "", "", "activation" if first else "")
    above.set_title(name, fontsize=TEXT, color=INK, loc="left")
    dress(middle, "", "", "|dL/dweight| (nats)" if first else "")
    dress(below, "", "step", "dead channels (%)" if first else "")
    for ax in column:
        ax.grid(axis="y", color=FAINT, linewidth=0.6)
        ax.set_axisbelow(True)
        ax.tick_params(which="both", labelsize=SMALL)
        ax.margins(x=0)
    below.xaxis.set_major_locator(MaxNLocator(3, integer=True))


def _band(ax: Axes, steps: Sequence[int], quantiles: np.ndarray, colour: str) -> None:
    """Draw the quantiles (steps, 5) as bands around the median."""
    low, lower, median, upper, high = quantiles.T
    ax.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
    ax.fill_between(steps, lower, upper, color=colour, alpha=0.4, linewidth=0)
    ax.plot(steps, median, color=colour, linewidth=1.5, marker=lone_mark(steps))


def learning_rates(search: RateSearch, ax: Axes | None = None) -> Figure:
    """Draw the loss over the learning rate, and mark the suggested rate.

    Parameters
    ----------
    search : RateSearch
        The result of `Trainer.lr_find`.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Figure
    """
    (ax,) = new_axes(7, 3.6) if ax is None else (ax,)
    ax.plot(search.rates, search.losses, color=TEAL, linewidth=1.8, marker=lone_mark(search.rates))
    ax.axvline(search.suggestion, color=WINE, linewidth=1.5, linestyle="--")
    ax.annotate(
        f" {search.suggestion:.2g}",
        (search.suggestion, 0.03),
        xycoords=("data", "axes fraction"),
        fontsize=TEXT,
        color=WINE,
    )
    ax.set_xscale("log")
    ax.grid(axis="y", color=FAINT, linewidth=0.6)
    dress(ax, "Learning rate search, with the suggested rate", "learning rate", "smoothed loss (nats)")
    return figure_of(ax)
