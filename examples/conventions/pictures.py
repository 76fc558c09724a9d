"""Draw this chapter's pictures: the three meanings of "same", and where gradients go at ties.

python examples/conventions/pictures.py [--out DIR]
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from minicnn.functional import same_padding
from minicnn.ops import TIES, max_pool2d_backward, output_size, resolve_padding
from minicnn.plots.style import FAINT, INK, MUTED, SMALL, TEXT, UNSIGNED, WINE, figure_of, new_axes

FOLDER = Path(__file__).parent
CELLS = 6  # of the row that is padded
IMAGE = np.array([[5, 5, 0, 2], [5, 5, 1, 2], [0, 0, 3, 1], [0, 0, 1, 2]], float)


def same() -> Axes:
    """Draw a row of cells as three conventions pad it, with all windows below, for two kernels."""
    (ax,) = new_axes(9.6, 6.9)
    figure_of(ax).set_layout_engine("none")
    ax.set_position((0, 0, 1, 1))
    ax.set_xlim(-0.5, 25.5)
    ax.set_ylim(17.9, -0.4)
    ax.set_axis_off()
    for kernel, stride, left, others in ((3, 2, 0, ""), (4, 1, 15, ", PyTorch")):
        size, window, steps = (CELLS, 1), (kernel, 1), (stride, 1)
        conventions = {
            f'"same" of TensorFlow, Keras, minicnn{others}': resolve_padding("same", size, window, steps)[0],
            f"PyTorch, padding={kernel // 2}": (kernel // 2, kernel // 2),
            '"same" of the textbook functions': same_padding(size, window, steps)[0],
        }
        real = left + max(before for before, _ in conventions.values())
        title = f"kernel of {kernel}, stride {stride}"
        ax.text(left, 0.3, title, fontsize=TEXT + 1, color=INK, weight="bold")
        for top, (name, pads) in zip((2.6, 8.2, 14.2), conventions.items(), strict=True):
            count = output_size(size, window, steps, (pads, (0, 0)))[0]
            text = f"{pads[0]} before, {pads[1]} after: {count} outputs"
            ax.text(left, top - 0.95, name, fontsize=TEXT, color=INK)
            ax.text(left, top - 0.3, text, fontsize=SMALL, color=MUTED)
            cells(ax, real, top, pads)
            for number in range(count):
                first = real - pads[0] + number * stride
                span(ax, first, first + kernel, top + 1.2 + 0.38 * number)
    return ax


def cells(ax: Axes, left: float, top: float, pads: tuple[int, int]) -> None:
    """Draw a row of cells: the real ones grey, with their numbers, from `left` on."""
    for place in range(-pads[0], CELLS + pads[1]):
        real = 0 <= place < CELLS
        face, edge, number, colour = (FAINT, "-", str(place + 1), INK) if real else ("white", ":", "0", MUTED)
        ax.add_patch(
            Rectangle(
                (left + place, top), 1, 0.9, facecolor=face, edgecolor=MUTED, linewidth=0.8, linestyle=edge
            )
        )
        ax.text(
            left + place + 0.5, top + 0.47, number, ha="center", va="center", fontsize=SMALL, color=colour
        )


def span(ax: Axes, first: float, end: float, y: float) -> None:
    """Draw a window as a line with a dot in its middle."""
    ax.plot([first + 0.1, end - 0.1], [y, y], color=WINE, linewidth=1.8, solid_capstyle="butt")
    ax.plot((first + end) / 2, y, "o", color=WINE, markersize=4.5)


def ties() -> Axes:
    """Draw an image of four windows, three with ties, and its gradient under each rule."""
    axes = new_axes(9.6, 3.1, columns=4)
    x, dy = IMAGE[None, :, :, None], np.ones((1, 2, 2, 1))
    grid(axes[0], IMAGE, np.where(IMAGE > 0, IMAGE / 12, 0.0), "input, four windows", "each has dy = 1")
    for ax, rule in zip(axes[1:], TIES, strict=True):
        dx = max_pool2d_backward(dy, x, 2, ties=rule)[0, :, :, 0]
        grid(ax, dx, 0.6 * dx, f'ties="{rule}"', f"sum of dx: {dx.sum():g}")
    return axes[0]


def grid(ax: Axes, values: np.ndarray, shades: np.ndarray, title: str, below: str) -> None:
    """Draw a matrix with its numbers, and the frames of its 2x2 windows."""
    ax.imshow(shades, cmap=UNSIGNED, vmin=0, vmax=1)
    for (i, j), value in np.ndenumerate(values):
        ax.text(j, i, f"{value:g}", ha="center", va="center", fontsize=TEXT, color=INK if value else MUTED)
    for corner in np.ndindex(2, 2):
        place = (2 * corner[1] - 0.5, 2 * corner[0] - 0.5)
        ax.add_patch(Rectangle(place, 2, 2, fill=False, edgecolor=WINE, linewidth=1.8, clip_on=False))
    ax.set_title(title, fontsize=TEXT, color=INK)
    ax.set_xlabel(below, fontsize=TEXT, color=INK)
    ax.set_xticks(np.arange(0.5, 3), minor=True)
    ax.set_yticks(np.arange(0.5, 3), minor=True)
    ax.grid(which="minor", color=FAINT, linewidth=0.8)
    ax.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
    ax.spines[:].set_visible(False)


def main(argv: list[str] | None = None) -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help="where to (default: here)")
    folder = parser.parse_args(argv).out
    folder.mkdir(parents=True, exist_ok=True)
    for draw in (same, ties):
        figure_of(draw()).savefig(folder / f"{draw.__name__}.png")


if __name__ == "__main__":
    main()
