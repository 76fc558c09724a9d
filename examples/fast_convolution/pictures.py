"""A drawing for the chapter on fast convolution: twelve products, or six and some sums.

python examples/fast_convolution/pictures.py [--out DIR]
"""

import argparse
import math
from fractions import Fraction
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from minicnn.plots.style import INK, MUTED, OLIVE, ORCHID, SMALL, TEAL, TEXT, WINE, figure_of, new_axes

FOLDER = Path(__file__).parent
POINTS = [Fraction(p) for p in ("0", "1", "-1", "1/2", "-2")]
OUT, KERNEL = 4, 3
IMAGE = OUT + KERNEL - 1
UNIT = 0.34  # inches


def signed(coefficients: list[Fraction], name: str) -> str:
    """Return a sum such as "x0 - 3/2 x1", without the terms that are zero."""
    text = ""
    for i, c in enumerate(coefficients):
        if c:
            size = "" if abs(c) == 1 else f"{abs(c)} "
            sign = (" - " if c < 0 else " + ") if text else ("-" if c < 0 else "")
            text += f"{sign}{size}{name}{i}"
    return text


def polynomial(roots: list[Fraction]) -> list[Fraction]:
    """Return the coefficients of the product of all (t - root), the constant first."""
    coefficients = [Fraction(1)]
    for root in roots:
        coefficients = [
            up - root * c for up, c in zip([Fraction(0), *coefficients], [*coefficients, 0], strict=True)
        ]
    return coefficients


def box(ax: Axes, x: float, y: float, width: float, text: str, colour: str) -> None:
    """Draw a row of pixels, of the kernel or of the output."""
    tint = [0.62 + 0.38 * part for part in to_rgb(colour)]
    ax.add_patch(Rectangle((x, y), width, 1, facecolor=tint, edgecolor="white", linewidth=1))
    ax.text(x + width / 2, y + 0.52, text, ha="center", va="center", fontsize=SMALL, color=INK)


def words(ax: Axes, x: float, y: float, text: str, colour: str = INK, align: str = "left") -> None:
    """Write a caption."""
    ax.text(x, y, text, ha=align, va="center", fontsize=TEXT, color=colour, linespacing=1.4)


def draw_tile() -> Axes:
    """Draw the direct way, a band of twelve products, above the six of F(4, 3)."""
    width, height = 10.4, 6.9
    (ax,) = new_axes(width, height)
    ax.set_position((0, 0, 1, 1))
    figure_of(ax).set_layout_engine("none")
    ax.set_xlim(0, width / UNIT)
    ax.set_ylim(height / UNIT, 0)
    ax.set_axis_off()
    words(ax, 0.8, 0.9, "Direct: each row of the output needs three products of rows, twelve in all")
    for j in range(OUT):
        y = 1.6 + 1.15 * j
        box(ax, 0.8, y, 1.3, f"y{j}", OLIVE)
        words(ax, 2.5, y + 0.5, "=", align="center")
        for i in range(KERNEL):
            x = 3.0 + 3.4 * i
            box(ax, x, y, 1.3, f"k{i}", ORCHID)
            box(ax, x + 1.3, y, 1.3, f"x{i + j}", TEAL)
            if i < KERNEL - 1:
                words(ax, x + 3.0, y + 0.5, "+", align="center")
    words(
        ax,
        14.6,
        3.9,
        "x0 to x5: rows of the image\nk0 to k2: rows of the kernel\ny0 to y3: rows of the output",
        MUTED,
    )
    top = 8.9
    words(ax, 0.8, top - 1.7, "F(4, 3): the rows are added first, then multiplied, six products in all")
    for x, text, colour in (
        (0.8, "point", MUTED),
        (3.0, "rows of the image", TEAL),
        (14.0, "rows of the kernel", ORCHID),
        (22.0, "product", WINE),
    ):
        words(ax, x, top - 0.6, text, colour)
    a_columns = []
    for place, point in enumerate([*POINTS, None]):
        y = top + 1.15 * place
        others = [q for q in POINTS if q != point]
        divisor = (
            math.prod((point - q for q in others), start=Fraction(1)) if point is not None else Fraction(1)
        )
        g = [Fraction(i == KERNEL - 1) if point is None else point**i for i in range(KERNEL)]
        a_columns.append([Fraction(j == OUT - 1) if point is None else point**j for j in range(OUT)])
        kernel = signed(g, "k") if divisor == 1 else f"({signed(g, 'k')}) · {1 / divisor}"
        words(ax, 1.6, y + 0.5, "∞" if point is None else str(point), align="center")
        box(ax, 3.0, y, 10.2, signed(polynomial(others), "x"), TEAL)
        words(ax, 13.6, y + 0.5, "·", align="center")
        box(ax, 14.0, y, 7.2, kernel, ORCHID)
        words(ax, 21.6, y + 0.5, "=", align="center")
        box(ax, 22.0, y, 1.6, f"p{place}", WINE)
    words(ax, 0.8, top + 8.0, "and the rows of the output are sums of the six products")
    for j in range(OUT):
        x, y = 0.8 + 14.4 * (j // 2), top + 8.6 + 1.15 * (j % 2)
        box(ax, x, y, 1.3, f"y{j}", OLIVE)
        words(ax, x + 1.7, y + 0.5, "=", align="center")
        box(ax, x + 2.2, y, 10.4, signed([column[j] for column in a_columns], "p"), WINE)
    return ax


def main(argv: list[str] | None = None) -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=FOLDER, help="folder for the PNG (default: beside this script)"
    )
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    figure_of(draw_tile()).savefig(args.out / "tile.png")
    print(f"wrote {args.out / 'tile.png'}")


if __name__ == "__main__":
    main()
