"""The four textbook functions on a handwritten digit, with a picture of every step.

    python examples/textbook.py --out .

A digit of MNIST is convolved with two edge detectors and pooled. Then a gradient of 1 at every output is
propagated back, which shows the pixels that the outputs depend on.
"""

import argparse
from pathlib import Path

import numpy as np

from minicnn.datasets import load_mnist
from minicnn.functional import conv_backward, conv_forward, pool_backward, pool_forward

FOLDER = Path(__file__).parent
# The Sobel kernel for horizontal edges; its transpose is the one for vertical edges.
SOBEL = np.array([[-1.0, -2.0, -1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 1.0]])


def relu(Z: np.ndarray) -> np.ndarray:
    """Return max(Z, 0)."""
    return np.maximum(Z, 0)


def forward_and_backward(image: np.ndarray) -> dict[str, np.ndarray]:
    """Return the arrays of all steps by name, in order; each is (rows, columns, maps)."""
    A0 = image[None].astype(np.float64) / 255
    W = np.stack([SOBEL, SOBEL.T], axis=-1)[:, :, None]
    b = np.zeros((1, 1, 1, 2))
    A1 = conv_forward(A0, W, b, relu, padding="same")
    A2 = pool_forward(A1, (2, 2), (2, 2))
    dA1 = pool_backward(np.ones_like(A2), A1, (2, 2), (2, 2))
    dZ1 = dA1 * (A1 > 0)
    dA0, _, _ = conv_backward(dZ1, A0, W, b, padding="same")
    steps = {
        "input": A0,
        "conv_forward, relu": A1,
        "pool_forward": A2,
        "pool_backward:\nto every maximum": dA1,
        "relu backward": dZ1,
        "conv_backward:\ngradient of the input": dA0,
    }
    return {name: array[0] for name, array in steps.items()}


def picture(steps: dict[str, np.ndarray], path: Path) -> None:
    """Draw one column for each step and one row for each map."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    from minicnn.plots.style import SIGNED  # blue: positive

    figure, axes = plt.subplots(2, len(steps), figsize=(2.2 * len(steps), 5.2), layout="constrained")
    for column, (name, maps) in enumerate(steps.items()):
        signed = maps.min() < 0
        limit = np.abs(maps).max()
        for row in range(2):
            ax = axes[row, column]
            ax.set_axis_off()
            if row < maps.shape[2]:
                colours = {"cmap": SIGNED, "vmin": -limit} if signed else {"cmap": "gray", "vmin": 0}
                ax.imshow(maps[:, :, row], vmax=limit, **colours)
                ax.text(
                    0.5,
                    -0.04,
                    "x".join(map(str, maps.shape[:2])),
                    transform=ax.transAxes,
                    ha="center",
                    va="top",
                )
        axes[0, column].set_title(name, fontsize=10)
    caption = "upper maps:\nhorizontal edges\n\nlower maps:\nvertical edges"
    axes[1, 0].text(0.5, 0.5, caption, transform=axes[1, 0].transAxes, ha="center", va="center", fontsize=10)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main(argv: list[str] | None = None) -> None:
    """Run all steps on one digit; print shapes and ranges, and write the picture."""
    parser = argparse.ArgumentParser(description="The four textbook functions on one digit.")
    parser.add_argument("--digit", type=int, default=0, help="index of the test image (default: 0, a seven)")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for textbook.png")
    args = parser.parse_args(argv)
    _, (images, labels) = load_mnist()
    steps = forward_and_backward(images[args.digit])
    print(f"digit: {labels[args.digit]}")
    for name, maps in steps.items():
        step = " ".join(name.split())
        print(f"{step:<40} {maps.shape!s:<12} from {maps.min():.2f} to {maps.max():.2f}")
    args.out.mkdir(parents=True, exist_ok=True)
    picture(steps, args.out / "textbook.png")
    print(f"wrote {args.out / 'textbook.png'}")


if __name__ == "__main__":
    main()
