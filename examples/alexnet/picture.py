"""Two pictures for the README: AlexNet's shape, read from the model, and the results of the paper's tables.

python examples/alexnet/picture.py --out examples/alexnet
"""

import argparse
import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Polygon

from minicnn import Conv2D, Dense, LocalResponseNorm, Pool2D, Sequential
from minicnn.models import alexnet
from minicnn.plots.style import FAINT, INK, MUTED, SMALL, TEAL, TEXT, WINE, dress, figure_of, new_axes

FOLDER = Path(__file__).parent
# Top-5 error in per cent on the test images: Table 1 for 2010, Table 2 for 2012.
RESULTS = {
    "2010: sparse coding, the contest's best": 28.2,
    "2010: SIFT and Fisher vectors, the best until then": 25.7,
    "2010: this net": 17.0,
    "2012: SIFT and Fisher vectors, second place": 26.2,
    "2012: 5 of these nets": 16.4,
    "2012: 7 of these nets, 2 pre-trained on more images": 15.3,
}


def stages(model: Sequential) -> list[dict]:
    """Return what is drawn: each layer with weights, its output's shape, and what follows it."""
    found: list[dict] = []
    for layer in model:
        if isinstance(layer, Conv2D):
            size = layer.kernel.shape[0]
            stride = "" if layer.strides == 1 else f", stride {layer.strides}"
            words = [f"{size}x{size}{stride}"]
            found.append({"shape": layer.output_shape, "joined": layer.groups == 1, "words": words})
        elif isinstance(layer, Dense):
            found.append({"shape": layer.output_shape, "joined": True, "words": ["dense"]})
        elif isinstance(layer, LocalResponseNorm):
            found[-1]["words"].append("normalised")
        elif isinstance(layer, Pool2D):
            found[-1]["words"].append(f"pooled to {layer.output_shape[0]}x{layer.output_shape[1]}")
    return found


def box(ax: Axes, x: float, middle: float, face: float, depth: float, colour: str, slant: float) -> None:
    """Draw a box `face` high and `depth` wide; its right side, the maps themselves, is seen at an angle."""
    y = middle - face / 2
    near = [(x, y), (x + depth, y), (x + depth, y + face), (x, y + face)]
    (_, low, high, left) = near
    far = [(right + slant, height + slant) for right, height in near]
    for corners, light in (
        (near, 0.15),
        ([left, high, far[2], far[3]], 0.45),
        ([low, far[1], far[2], high], 0.3),
    ):
        shade = [light + (1 - light) * part for part in to_rgb(colour)]
        ax.add_patch(Polygon(corners, facecolor=shade, edgecolor="white", linewidth=0.8, zorder=3))


def draw_net(model: Sequential) -> Axes:
    """Draw the layers from left to right, the halves of the two graphics cards above each other."""
    (ax,) = new_axes(11, 4.4)
    heights = (3.15, 0.55)  # of the two cards
    between = sum(heights) / 2
    box(ax, 0.0, between - 0.4, 1.8, 0.06, MUTED, 0.8)
    _caption(ax, 0.4, ["image", "227x227x3"])
    before = [(0.5, between)] * 2
    x = 2.3
    for number, stage in enumerate(stages(model), 1):
        *maps, channels = stage["shape"]
        face = 0.22 * math.sqrt(maps[0]) if maps else 0.14 * math.log2(channels)
        depth = 0.045 * math.sqrt(channels / 2) if maps else 0.12
        slant = 0.45 * face if maps else 0.12
        last = number == 8
        after = []
        for card, middle in enumerate([between] if last else heights):
            box(ax, x, middle - slant / 2, face, depth, MUTED if last else (TEAL, WINE)[card], slant)
            after.append((x + depth + slant / 2, middle))
            for other, start in enumerate(before):
                if stage["joined"] or other == card:
                    crossing = other != card and not last and number > 1
                    look = (
                        {"color": INK, "linewidth": 1.6} if crossing else {"color": MUTED, "linewidth": 0.9}
                    )
                    ax.plot(*zip(start, (x, middle), strict=True), zorder=1, **look)
        _caption(
            ax,
            x + depth / 2 + 0.1,
            [f"$\\bf{{{number}}}$", "x".join(map(str, stage["shape"])), *stage["words"]],
        )
        before = after * 2 if last else after
        x += 2.15 if maps else 1.6
    for place, colour, words in (
        (1.9, TEAL, "first graphics card"),
        (4.9, WINE, "second graphics card"),
        (8.3, INK, "black lines: the cards exchange what they have computed"),
    ):
        ax.text(place, 4.9, words, fontsize=TEXT, color=colour, va="center")
    ax.set_xlim(-0.3, x - 0.6)
    ax.set_ylim(-2.6, 5.1)
    ax.set_aspect("equal")
    ax.set_axis_off()
    return ax


def _caption(ax: Axes, x: float, lines: list[str]) -> None:
    ax.text(x, -0.75, "\n".join(lines), ha="center", va="top", fontsize=SMALL, color=INK)


def draw_results() -> Axes:
    """Draw the top-5 errors of the paper's two tables."""
    (ax,) = new_axes(8, 2.9)
    for row, (name, value) in enumerate(RESULTS.items()):
        place = row + (0.4 if name.startswith("2012") else 0)
        ours = "net" in name
        ax.barh(place, value, color=TEAL if ours else FAINT, height=0.72)
        ax.text(value + 0.3, place, f"{value:.1f} %", va="center", fontsize=TEXT, color=INK)
        ax.text(-0.4, place, name, va="center", ha="right", fontsize=TEXT, color=INK)
    dress(ax, "", "top-5 error on the test images of ILSVRC (%)")
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.invert_yaxis()
    ax.set_xlim(0, 32)
    return ax


def main(argv: list[str] | None = None) -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for alexnet.png and results.png")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    model = alexnet().build((227, 227, 3), rng=0)
    figure_of(draw_net(model)).savefig(args.out / "alexnet.png")
    figure_of(draw_results()).savefig(args.out / "results.png")
    print(f"wrote {args.out / 'alexnet.png'} and {args.out / 'results.png'}")


if __name__ == "__main__":
    main()
