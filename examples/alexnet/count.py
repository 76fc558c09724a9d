"""Count AlexNet: parameters, neurons, MACs and memory, layer by layer, beside the paper's numbers.

    python examples/alexnet/count.py --picture examples/alexnet/costs.png

Nothing is trained. `train_step.py` measures what a step takes.
"""

import argparse
import math

from minicnn import SGD, Conv2D, Dense, Sequential
from minicnn.models import alexnet
from minicnn.profiling import LayerCost, layer_costs

# Of the abstract, and of the caption of Figure 2: the neurons of the eight layers. The first number is
# 55 * 48 * 96, where 96 maps of 55x55 have 290,400; the others are as counted here.
PAPER = {"parameters": "60 million", "neurons": "650,000"}
FIGURE_2 = (253_440, 186_624, 64_896, 64_896, 43_264, 4_096, 4_096, 1_000)
NAMES = [*(f"conv {i}" for i in range(1, 6)), *(f"dense {i}" for i in range(6, 9))]


def weighted(model: Sequential) -> list[tuple[LayerCost, int]]:
    """Return the costs of the layers that have weights, each with its neurons: the numbers it puts out.

    What is cached between two of them belongs to the first: its ReLU, normalisation and pooling.
    """
    rows: list[tuple[LayerCost, int]] = []
    for layer, cost in zip(model, layer_costs(model, list(model)), strict=True):
        if isinstance(layer, Conv2D | Dense):
            rows.append((cost, math.prod(cost.output_shape)))
        else:
            last, neurons = rows[-1]
            rows[-1] = last._replace(bytes_cached=last.bytes_cached + cost.bytes_cached), neurons
    return rows


def memory(model: Sequential, rows: list[tuple[LayerCost, int]], batch: int) -> dict[str, int]:
    """Return the bytes that a training step must hold, by what they are for."""
    weights = sum(parameter.value.nbytes for parameter in model.parameters())
    return {
        "weights": weights,
        "gradients": weights,
        "optimizer": weights * len(SGD(momentum=0.9).slots),
        f"caches of {batch} images": batch * sum(cost.bytes_cached for cost, _ in rows),
    }


def draw(rows: list[tuple[LayerCost, int]], path: str) -> None:
    """Save a picture: what share of each sum is due to which layer."""
    from minicnn.plots.style import INK, SMALL, TEXT, dress, figure_of, new_axes

    sums = {
        "parameters": [cost.parameters for cost, _ in rows],
        "MACs": [cost.macs for cost, _ in rows],
        "neurons": [neurons for _, neurons in rows],
        "bytes cached": [cost.bytes_cached for cost, _ in rows],
    }
    (axes,) = new_axes(9, 3)
    # Green for the convolutions, purple for the dense layers.
    colours = ["#00442F", "#00644A", "#008763", "#2FA883", "#6CC4A4", "#5E1740", "#93386B", "#BE79A5"]
    for row, values in enumerate(sums.values()):
        left = 0.0
        for value, colour, name in zip(values, colours, NAMES, strict=True):
            share = 100 * value / sum(values)
            axes.barh(
                row, share, left=left, color=colour, edgecolor="white", label=name if row == 0 else None
            )
            if share > 6:
                text = {"color": "white", "fontsize": SMALL, "ha": "center", "va": "center"}
                axes.text(left + share / 2, row, f"{share:.0f} %", **text)
            left += share
        axes.text(101, row, f"{sum(values):,}", fontsize=TEXT, color=INK, va="center")
    axes.set_yticks(range(len(sums)), list(sums))
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xticks([])
    dress(axes, "AlexNet: size, work and memory by layer")
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.legend(ncols=8, fontsize=SMALL, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.02))
    figure_of(axes).savefig(path)


def main(argv: list[str] | None = None) -> None:
    """Print the table and the sums, and draw the picture where one is wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--groups", type=int, default=2, help="1 joins the halves of the two graphics cards")
    parser.add_argument("--batch", type=int, default=16, help="images in a training step")
    parser.add_argument("--picture", help="where to save the picture")
    args = parser.parse_args(argv)

    model = alexnet(groups=args.groups).build((227, 227, 3), rng=0)
    rows = weighted(model)
    print(f"{'layer':10}{'output':>15}{'parameters':>14}{'MACs':>16}{'neurons':>10}{'Figure 2':>10}")
    for name, (cost, neurons), printed in zip(NAMES, rows, FIGURE_2, strict=True):
        shape = "x".join(map(str, cost.output_shape))
        numbers = f"{cost.parameters:14,}{cost.macs:16,}{neurons:10,}{printed:10,}"
        print(f"{name:10}{shape:>15}{numbers}")
    parameters, products = (
        sum(column) for column in list(zip(*(cost for cost, _ in rows), strict=True))[2:4]
    )
    neurons = sum(neurons for _, neurons in rows)
    print(f"{'together':25}{parameters:14,}{products:16,}{neurons:10,}{sum(FIGURE_2):10,}")
    print(f"{'the paper':25}{PAPER['parameters']:>14}{'':16}{PAPER['neurons']:>10}")
    parts = memory(model, rows, args.batch)
    print(f"\nmemory of a training step: {sum(parts.values()) / 2**20:,.0f} MiB")
    for name, size in parts.items():
        print(f"  {name:20}{size / 2**20:8,.0f}")
    if args.picture:
        draw(rows, args.picture)


if __name__ == "__main__":
    main()
