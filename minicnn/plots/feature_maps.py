"""Inside a net: its kernels, and what each layer makes of an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minicnn.insight import Trace
from minicnn.layers import Sequential
from minicnn.plots.mosaic import draw_signed, mosaic
from minicnn.plots.style import DPI, INK, SMALL, TEXT, dress, figure_of, new_axes, shorten
from minicnn.plural import counted

_COLUMNS = 16
_ROWS, _CELLS, _CELL = 6, 42, 8  # of single values: rows at most, values in a row, pixels of a value


def kernels(kernel: np.ndarray, most: int = 16, ax: Axes | None = None) -> Figure:
    """Draw a convolution's kernels: blue where a weight is positive, red where it is negative.

    Parameters
    ----------
    kernel : ndarray, shape (kh, kw, channels, filters)
        Such as `model[0].kernel.value`.
    most : int
        Channels, and filters, to draw at most: the first.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Figure
        A column for each filter, and a row for each channel that it sees.

    Raises
    ------
    ValueError
        If the kernel has another shape, or no weights.
    """
    if np.ndim(kernel) != 4 or not np.size(kernel):
        raise ValueError(f"`kernel` must be (kh, kw, channels, filters), got {np.shape(kernel)}")
    all_channels, all_filters = kernel.shape[2:]
    kernel = kernel[:, :, :most, :most]
    height, width, channels, filters = kernel.shape
    maps = kernel.transpose(2, 3, 0, 1).reshape(-1, height, width)
    if ax is None:
        side = min(0.9, 7.0 / filters)  # inches of a kernel
        # Not narrower than the title, which begins where the kernels do.
        (ax,) = new_axes(max(1.6 + side * filters, 5.0), 1.1 + side * channels * height / width)
    whole = mosaic(maps, filters)
    image = draw_signed(ax, whole)
    shown = [
        (f"{drawn} of " if drawn < there else "") + counted(there, noun)
        for drawn, there, noun in ((filters, all_filters, "filter"), (channels, all_channels, "channel"))
    ]
    dress(ax, f"{height}x{width} kernels: {', '.join(shown)}", "filter", "channel")
    for ticks, length, size, count in (
        (ax.set_xticks, whole.shape[1], width, filters),
        (ax.set_yticks, whole.shape[0], height, channels),
    ):
        pitch = (length - size) / max(count - 1, 1)
        ticks(np.arange(count) * pitch + (size - 1) / 2, [str(number) for number in range(count)])
    ax.tick_params(labelsize=SMALL)
    ax.spines[:].set_visible(False)
    slender = max(15.0, 3 * len(whole) / whole.shape[1])
    left = (0.0, 0.5)  # so that the title has the room right of the kernels
    bar = figure_of(ax).colorbar(image, ax=ax, shrink=0.8, aspect=slender, pad=0.02, panchor=left)
    bar.set_label("weight", fontsize=SMALL, color=INK)
    bar.ax.tick_params(labelsize=SMALL, colors=INK, length=0)
    bar.outline.set_visible(False)
    return figure_of(ax)


def feature_maps(
    model: Sequential,
    image: np.ndarray,
    class_names: Sequence[str] | None = None,
    most: int = _COLUMNS,
    axes: Sequence[Axes] | None = None,
) -> Figure:
    """Draw what each layer makes of one image; each layer to a scale of its own, blue positive, red negative.

    Parameters
    ----------
    model : Sequential
        Built.
    image : ndarray, shape (H, W, C)
        uint8, or floats in [0, 1].
    class_names : sequence of str, optional
        By default the numbers.
    most : int
        Maps of a layer to draw at most: the first. Of a layer without maps, 252 values at most.
    axes : sequence of Axes, optional
        Where to draw: for the image, and for each layer that does not only change the shape.

    Returns
    -------
    Figure
    """
    trace = Trace(model, np.asarray(image)[np.newaxis])
    rows = [("image", trace.x[0])]
    for i, (layer, output) in enumerate(zip(trace.layers, trace.outputs, strict=True)):
        if not np.array_equal(output[0].ravel(), rows[-1][1].ravel()):
            rows.append((f"{i} {type(layer).__name__}", output[0]))
    drawings = [_laid_out(values, most) for _, values in rows]
    values = rows[-1][1]
    names = [str(k) for k in range(len(values))] if class_names is None else class_names
    names = [shorten(name, 16) for name in names]
    if axes is None:
        axes = _rows([len(whole) / width for whole, width in drawings], 0.08 * max(map(len, names)))
    for ax, (name, values), (whole, width) in zip(axes, rows, drawings, strict=True):
        drawn = draw_signed(ax, whole)
        if name == "image":
            drawn.set_cmap("gray")
        ax.set_xlim(-0.5, width - 0.5)
        ax.set_anchor("W")
        told = f"{name}\n{'x'.join(map(str, values.shape))}\nup to {np.abs(values).max():.3g}"
        ax.set_ylabel(told, fontsize=SMALL, color=INK, rotation=0, ha="right", va="center")
    if values.ndim == 1 and len(values) <= _CELLS:
        ax.set_xticks(np.arange(len(values)) * (_CELL + 1) + (_CELL - 1) / 2, names)
        long = max(map(len, names)) > 1  # a value takes the room of one letter
        ax.tick_params("x", labelsize=SMALL, length=0, colors=INK, rotation=90 if long else 0)
    return figure_of(axes[0])


def _laid_out(values: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    """Return maps (h, w, channels) side by side, or values as cells; and the width of a full row."""
    if values.ndim == 3:
        maps, columns = np.moveaxis(values[..., :most], -1, 0), most
    else:
        cells = values.ravel()[: _ROWS * _CELLS]
        maps, columns = np.broadcast_to(cells[:, None, None], (len(cells), _CELL, _CELL)), _CELLS
    width = mosaic(np.zeros((columns, *maps.shape[1:])), columns).shape[1]
    return mosaic(maps, min(columns, len(maps))), width


def _rows(heights: Sequence[float], below: float) -> list[Axes]:
    """Return axes under each other in a new figure, of these heights in their width; inches below them."""
    inches = [max(6.5 * height, 0.42) for height in heights]
    figure = Figure(
        figsize=(8, sum(inches) + 0.09 * len(inches) + 0.62 + below), dpi=DPI, layout="constrained"
    )
    figure.set_facecolor("white")
    figure.suptitle(
        "What each layer makes of the image: blue is positive, red negative, to a scale of its own",
        fontsize=TEXT,
        color=INK,
    )
    return list(figure.subplots(len(heights), 1, height_ratios=inches, squeeze=False)[:, 0])
