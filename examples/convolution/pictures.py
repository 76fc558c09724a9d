"""Three drawings for the chapter on convolution: which memory is copied where.

python examples/convolution/pictures.py [--out DIR]
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from minicnn.plots.style import (
    INK,
    MUTED,
    OLIVE,
    ORCHID,
    SMALL,
    TEAL,
    TEXT,
    VIOLET,
    WINE,
    figure_of,
    new_axes,
)

FOLDER = Path(__file__).parent
ROWS = (TEAL, ORCHID, OLIVE, VIOLET, MUTED)  # of the 5x5 image in two of the drawings
IMAGES = ROWS[:4]  # of the batch in the other
SIZE, KERNEL = 5, 3
OUT = SIZE - KERNEL + 1


def blank(width: float, height: float, unit: float) -> Axes:
    """Return axes of this size in inches, `unit` inches to a cell, y downwards, nothing drawn."""
    (ax,) = new_axes(width, height)
    ax.set_position((0, 0, 1, 1))
    figure_of(ax).set_layout_engine("none")
    ax.set_xlim(0, width / unit)
    ax.set_ylim(height / unit, 0)
    ax.set_axis_off()
    return ax


def cell(ax: Axes, x: float, y: float, label: str, colour: str = MUTED) -> None:
    """Draw one place of memory."""
    tint = [0.62 + 0.38 * part for part in to_rgb(colour)]
    ax.add_patch(Rectangle((x, y), 1, 1, facecolor=tint, edgecolor="white", linewidth=1))
    ax.text(x + 0.5, y + 0.52, label, ha="center", va="center", fontsize=SMALL, color=INK)


def frame(ax: Axes, x: float, y: float, width: float, height: float, colour: str = WINE) -> None:
    """Draw a frame around cells."""
    ax.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=2.2, zorder=4))


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw an arrow: this is copied there, or taken there."""
    ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": WINE, "lw": 1.6})


def brackets(ax: Axes, x: float, y: float, step: float, length: float, down: bool, chosen: int) -> None:
    """Draw the overlapping windows beside a matrix (`down`), or under a stretch of memory."""
    for q in range(OUT):
        colour = WINE if q == chosen else INK
        near, far = 1.2 * q, 1.2 * q + 0.4
        low, high = q * step + 0.12, q * step + length - 0.12
        ends, depth = [low, low, high, high], [near, far, far, near]
        xs, ys = (depth, ends) if down else (ends, depth)
        ax.plot([x + place for place in xs], [y + place for place in ys], color=colour, linewidth=1.6)
        middle = ((far + 0.4), (low + high) / 2) if down else ((low + high) / 2, far + 0.4)
        ax.text(x + middle[0], y + middle[1], f"{q}", ha="center", va="center", fontsize=TEXT, color=colour)


def words(ax: Axes, x: float, y: float, text: str, colour: str = INK, align: str = "left") -> None:
    """Write a caption."""
    ax.text(x, y, text, ha=align, va="center", fontsize=TEXT, color=colour, linespacing=1.4)


def image(ax: Axes, x: float, y: float) -> None:
    """Draw the image of 5x5 pixels, each named by its row and column."""
    for r in range(SIZE):
        for c in range(SIZE):
            cell(ax, x + c, y + r, f"{r}{c}", ROWS[r])


def draw_windows() -> Axes:
    """Draw im2col: each window is copied into a row of a matrix."""
    ax = blank(9.2, 4.1, 0.34)
    image(ax, 1.2, 4)
    words(ax, 3.7, 2.4, "the image\n25 pixels", align="center")
    frame(ax, 2.2, 4, KERNEL, KERNEL)
    frame(ax, 3.2, 6, 1, 1, INK)
    arrow(ax, (5.3, 3.9), (9.6, 2.5))
    left, top = 9.9, 1
    for number in range(OUT * OUT):
        p, q = divmod(number, OUT)
        for place in range(KERNEL * KERNEL):
            i, j = divmod(place, KERNEL)
            cell(ax, left + place, top + number, f"{p + i}{q + j}", ROWS[p + i])
            if (p + i, q + j) == (2, 2):
                frame(ax, left + place, top + number, 1, 1, INK)
    frame(ax, left, top + 1, KERNEL * KERNEL, 1)
    words(ax, left + 4.5, 11.1, "the windows: 9 rows, 81 values,\npixel 22 nine times", align="center")
    for place in range(KERNEL * KERNEL):
        cell(ax, 20.6, top + place, "k{}{}".format(*divmod(place, KERNEL)))
        cell(ax, 23.6, top + place, "y{}{}".format(*divmod(place, OUT)), WINE if place == 1 else MUTED)
    words(ax, 19.75, 5.5, "@", align="center")
    words(ax, 22.6, 5.5, "=", align="center")
    words(ax, 21.1, 11.1, "the kernel,\n9 x F", align="center")
    words(ax, 24.1, 11.1, "the output,\n9 x F", align="center")
    return ax


def draw_memory() -> Axes:
    """Draw a row of pixels of a batch, batch-first and batch-last, and a window in both."""
    unit, pixels, channels = 0.235, 5, 2
    batch = len(IMAGES)
    values = pixels * channels
    ax = blank(10.6, 5.3, unit)
    names = [f"{pixel}{'ab'[channel]}" for pixel in range(pixels) for channel in range(channels)]
    words(ax, 1, 1.2, "Batch-first (N, H, W, C): the same row of pixels in four images, far from each other")
    for n, colour in enumerate(IMAGES):
        start = 1 + n * (values + 1.2)
        for place, name in enumerate(names):
            cell(ax, start + place, 2.6, name, colour)
        frame(ax, start + channels, 2.6, KERNEL * channels, 1)
        words(ax, start + values / 2, 4.3, f"image {n}", MUTED, "center")
        if n:
            words(ax, start - 0.6, 3.1, "…", align="center")
    words(
        ax,
        1,
        6.4,
        "Batch-last (H, W, C, N): the row of all images is contiguous, and so is each window in it",
    )
    for place, name in enumerate(names):
        for n, colour in enumerate(IMAGES):
            cell(ax, 1 + place * batch + n, 7.8, name, colour)
    frame(ax, 1 + channels * batch, 7.8, KERNEL * channels * batch, 1)
    left, top = 15.5, 11.9
    words(ax, left + 2, 10.6, "the same memory, folded", align="center")
    for place, name in enumerate(names):
        for n, colour in enumerate(IMAGES):
            cell(ax, left + n, top + place, name, colour)
    brackets(ax, left + batch + 0.7, top, channels, KERNEL * channels, down=True, chosen=1)
    frame(ax, left, top + channels, batch, KERNEL * channels)
    caption = (
        "windows 0, 1 and 2: matrices of 6 x 4,\neach two rows after the one before.\nNothing is copied."
    )
    words(ax, left + 9.2, top + 5, caption)
    words(ax, 13.7, top + 5, "a row for each\npixel and channel,\na column for\neach image", align="right")
    ax.annotate("", (14.9, top + 9.8), (14.9, top + 0.2), arrowprops={"arrowstyle": "<->", "color": MUTED})
    return ax


def draw_lowered() -> Axes:
    """Draw what conv_windows copies, the rows under the kernel column by column, and what it multiplies."""
    ax = blank(9.4, 7.9, 0.36)
    image(ax, 1, 3)
    words(ax, 3.5, 1.5, "The image: each cell is\nC channels of N images", align="center")
    chosen, left = 2, 10.4  # the output row with the window that is shown
    frame(ax, 2, 3 + chosen, KERNEL, KERNEL)
    frame(ax, 3, 5, 1, 1, INK)
    words(ax, left, 1.1, "What is copied, for each row of the output: the 3 rows of the")
    words(ax, left, 1.85, "image under the kernel, column by column")
    for p in range(OUT):
        y = 3 + 2 * p
        arrow(ax, (6.3, y + 0.5), (left - 0.2, y + 0.5))
        words(ax, 6.3, y, f"rows {p} to {p + 2}")
        for place in range(SIZE * KERNEL):
            c, i = divmod(place, KERNEL)
            cell(ax, left + place, y, f"{p + i}{c}", ROWS[p + i])
            if (p + i, c) == (2, 2):
                frame(ax, left + place, y, 1, 1, INK)
    frame(ax, left + KERNEL, y, KERNEL * KERNEL, 1)
    brackets(ax, left, y + 1.3, KERNEL, KERNEL * KERNEL, down=False, chosen=1)
    words(ax, 1, 9.7, "Copied: 45 cells, pixel 22 three times.\nim2col copies 81, and it nine times.")
    top = 12.7
    words(ax, 1, top, "What is multiplied: the kernel, in the same\norder, by window 1 as it lies there")
    for place in range(KERNEL * KERNEL):
        j, i = divmod(place, KERNEL)
        for f, colour in enumerate((MUTED, INK)):
            cell(ax, 1 + place, top + 3 + f, f"k{i}{j}", colour)
        for n in range(4):
            cell(ax, 14.1 + n, top - 0.5 + place, f"{chosen + i}{1 + j}", ROWS[chosen + i])
    for f, n in np.ndindex(2, 4):
        cell(ax, 20.6 + n, top + 3 + f, f"y{chosen}1", (MUTED, INK)[f])
    frame(ax, 14.1, top - 0.5, 4, KERNEL * KERNEL)
    words(ax, 5.5, top + 5.8, "F filters x (kw * kh * C)", align="center")
    words(ax, 12, top + 4, "@", align="center")
    words(ax, 15.5, top - 1.1, "N images")
    words(ax, 19.3, top + 4, "=", align="center")
    words(ax, 22.6, top + 5.8, "F x N", align="center")
    arrow(ax, (15, y + 3.1), (15, top - 0.6))
    return ax


def main(argv: list[str] | None = None) -> None:
    """Draw all three."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=FOLDER, help="folder for the PNGs (default: beside this script)"
    )
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, draw in (("windows", draw_windows), ("memory", draw_memory), ("lowered", draw_lowered)):
        figure_of(draw()).savefig(args.out / f"{name}.png")
        print(f"wrote {args.out / name}.png")


if __name__ == "__main__":
    main()
