"""Make the pictures of this chapter: run the page's own code, and draw what a convolution does.

python examples/first_net/pictures.py [--out DIR]
"""

import argparse
import contextlib
import re
from pathlib import Path

import numpy as np
from matplotlib.patches import ConnectionPatch, Rectangle

from minicnn.plots.style import INK, MUTED, TEXT, WINE, draw_signed, figure_of, new_axes

HERE = Path(__file__).resolve().parent
ROW, COLUMN = 7, 12  # the window that is shown


def run_page(folder):
    """Run the Python blocks of README.md in a folder, where they save pictures; return their variables."""
    variables = {"__name__": "page"}
    blocks = re.findall(r"^```python\n(.*?)^```", (HERE / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    with contextlib.chdir(folder):
        exec("\n".join(blocks), variables)
    return variables


def stencil(digit, kernel, edges):
    """Draw a digit, the kernel on one of its windows, and the map of sums."""
    whole, near, sums = axes = new_axes(10, 3.9, columns=3)
    whole.imshow(digit, cmap="gray", vmin=0, vmax=1)
    draw_signed(sums, edges)
    window = digit[ROW : ROW + 3, COLUMN : COLUMN + 3]
    near.imshow(window, cmap="gray", vmin=0, vmax=1)
    for (i, j), pixel in np.ndenumerate(window):
        text = f"{pixel:.2f}\nx {kernel[i, j]}".replace("-", "\N{MINUS SIGN}")
        colour = INK if pixel > 0.5 else "white"
        near.text(j, i, text, ha="center", va="center", fontsize=TEXT + 1, color=colour)
    total = f"{edges[ROW, COLUMN]:.2f}".replace("-", "\N{MINUS SIGN}")
    whole.set_title("the digit", fontsize=TEXT, color=INK, loc="left")
    near.set_title("a window, times the kernel", fontsize=TEXT, color=INK, loc="left")
    sums.set_title("the sums: a feature map", fontsize=TEXT, color=INK, loc="left")
    near.set_xlabel(f"sum of the nine products: {total}", fontsize=TEXT, color=INK)
    whole.set_xlabel("28 columns", fontsize=TEXT, color=INK)
    whole.set_ylabel("28 rows", fontsize=TEXT, color=INK)
    sums.set_xlabel("26 columns; blue: left brighter, orange: right", fontsize=TEXT, color=INK)
    sums.set_ylabel("26 rows", fontsize=TEXT, color=INK)
    for ax in axes:
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set_visible(True)
        ax.spines[:].set_color(WINE if ax is near else MUTED)
    frame = {"fill": False, "edgecolor": WINE, "linewidth": 1.8}
    whole.add_patch(Rectangle((COLUMN - 0.5, ROW - 0.5), 3, 3, **frame))
    sums.add_patch(Rectangle((COLUMN - 0.5, ROW - 0.5), 1, 1, **frame))
    figure = figure_of(whole)
    line = {"coordsA": "data", "coordsB": "data", "color": WINE, "linewidth": 1}
    for corner in (-0.5, 2.5):
        start, end = (COLUMN + 2.5, ROW + corner), (-0.5, corner)
        figure.add_artist(ConnectionPatch(start, end, axesA=whole, axesB=near, **line))
        figure.add_artist(
            ConnectionPatch(
                (2.5, corner), (COLUMN - 0.5, ROW - 0.5 + (corner > 0)), axesA=near, axesB=sums, **line
            )
        )
    return figure


def steps(maps, kept, small):
    """Draw a feature map, what ReLU leaves of it, and what pooling leaves of that."""
    axes = new_axes(10, 3.7, columns=3)
    titles = ("feature map", "after ReLU", "after pooling by 2x2")
    for ax, values, title in zip(axes, (maps, kept, small), titles, strict=True):
        values = values[0, :, :, 0]
        draw_signed(ax, values)
        ax.set_title(title, fontsize=TEXT, color=INK, loc="left")
        label = f"{values.shape[0]}x{values.shape[1]}, {values.min():.1f} to {values.max():.1f}"
        ax.set_xlabel(label.replace("-", "\N{MINUS SIGN}"), fontsize=TEXT, color=INK)
        ax.spines[:].set_visible(True)
        ax.spines[:].set_color(MUTED)
    return figure_of(axes[0])


def main(argv=None):
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR", help="where to (default: here)")
    folder = parser.parse_args(argv).out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    page = run_page(folder)
    stencil(page["digit"], page["kernel"], page["edges"]).savefig(folder / "stencil.png")
    steps(page["maps"], page["kept"], page["small"]).savefig(folder / "steps.png")
    (folder / "digits.safetensors").unlink()


if __name__ == "__main__":
    main()
