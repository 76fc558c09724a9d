"""The confusion matrix."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from minicnn.plots.style import (
    FAINT,
    INK,
    MUTED,
    SMALL,
    TEAL,
    TEXT,
    TITLE,
    WINE,
    dress,
    figure_of,
    new_axes,
    shorten,
)
from minicnn.plural import counted

_MAX_WRITTEN = 20  # classes; with more, the cells are too small for numbers
_CELL = 0.62  # inches
_RIGHT, _WRONG = (LinearSegmentedColormap.from_list("", ["#FFFFFF", end]) for end in (TEAL, WINE))
_TITLE_LETTER, _TEXT_LETTER = 0.092, 0.08  # width of a letter in inches, at most


def confusion_matrix(
    matrix: np.ndarray,
    class_names: Sequence[str] | None = None,
    ax: Axes | None = None,
    percentages: bool = True,
) -> Figure:
    """Draw a confusion matrix with counts, and their percentage of the true class.

    Correct predictions are green. Mistakes are purple, on their own scale, so that 1 % is visible too.

    Parameters
    ----------
    matrix : ndarray of int, shape (K, K)
        Row: the true class; column: the predicted class; see `minicnn.metrics.confusion_matrix`.
    class_names : sequence of str, optional
        By default the class indices.
    ax : Axes, optional
        Where to draw.
    percentages : bool
        Whether to write percentages, too; small cells have no room for them.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If the matrix is not square, or the number of names differs.
    """
    matrix, names = _check(np.asarray(matrix), class_names)
    classes, wrong = len(matrix), int(matrix.sum() - np.trace(matrix))
    right = np.trace(matrix) / max(matrix.sum(), 1)
    title = f"Accuracy {100 * right:.2f} %, {wrong:,} of {counted(matrix.sum(), 'image')} wrong"
    longest = max(map(len, names)) if classes <= _MAX_WRITTEN else 2
    ax = _new_cells(classes, longest, title) if ax is None else ax
    rates = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    ax.imshow(_colours(rates))
    if classes <= _MAX_WRITTEN:
        _write(ax, matrix, rates if percentages else None)
        ticks = np.arange(classes)
        long = longest > 3
        ax.set_xticks(ticks, names, rotation=45 if long else 0, ha="right" if long else "center")
        ax.set_yticks(ticks, names)
    dress(ax, title, "predicted class", "true class")
    ax.spines[:].set_visible(False)
    edges = np.arange(classes + 1) - 0.5
    ax.hlines(edges, edges[0], edges[-1], color=FAINT, linewidth=0.5)
    ax.vlines(edges, edges[0], edges[-1], color=FAINT, linewidth=0.5)
    return figure_of(ax)


def _check(matrix: np.ndarray, class_names: Sequence[str] | None) -> tuple[np.ndarray, list[str]]:
    """Return the matrix and the names of its classes, shortened, if they fit together."""
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"`matrix` must be square, got an array of shape {matrix.shape}")
    names = [str(number) for number in range(len(matrix))] if class_names is None else class_names
    if len(names) != len(matrix):
        raise ValueError(f"`class_names` must have {counted(len(matrix), 'name')}, got {len(names)}")
    return matrix, [shorten(name, 20) for name in names]


def _new_cells(classes: int, longest: int, title: str) -> Axes:
    """Return axes in a new figure, large enough for the cells, names of `longest` letters, and the title."""
    side = max(_CELL * min(classes, _MAX_WRITTEN), 2.5)
    beside = 1.5 + _TEXT_LETTER * longest
    (ax,) = new_axes(beside + max(side, _TITLE_LETTER * len(title)), beside + side)
    # The title starts at the left edge of the cells, and may need all the width to their right.
    ax.set_anchor("W")
    return ax


def _colours(rates: np.ndarray) -> np.ndarray:
    """Return a color, RGBA, for each cell: green on the diagonal, purple elsewhere, darker for more."""
    right = np.eye(len(rates), dtype=bool)
    # A number is read easily on the darkest of both.
    worst = max(float(rates[~right].max(initial=0.0)), 0.01)  # a single mistake in ten thousand stays pale
    return np.where(right[..., np.newaxis], _RIGHT(0.75 * rates), _WRONG(0.6 * rates / worst))


def _write(ax: Axes, matrix: np.ndarray, rates: np.ndarray | None) -> None:
    """Write the count, and the rate in per cent if there are rates, into each cell that is not zero."""
    # The texts lie inside the axes: leaving them out of the layout halves the time.
    options: dict[str, Any] = {"ha": "center", "va": "center", "in_layout": False}
    for (row, column), count in np.ndenumerate(matrix):
        if not count:
            ax.text(column, row, "·", fontsize=TITLE, color=MUTED, **options)
            continue
        above = 0.0 if rates is None else 0.15
        ax.text(column, row - above, f"{count:,}", fontsize=TEXT + 1, color=INK, **options)
        if rates is not None:
            rate = 100 * rates[row, column]
            percent = f"{rate:.1f} %" if rate < 99.95 else "100 %"
            ax.text(column, row + 0.2, percent, fontsize=SMALL, color=INK, **options)
