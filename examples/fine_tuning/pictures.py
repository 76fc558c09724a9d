"""Draw what freezing brings: a net that has learned digits learns letters from fifty pictures.

python examples/fine_tuning/pictures.py [--out DIR] [--epochs 40] [--limit 20000]
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from minicnn import Adam, Dense, Sequential, Trainer
from minicnn.datasets import load_mnist
from minicnn.models import lenet5
from minicnn.plots.style import INK, SMALL, TEXT, figure_of, new_axes, series

HERE = Path(__file__).resolve().parent
LETTERS = "AEHKR"


def draw_letters(count, rng):
    """Return letters as MNIST's digits are: white on black, of many sizes, slopes and places."""
    y = np.arange(count) % len(LETTERS)
    x = np.zeros((count, 28, 28, 1), np.uint8)
    for image, label in zip(x, y, strict=True):
        picture = Image.new("L", (56, 56))
        font = ImageFont.load_default(size=int(rng.integers(28, 44)))
        place = tuple(28 + rng.integers(-4, 5, 2))
        width = int(rng.integers(0, 2))
        ImageDraw.Draw(picture).text(
            place, LETTERS[label], fill=255, font=font, anchor="mm", stroke_width=width
        )
        shear = float(rng.uniform(-0.3, 0.3))
        picture = picture.rotate(float(rng.uniform(-20, 20)), Image.Resampling.BILINEAR)
        matrix = (1, shear, -28 * shear, 0, 1, 0)
        picture = picture.transform(picture.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        image[..., 0] = np.asarray(picture.resize((28, 28)))
    return x, y


def learn_letters(trunk, frozen, epochs, train, test):
    """Train a new head on a trunk, of which the first layers are frozen; return the test accuracies."""
    trunk[:frozen].trainable = False
    model = Sequential([*trunk, Dense(len(LETTERS))]).build((28, 28, 1), rng=1)
    trainer = Trainer(model, Adam(1e-3), seed=0)
    return trainer.fit(*train, epochs, 10, validation_data=test, verbose=0).history["val_accuracy"]


def main(argv=None):
    """Train on digits, then on letters in four ways, and draw the curves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR", help="where to (default: here)")
    parser.add_argument("--epochs", type=int, default=40, help="of fifty letters")
    parser.add_argument("--limit", type=int, default=20000, help="digits")
    args = parser.parse_args(argv)
    (x, y), _ = load_mnist()
    rng = np.random.default_rng(0)
    train, test = draw_letters(50, rng), draw_letters(1000, rng)
    trained = lenet5().build((28, 28, 1), rng=0)
    Trainer(trained, Adam(2e-3)).fit(x[: args.limit], y[: args.limit], 2, 64, verbose=0)
    curves = {}
    ways = {
        "digits, only the head trained": (True, 11),
        "digits, convolutions frozen": (True, 7),
        "digits, all layers trained": (True, 0),
        "from scratch": (False, 0),
    }
    for name, (pretrained, frozen) in ways.items():
        digits = lenet5().build((28, 28, 1), rng=0)
        if pretrained:
            digits.set_weights(trained.get_weights())
        curves[name] = learn_letters(digits[:-1], frozen, args.epochs, train, test)
        print(f"{name}: {curves[name][-1]:.3f}")
    (axes,) = new_axes(8, 4.5)
    for number, (name, curve) in enumerate(curves.items()):
        axes.plot(
            range(1, len(curve) + 1), curve, **series(number), linewidth=2, label=f"{name}: {curve[-1]:.3f}"
        )
    axes.legend(loc="lower right", fontsize=SMALL, frameon=False)
    axes.set_xlabel("epochs of fifty letters", fontsize=TEXT, color=INK)
    axes.set_title("accuracy on 1,000 other letters", fontsize=TEXT, color=INK, loc="left")
    args.out.mkdir(parents=True, exist_ok=True)
    figure_of(axes).savefig(args.out / "freezing.png", dpi=100)


if __name__ == "__main__":
    main()
