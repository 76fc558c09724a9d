"""Draw this chapter's pictures: a step of each function in numbers, what typical mistakes do, and LeNet-5.

python examples/course/pictures.py [--out DIR]
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from lenet5_picture import draw_lenet5
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from pages import FOLDER, FUNCTIONS, function, mistakes, solution

from minicnn import functional
from minicnn.datasets import load_mnist
from minicnn.plots.style import (
    FAINT,
    INK,
    MUTED,
    ORCHID,
    POSITIVE,
    SIGNED,
    SMALL,
    TEAL,
    TEXT,
    figure_of,
    new_axes,
)

UNIT = 0.4  # inches of a cell
YELLOW, GREY = "#F0E442", "#999999"
COLOURS = (TEAL, ORCHID, YELLOW, GREY)  # of windows
SOBEL = np.array([[-1.0, -2.0, -1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 1.0]])  # finds horizontal edges
A_PREV = np.array([[1, 0, 2, 1], [0, 3, 1, 0], [2, 1, 0, 1], [1, 0, 1, 2]], float)
W = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]], float)


def relu(Z: np.ndarray) -> np.ndarray:
    """Return max(Z, 0)."""
    return np.maximum(Z, 0)


def images(values: np.ndarray) -> np.ndarray:
    """Return a matrix as a batch of one image with one channel."""
    return values[None, :, :, None]


def blank(width: float, height: float) -> Axes:
    """Return axes that are so many cells wide and high, y downwards, nothing drawn."""
    (ax,) = new_axes(width * UNIT, height * UNIT)
    figure_of(ax).set_layout_engine("none")
    ax.set_position((0, 0, 1, 1))
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    ax.set_axis_off()
    return ax


def words(ax: Axes, x: float, y: float, text: str, colour: str = INK, size: float = TEXT) -> None:
    """Write centred."""
    ax.text(x, y, text, ha="center", va="center", fontsize=size, color=colour, linespacing=1.4)


def grid(ax: Axes, x: float, y: float, values: np.ndarray, title: str, colours: Any = FAINT) -> None:
    """Draw a matrix as cells, all in one colour or each in its own, with a title above."""
    every = np.broadcast_to(np.asarray(colours, object), values.shape)
    for (row, column), value in np.ndenumerate(values):
        tint = [0.6 + 0.4 * part for part in to_rgb(every[row, column])]
        place = (x + column, y + row)
        ax.add_patch(Rectangle(place, 1, 1, facecolor=tint, edgecolor="white", linewidth=0.8))
        words(ax, x + column + 0.5, y + row + 0.5, f"{value + 0:g}", size=SMALL + 0.5)  # no -0
    words(ax, x + values.shape[1] / 2, y - 0.6, title)


def frame(ax: Axes, x: float, y: float, width: int, height: int, **style: Any) -> None:
    """Draw a frame around cells."""
    settings = {"edgecolor": INK, "linewidth": 2.2, "zorder": 4, "fill": False} | style
    ax.add_patch(Rectangle((x, y), width, height, **settings))


def draw_conv_forward() -> Axes:
    """Draw one step: a window of the padded image, times the kernel, its sum, and the place of that."""
    ax, (i, j), bias = blank(25.5, 8.2), (1, 0), 1.0
    kernel, b = W[:, :, None, None], np.full((1, 1, 1, 1), bias)
    out = functional.conv_forward(images(A_PREV), kernel, b, relu)[0, :, :, 0]
    padded = np.pad(A_PREV, 1)
    colours = np.where(np.pad(np.ones((4, 4), bool), 1), FAINT, "#ffffff")
    grid(ax, 0.5, 1.4, padded, "A_prev, padded", colours)
    frame(ax, 0.5, 1.4, 6, 6, edgecolor=MUTED, linewidth=1, linestyle="--")
    frame(ax, 0.5 + j, 1.4 + i, 3, 3)
    window = padded[i : i + 3, j : j + 3]
    for x, values, title, sign in (
        (8, W, "W", "\N{MULTIPLICATION SIGN}"),
        (12.5, window * W, "products", "="),
    ):
        words(ax, x - 0.75, 4.4, sign)
        grid(ax, x, 2.9, values, title, ORCHID if title == "W" else FAINT)
    total = (window * W).sum()
    text = f"sum  {total:g}\n+ b = {total:g} + {bias:g} = {total + bias:g}\nrelu: {out[i, j]:g}"
    words(ax, 18, 4.4, text)
    ax.annotate("", (20.9, 2.9 + i), (19.9, 4.4), arrowprops={"arrowstyle": "->", "color": INK})
    grid(ax, 21, 2.4, out, "A")
    frame(ax, 21 + j, 2.4 + i, 1, 1)
    return ax


def draw_pool_forward() -> Axes:
    """Draw four windows, each in its colour, and what the two modes make of them."""
    ax = blank(16.5, 6.3)
    a = np.array([[1, 0, 2, 6], [4, 3, 1, 3], [2, 5, 0, 4], [1, 0, 1, 3]], float)
    windows = np.array(COLOURS, object).reshape(2, 2)
    grid(ax, 0.5, 1.5, a, "A_prev", windows.repeat(2, 0).repeat(2, 1))
    for x, mode in ((7.5, "max"), (12.5, "avg")):
        out = functional.pool_forward(images(a), (2, 2), (2, 2), mode)[0, :, :, 0]
        grid(ax, x, 2.5, out, f'mode="{mode}"', windows)
    ax.annotate("", (7.1, 3.5), (4.9, 3.5), arrowprops={"arrowstyle": "->", "color": MUTED})
    return ax


def draw_conv_backward() -> Axes:
    """Draw one step of the loop: what was there, what is added, and the sum, for all three gradients."""
    ax, place, covered = blank(22.5, 12.4), (1, 0), np.array([[0, 0, 0], [1, 1, 0], [1, 1, 0]], bool)
    a, kernel, dz = A_PREV[:3, :3], np.array([[1.0, 2.0], [0.0, -1.0]]), np.array([[1.0, 3.0], [-2.0, 1.0]])
    grid(ax, 0.5, 1.4, dz, "dZ")
    frame(ax, 0.5 + place[1], 1.4 + place[0], 1, 1)
    grid(ax, 0.5, 4.9, kernel, "W", ORCHID)
    grid(ax, 0.5, 8.4, a, "A_prev", TEAL)
    frame(ax, 0.5 + place[1], 8.4 + place[0], 2, 2)
    gradients = np.zeros((3, 3)), np.zeros((2, 2)), np.zeros((1, 1))
    for i, j in np.ndindex(2, 2):
        window = np.s_[i : i + 2, j : j + 2]
        parts = np.zeros((3, 3)), a[window] * dz[i, j], np.full((1, 1), dz[i, j])
        parts[0][window] = kernel * dz[i, j]
        if (i, j) == place:
            break
        for gradient, part in zip(gradients, parts, strict=True):
            gradient += part
    names, added = ("dA_prev", "dW", "db"), ("W · (-2), on its window", "the window · (-2)", "-2")
    colours = np.where(covered, ORCHID, FAINT), TEAL, YELLOW
    for row, top in enumerate((1.4, 6.2, 10.4)):
        before, part = gradients[row], parts[row]
        grid(ax, 6, top, before, f"{names[row]} so far")
        words(ax, 10, top + len(before) / 2, "+")
        grid(ax, 12, top, part, added[row], colours[row])
        words(ax, 16.2, top + len(before) / 2, "=")
        grid(ax, 17.8, top, before + part, names[row])
    for x in (12, 17.8):
        frame(ax, x + place[1], 1.4 + place[0], 2, 2)
    return ax


def draw_pool_backward() -> Axes:
    """Draw a window without and with a tie, and who gets its gradient."""
    ax, da = blank(26.5, 5.2), np.array([[6.0]])
    for x, window, mode, title in (
        (0.5, np.array([[1.0, 5.0], [2.0, 0.0]]), "max", 'mode="max"'),
        (9.5, np.array([[1.0, 5.0], [2.0, 0.0]]), "avg", 'mode="avg"'),
        (18.5, np.array([[5.0, 1.0], [5.0, 0.0]]), "max", 'mode="max", a tie'),
    ):
        words(ax, x + 3.5, 0.6, title)
        grid(ax, x, 2.3, window, "A_prev")
        grid(ax, x + 2.9, 2.8, da, "dA", POSITIVE)
        out = functional.pool_backward(images(da), images(window), (2, 2), (2, 2), mode)[0, :, :, 0]
        ax.annotate("", (x + 5.0, 3.3), (x + 4.1, 3.3), arrowprops={"arrowstyle": "->", "color": MUTED})
        grid(ax, x + 5.2, 2.3, out, "dA_prev", np.where(out > 0, POSITIVE, FAINT))
    return ax


def trials() -> dict[str, list[tuple[tuple[Any, ...], int]]]:
    """Return the arguments with which each mistake is drawn, and which of the results shows it."""
    digits = load_mnist()[1][0][:4].astype(np.float64) / 255
    seven, b = digits[:1], np.zeros((1, 1, 1, 1))
    kernel, even = SOBEL[:, :, None, None], np.array([[1.0, 1.0], [-1.0, -1.0]])[:, :, None, None]
    Z = functional.conv_forward(digits, kernel, b, lambda Z: Z)
    backward = ((Z > 0).astype(float), digits, kernel, b, "same", (1, 1))
    one = tuple(value[:1] if number < 2 else value for number, value in enumerate(backward))
    A, dA = relu(Z[:1]), np.ones((1, 14, 14, 1))
    both = np.concatenate([Z, functional.conv_forward(digits, kernel.swapaxes(0, 1), b, lambda Z: Z)], axis=3)
    return {
        "conv_forward": [
            ((seven, kernel, b, relu, "valid", (2, 2)), 0),
            ((seven, kernel, b, relu, "same", (1, 1)), 0),
            ((seven, kernel, b - 1, relu, "same", (1, 1)), 0),
            ((seven, even, b, relu, "same", (1, 1)), 0),
        ],
        "pool_forward": [((both, (2, 2), (2, 2), mode), 0) for mode in ("max", "max", "avg")],
        "conv_backward": [(one, 0), (one, 0), (one, 0), (backward, 1)],
        "pool_backward": [
            ((np.ones((1, 26, 26, 1)), A, (3, 3), (1, 1), "max"), 0),
            ((dA, A, (2, 2), (2, 2), "max"), 0),
            ((dA, A, (2, 2), (2, 2), "avg"), 0),
        ],
    }


def draw_mistakes(name: str) -> Axes:
    """Draw a column for each mistake: the right output, the wrong one, and the difference, on one scale."""
    found, arguments = mistakes(name), trials()[name]
    axes = new_axes(2.3 * len(found) + 0.3, 7.3, columns=len(found), rows=3)
    for column, (mistake, (given, which)) in enumerate(zip(found, arguments, strict=True)):
        shown = []
        for source in (solution(name), mistake.source):
            result = function(source, name)(*given)
            array = result[which] if isinstance(result, tuple) else result
            shown.append(array[:, :, 0, 0] if which else array[0, :, :, 0])
        same = shown[0].shape == shown[1].shape
        shown += [shown[1] - shown[0]] if same else []
        largest = max(np.abs(values).max() for values in shown)
        for row, label in enumerate(("right", "wrong", "difference")):
            ax = axes[row * len(found) + column]
            ax.set_xticks([])
            ax.set_yticks([])
            ax.spines[:].set_color(FAINT)
            if row < len(shown):
                values = shown[row]
                ax.imshow(values, cmap=SIGNED, vmin=-largest, vmax=largest)
                size = "x".join(map(str, values.shape))
                ax.set_xlabel(f"{size}, up to {np.abs(values).max():.3g}", fontsize=SMALL, color=MUTED)
            else:
                ax.set_box_aspect(1)
                words(ax, 0.5, 0.5, "none: the shape\nis another one", MUTED)
            if not row:
                ax.set_title(wrapped(mistake.title), fontsize=TEXT, color=INK)
            if not column:
                ax.set_ylabel(label, fontsize=TEXT, color=INK)
    return axes[0]


def wrapped(title: str) -> str:
    """Return a title in two lines of about the same length."""
    middle = min(
        (place for place, c in enumerate(title) if c == " "), key=lambda at: abs(at - len(title) / 2)
    )
    return f"{title[:middle]}\n{title[middle + 1 :]}"


def main(argv: list[str] | None = None) -> None:
    """Draw all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help="where to (default: here)")
    folder = parser.parse_args(argv).out
    folder.mkdir(parents=True, exist_ok=True)
    steps = (draw_conv_forward, draw_pool_forward, draw_conv_backward, draw_pool_backward)
    for name, draw in zip(FUNCTIONS, steps, strict=True):
        figure_of(draw()).savefig(folder / f"{name}.png")
        figure_of(draw_mistakes(name)).savefig(folder / f"{name}_mistakes.png")
    figure_of(draw_lenet5()).savefig(folder / "lenet5.png")


if __name__ == "__main__":
    main()
