"""Draw this chapter's pictures: who gets how much gradient in convolution, max pooling and average pooling.

python examples/backward/pictures.py [--out DIR]
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from minicnn.ops import TIES, avg_pool2d_backward, max_pool2d_backward
from minicnn.plots.style import (
    FAINT,
    INK,
    MUTED,
    OLIVE,
    ORCHID,
    POSITIVE,
    SMALL,
    TEAL,
    TEXT,
    VIOLET,
    figure_of,
    new_axes,
)

FOLDER = Path(__file__).parent
SIZE, KERNEL, STRIDE = 5, 3, 2
OUT = (SIZE - KERNEL) // STRIDE + 1
WINDOWS = {(0, 0): TEAL, (0, 1): ORCHID, (1, 0): OLIVE, (1, 1): VIOLET}
# Each window of 3x3 but one has a tie; the digits of dy say which window a gradient came from.
IMAGE = np.array([[1, 0, 2, 0, 1], [0, 3, 1, 0, 0], [2, 0, 3, 0, 4], [0, 1, 0, 4, 0], [1, 0, 3, 0, 2]], float)
DY = np.array([[2.0, 20.0], [200.0, 2000.0]])


def blank(width: float, height: float, unit: float) -> Axes:
    """Return axes of this size in inches, `unit` inches to a cell, y downwards, nothing drawn."""
    (ax,) = new_axes(width, height)
    figure_of(ax).set_layout_engine("none")
    ax.set_position((0, 0, 1, 1))
    ax.set_xlim(0, width / unit)
    ax.set_ylim(height / unit, 0)
    ax.set_axis_off()
    return ax


def tile(
    ax: Axes, x: float, y: float, width: float, height: float, label: str, colour: str, strength: float = 0.4
) -> None:
    """Draw a cell, or a part of one."""
    tint = [1 - strength + strength * part for part in to_rgb(colour)]
    ax.add_patch(Rectangle((x, y), width, height, facecolor=tint, edgecolor="white", linewidth=0.8))
    ax.text(x + width / 2, y + height / 2, label, ha="center", va="center", fontsize=SMALL, color=INK)


def words(ax: Axes, x: float, y: float, text: str, align: str = "center", colour: str = INK) -> None:
    """Write a caption."""
    ax.text(x, y, text, ha=align, va="center", fontsize=TEXT, color=colour, linespacing=1.4)


def frame(ax: Axes, x: float, y: float, width: float, height: float, colour: str) -> None:
    """Draw a frame around cells."""
    ax.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=1.8, zorder=4))


def scatter() -> Axes:
    """Draw how dy returns to the image through a 3x3 kernel at stride 2."""
    ax = blank(10.2, 4.6, 0.6)
    words(ax, 1.6, 1, "dy")
    for (p, q), colour in WINDOWS.items():
        tile(ax, 0.6 + q, 2.7 + p, 1, 1, f"dy{p}{q}", colour)
    words(ax, 5.9, 1, "dy01 alone: the kernel,\ntimes dy01, on its window")
    for r, t in np.ndindex(SIZE, SIZE):
        tile(ax, 3.6 + 0.92 * t, 1.9 + 0.92 * r, 0.92, 0.92, "", FAINT)
    for i, j in np.ndindex(KERNEL, KERNEL):
        place = 3.6 + 0.92 * (STRIDE + j), 1.9 + 0.92 * i
        tile(ax, *place, 0.92, 0.92, f"k{i}{j}", WINDOWS[0, 1])
    words(ax, 12.7, 0.6, "dx: the sum of all four")
    left, top, side = 9.9, 1.15, 1.14
    for r, t in np.ndindex(SIZE, SIZE):
        down = [p for p in range(OUT) if 0 <= r - STRIDE * p < KERNEL]
        across = [q for q in range(OUT) if 0 <= t - STRIDE * q < KERNEL]
        height, width = side / len(down), side / len(across)
        for row, p in enumerate(down):
            for column, q in enumerate(across):
                label = f"k{r - STRIDE * p}{t - STRIDE * q}"
                place = left + side * t + width * column, top + side * r + height * row
                tile(ax, *place, width, height, label, WINDOWS[p, q])
        frame(ax, left + side * t, top + side * r, side, side, "white")
    for t in range(SIZE):
        met = sorted(t - STRIDE * q for q in range(OUT) if 0 <= t - STRIDE * q < KERNEL)
        words(ax, left + side * (t + 0.5), top + 5 * side + 0.3, " and ".join(map(str, met)), colour=MUTED)
    words(ax, left - 0.2, top + 5 * side + 0.3, "kernel's columns:", "right", MUTED)
    return ax


def pooling() -> Axes:
    """Draw four overlapping windows with ties, and dx under each rule."""
    ax = blank(10.2, 3.55, 0.44)
    x, dy = IMAGE[None, :, :, None], DY[None, :, :, None]
    grids = {"x and its windows": IMAGE}
    for rule in TIES:
        grids[f'dx, ties="{rule}"'] = max_pool2d_backward(dy, x, KERNEL, STRIDE, ties=rule)[0, :, :, 0]
    for number, (title, values) in enumerate(grids.items()):
        left, top = 0.8 + 5.7 * number, 1.5
        words(ax, left + 2.5, 0.7, title)
        for (r, t), value in np.ndenumerate(values):
            label = f"{value:g}" if value or not number else ""
            chosen = value if number else wins(r, t)
            tile(ax, left + t, top + r, 1, 1, label, (POSITIVE if number else MUTED) if chosen else FAINT)
        if number:
            words(ax, left + 2.5, 6.9, f"sum {values.sum():g}", colour=MUTED)
    for (p, q), colour in WINDOWS.items():
        inset = 0.06 + 0.07 * (p + q)
        size = KERNEL - 2 * inset
        frame(ax, 0.8 + STRIDE * q + inset, 1.5 + STRIDE * p + inset, size, size, colour)
    words(ax, 3.3, 7.6, "dy = 2, 20, 200, 2000", colour=MUTED)
    words(ax, 3.3, 6.9, "shaded: a window's maximum", colour=MUTED)
    return ax


def wins(r: int, t: int) -> bool:
    """Return whether this cell is a maximum in one of the windows that it is in."""
    for p, q in WINDOWS:
        window = IMAGE[STRIDE * p : STRIDE * p + KERNEL, STRIDE * q : STRIDE * q + KERNEL]
        inside = 0 <= r - STRIDE * p < KERNEL and 0 <= t - STRIDE * q < KERNEL
        if inside and IMAGE[r, t] == window.max():
            return True
    return False


def average() -> Axes:
    """Draw how many real cells each padded window has, and what its gradient becomes."""
    ax = blank(8.6, 4.0, 0.46)
    count = np.array([2, 3, 2])
    dy = np.ones((1, 3, 3, 1))
    dx = avg_pool2d_backward(dy, np.zeros((1, SIZE, SIZE, 1)), KERNEL, STRIDE, "same")[0, :, :, 0]
    words(ax, 4.3, 0.6, "a window in the corner: 4 real cells of 9")
    for r, t in np.ndindex(SIZE + 2, SIZE + 2):
        real = 0 < r <= SIZE and 0 < t <= SIZE
        inside = r < KERNEL and t < KERNEL
        label = "1/4" if real and inside else "" if real else "·"
        colour, strength = (TEAL, 0.4) if real and inside else (FAINT, 0.6 if real else 0.15)
        tile(ax, 0.8 + t, 1.1 + r, 1, 1, label, colour, strength)
    frame(ax, 0.8, 1.1, KERNEL, KERNEL, TEAL)
    words(ax, 10, 1.6, "real cells")
    for p, q in np.ndindex(3, 3):
        tile(ax, 8.5 + q, 2.1 + p, 1, 1, f"{count[p] * count[q]}", TEAL if p == q == 0 else MUTED, 0.35)
    words(ax, 15, 1.2, "dx for dy = 1 everywhere")
    for (r, t), value in np.ndenumerate(dx):
        tile(ax, 12.5 + t, 2.1 + r, 1, 1, f"{value:.2f}".lstrip("0"), POSITIVE, value)
    words(ax, 15, 7.6, f"sum {dx.sum():g}: one from each window", colour=MUTED)
    return ax


def main(argv: list[str] | None = None) -> None:
    """Draw all three."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help="where to (default: here)")
    folder = parser.parse_args(argv).out
    folder.mkdir(parents=True, exist_ok=True)
    for draw in (scatter, pooling, average):
        figure_of(draw()).savefig(folder / f"{draw.__name__}.png")


if __name__ == "__main__":
    main()
