"""LeNet-5 as a picture: a seven on its way through the layers, with the size and the weights of each."""

from importlib.resources import as_file, files
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import ConnectionPatch, Rectangle

from minicnn.datasets import load_mnist
from minicnn.insight import Trace
from minicnn.models import lenet5
from minicnn.ops import softmax
from minicnn.plots.style import FAINT, INK, MUTED, SIGNED, SMALL, TEXT, figure_of, new_axes
from minicnn.saving import load_weights

SEVEN = 0  # of the test images
SIZE = (11.5, 4.4)  # inches
HEIGHT = 0.6  # of the window, for the maps
# Stage, title, its size and weights, left edge and width in the window, and columns of maps.
MAPS = (
    (0, "image", "28x28x1", 0.01, 0.1, 1),
    (2, "convolution 5x5\nsame, ReLU", "28x28x6\n150 + 6 weights", 0.15, 0.14, 2),
    (3, "max pooling\n2x2", "14x14x6", 0.32, 0.09, 2),
    (5, "convolution 5x5\nvalid, ReLU", "10x10x16\n2,400 + 16 weights", 0.445, 0.16, 4),
    (6, "max pooling\n2x2", "5x5x16", 0.635, 0.09, 4),
)
VECTORS = (
    (9, "dense\nReLU", "120\n48,000 + 120", 0.765),
    (11, "dense\nReLU", "84\n10,080 + 84", 0.845),
    (12, "dense\nsoftmax", "10\n840 + 10", 0.915),
)


def stages() -> list[np.ndarray]:
    """Return the image, and the output of each layer of the net that the package includes."""
    _, (images, _) = load_mnist()
    model = lenet5().build((28, 28, 1), rng=0)
    with as_file(files("minicnn.demo") / "weights.safetensors") as path:
        load_weights(model, path)
    trace = Trace(model, images[SEVEN : SEVEN + 1])
    return [trace.x[0], *(output[0] for output in trace.outputs)]


def sheet(maps: np.ndarray, columns: int) -> np.ndarray:
    """Return maps (H, W, C) in rows and columns, with gaps that are not a number."""
    height, width, count = maps.shape
    gap = max(1, round(0.12 * height))
    rows = -(-count // columns)
    made = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for number in range(count):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        made[top : top + height, left : left + width] = maps[..., number]
    return made


def place(window: Axes, left: float, width: float, height: float) -> Axes:
    """Return axes in the middle of the window, without anything in them."""
    ax = figure_of(window).add_axes((left, 0.47 - height / 2, width, height))
    ax.set_axis_off()
    return ax


def label(window: Axes, ax: Axes, title: str, size: str) -> None:
    """Write what a layer is above it, and its size and weights below."""
    box = ax.get_position()
    middle = (box.x0 + box.x1) / 2
    style: dict[str, Any] = {"ha": "center", "linespacing": 1.3, "transform": window.transAxes}
    window.text(middle, 0.83, title, va="bottom", fontsize=SMALL, color=INK, **style)
    window.text(middle, 0.12, size, va="top", fontsize=SMALL, color=MUTED, **style)


def shown(window: Axes, values: np.ndarray, left: float, width: float, grey: bool = False) -> Axes:
    """Draw values on a scale of their own: blue is positive."""
    rows, columns = values.shape
    ax = place(window, left, width, min(HEIGHT, rows / columns * width * SIZE[0] / SIZE[1]))
    most = np.nanmax(np.abs(values))
    colours = {"cmap": "Greys", "vmin": 0} if grey else {"cmap": SIGNED, "vmin": -most}
    ax.imshow(values, vmax=most, aspect="equal", **colours)
    ax.add_patch(Rectangle((-0.5, -0.5), columns, rows, fill=False, edgecolor=FAINT, linewidth=0.8))
    return ax


def sees(source: Axes, rows: tuple[int, int], target: Axes, cell: tuple[int, int]) -> None:
    """Frame a window in one picture and the cell that is computed from it in the next; join them."""
    first, size = rows
    for ax, (top, left), side in ((source, (first, first), size), (target, cell, 1)):
        style: dict[str, Any] = {"fill": False, "edgecolor": INK, "linewidth": 1.4}
        ax.add_patch(Rectangle((left - 0.5, top - 0.5), side, side, **style))
    for edge in (first - 0.5, first + size - 0.5):
        ends = {"xyA": (first + size - 0.5, edge), "coordsA": source.transData}
        line = ConnectionPatch(**ends, xyB=(cell[1] - 0.5, cell[0]), coordsB=target.transData)
        line.set(color=INK, linewidth=0.8, zorder=5)
        figure_of(source).add_artist(line)


def draw_lenet5() -> Axes:
    """Draw the layers from left to right; ReLUs are with the layer before them."""
    (window,) = new_axes(*SIZE)
    figure_of(window).set_layout_engine("none")
    window.set_position((0, 0, 1, 1))
    window.set_axis_off()
    found = stages()
    axes = []
    for stage, title, size, left, width, columns in MAPS:
        ax = shown(window, sheet(found[stage], columns), left, width, grey=not stage)
        axes.append(ax)
        label(window, ax, title, size)
    for source, rows, cell in ((0, (10, 5), (12, 12)), (1, (8, 2), (4, 4)), (2, (3, 5), (3, 3))):
        sees(axes[source], rows, axes[source + 1], cell)
    for stage, title, size, left in VECTORS:
        values = found[stage] if stage < len(found) - 1 else softmax(found[-1])
        ax = shown(window, values.reshape(-1, 6 if len(values) > 10 else 1), left, 0.045)
        label(window, ax, title, size)
    for number, probability in enumerate(softmax(found[-1])):
        ax.text(0.8, number, f"{number}: {probability:.0%}", va="center", fontsize=SMALL - 1, color=INK)
    window.text(0.01, 0.97, "A seven on its way through LeNet-5", va="top", fontsize=TEXT, color=INK)
    return window
