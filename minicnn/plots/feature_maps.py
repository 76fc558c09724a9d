"""The kernels of a convolution, and the output of each layer for an image."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from minicnn.insight import Trace
from minicnn.layers import Sequential
from minicnn.plots.mosaic import mosaic
from minicnn.plots.style import DPI, INK, SMALL, TEXT, draw_signed, dress, figure_of, new_axes, shorten
from minicnn.plural import counted

_COLUMNS = 16
_ROWS, _CELLS, _CELL = (
    6,
    42,
    8,
)  # of vectors: the most rows, values in a row where the width is 8, pixels of a value
_LABELS, _FULL = 1.5, 6.5  # inches: of the labels, and of the maps beside them where the width is 8


def kernels(kernel: np.ndarray, limit: int = 16, ax: Axes | None = None) -> Figure:
    """Draw the kernels of a convolution, blue where a weight is positive, orange where it is negative.

    Parameters
    ----------
    kernel : ndarray, shape (kh, kw, channels, filters)
        Such as `model[0].kernel.value`.
    limit : int
        Maximum number of channels, and of filters; the first ones are drawn.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Figure
        A column for each filter, a row for each input channel.

    Raises
    ------
    ValueError
        If the kernel has another shape or is empty.
    """
    if np.ndim(kernel) != 4 or not np.size(kernel):
        raise ValueError(f"`kernel` must be (kh, kw, channels, filters), got {np.shape(kernel)}")
    all_channels, all_filters = kernel.shape[2:]
    kernel = kernel[:, :, :limit, :limit]
    height, width, channels, filters = kernel.shape
    maps = kernel.transpose(2, 3, 0, 1).reshape(-1, height, width)
    if ax is None:
        side = min(0.9, 7.0 / filters)  # inches of a kernel
        # At least as wide as the title, which starts at the left edge of the kernels.
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
    _colour_bar(ax, image, slender=max(15.0, 3 * len(whole) / whole.shape[1]))
    return figure_of(ax)


def _colour_bar(ax: Axes, image: AxesImage, slender: float) -> None:
    left = (0.0, 0.5)  # leaves room for the title right of the kernels
    bar = figure_of(ax).colorbar(image, ax=ax, shrink=0.8, aspect=slender, pad=0.02, panchor=left)
    bar.set_label("weight", fontsize=SMALL, color=INK)
    bar.ax.tick_params(labelsize=SMALL, colors=INK, length=0)
    bar.outline.set_visible(False)


def feature_maps(
    model: Sequential,
    image: np.ndarray,
    class_names: Sequence[str] | None = None,
    limit: int = _COLUMNS,
    width: float = 8.0,
    axes: Sequence[Axes] | None = None,
) -> Figure:
    """Draw the output of each layer for one image, on a scale of its own: blue is positive, orange negative.

    Parameters
    ----------
    model : Sequential
        Built.
    image : ndarray, shape (H, W, C)
        uint8, or floats in [0, 1].
    class_names : sequence of str, optional
        By default the class indices.
    limit : int
        Maximum number of maps of a layer; the first ones are drawn. Of a vector, at most 252 values are
        drawn.
    width : float
        Of a new figure, in inches.
    axes : sequence of Axes, optional
        Where to draw: the image, and each layer except those that only change the shape.

    Returns
    -------
    Figure
    """
    rows = _layer_outputs(model, image)
    room = width - _LABELS
    cells = max(round(room * _CELLS / _FULL), 1)  # of a vector in a row
    drawings = [_grid(values, limit, cells) for _, values in rows]
    values = rows[-1][1]
    names = [str(k) for k in range(len(values))] if class_names is None else class_names
    names = [shorten(name, 16) for name in names]
    if axes is None:
        axes = _rows([room * len(whole) / row for whole, row in drawings], 0.08 * max(map(len, names)), width)
    for ax, (name, values), (whole, row) in zip(axes, rows, drawings, strict=True):
        drawn = draw_signed(ax, whole)
        if name == "image":
            drawn.set_cmap("gray")
        ax.set_xlim(-0.5, row - 0.5)
        ax.set_anchor("W")
        text = f"{name}\n{'x'.join(map(str, values.shape))}\nup to {np.abs(values).max():.3g}"
        ax.set_ylabel(text, fontsize=SMALL, color=INK, rotation=0, ha="right", va="center")
    if values.ndim == 1 and len(values) <= cells:
        ax.set_xticks(np.arange(len(values)) * (_CELL + 1) + (_CELL - 1) / 2, names)
        long = max(map(len, names)) > 1  # a cell is as wide as one letter
        ax.tick_params("x", labelsize=SMALL, length=0, colors=INK, rotation=90 if long else 0)
    return figure_of(axes[0])


def _layer_outputs(model: Sequential, image: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Return name and values of the image, and of each layer that does not only change the shape."""
    trace = Trace(model, np.asarray(image)[np.newaxis])
    rows = [("image", trace.x[0])]
    for i, (layer, output) in enumerate(zip(trace.layers, trace.outputs, strict=True)):
        if not np.array_equal(output[0].ravel(), rows[-1][1].ravel()):
            rows.append((f"{i} {type(layer).__name__}", output[0]))
    return rows


def _grid(values: np.ndarray, limit: int, row: int) -> tuple[np.ndarray, int]:
    """Return a picture of maps (h, w, channels), or of a vector in rows of cells; and a full row's width."""
    if values.ndim == 3:
        maps, columns = np.moveaxis(values[..., :limit], -1, 0), limit
    else:
        cells = values.ravel()[: _ROWS * _CELLS]
        maps, columns = np.broadcast_to(cells[:, None, None], (len(cells), _CELL, _CELL)), row
    width = mosaic(np.zeros((columns, *maps.shape[1:])), columns).shape[1]
    return mosaic(maps, min(columns, len(maps))), width


def _rows(heights: Sequence[float], below: float, width: float) -> list[Axes]:
    """Return axes below each other in a new figure; all lengths in inches."""
    inches = [max(height, 0.42) for height in heights]
    title = "Output of each layer: blue is positive, orange negative, each layer on its own scale"
    lines = textwrap.wrap(title, max(round(11 * width), 30))
    figure = Figure(
        figsize=(width, sum(inches) + 0.09 * len(inches) + 0.45 + 0.17 * len(lines) + below),
        dpi=DPI,
        layout="constrained",
        facecolor="white",
    )
    figure.suptitle("\n".join(lines), fontsize=TEXT, color=INK)
    return list(figure.subplots(len(heights), 1, height_ratios=inches, squeeze=False)[:, 0])
