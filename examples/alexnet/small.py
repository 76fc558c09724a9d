"""A small AlexNet for Fashion-MNIST: the paper's shape at a 290th of its parameters, trained in minutes.

    python examples/alexnet/small.py                    a look at the held-out images
    python examples/alexnet/small.py --seeds 0 1 2 --test

Five convolutions, pooling after the first, the second and the fifth, three dense layers with dropout between
them, moved and mirrored training images, and at the end the mean over ten patches, which is its answer. The
paper's response normalisation, overlapping windows and groups are left out: claims.py found nothing for them,
or something against (by test images of the same data, to be exact).

5,000 training images are held out. All else was chosen on them, and the test images are looked at only with
--test, once, after the last epoch.
"""

import argparse
import json
import math
import statistics
import time
from pathlib import Path

import numpy as np
from patches import mean_answer, ten_patches

from minicnn import AdamW, Conv2D, Dense, Dropout, Flatten, Pool2D, ReLU, Sequential, Trainer
from minicnn.datasets import Augment, load_fashion_mnist
from minicnn.metrics import accuracy, confusion_matrix
from minicnn.plots import confusion_matrix as draw_confusion
from minicnn.schedules import cosine

FOLDER = Path(__file__).parent
NAMES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
BATCH_SIZE = 64
HELD_OUT = 5000


def small_alexnet(dropout: float = 0.2) -> Sequential:
    """Return the net, for 28x28x1; 210,298 parameters.

    Pooling comes before ReLU, where the paper has it after: the result is the same, since the largest of some
    values is also the largest of their positive parts, and there is a quarter of them left.
    """
    return Sequential(
        [
            Conv2D(16, 5, padding="same"),
            Pool2D(2),
            ReLU(),  # 14x14
            Conv2D(32, 3, padding="same"),
            Pool2D(2),
            ReLU(),  # 7x7
            Conv2D(64, 3, padding="same"),
            ReLU(),
            Conv2D(64, 3, padding="same"),
            ReLU(),
            Conv2D(48, 3, padding="same"),
            Pool2D(2),
            ReLU(),  # 3x3
            Flatten(),
            Dense(192),
            ReLU(),
            Dropout(dropout),
            Dense(192),
            ReLU(),
            Dropout(dropout),
            Dense(10),
        ]
    )


def train(seed: int, args: argparse.Namespace) -> tuple[Trainer, tuple]:
    """Train with one seed; return the trainer and the held-out images with their labels."""
    (x, y), _ = load_fashion_mnist()
    held_out = x[-HELD_OUT:][: args.limit], y[-HELD_OUT:][: args.limit]
    x, y = x[:-HELD_OUT][: args.limit], y[:-HELD_OUT][: args.limit]
    steps = args.epochs * math.ceil(len(x) / BATCH_SIZE)
    warmup = steps // 20
    optimizer = AdamW(cosine(2e-3, max(steps - warmup, 1), warmup), weight_decay=0.05)
    moves = Augment(shift=1, rotation=0, shear=0, scale=0, flip=True)
    model = small_alexnet().build((28, 28, 1), rng=seed)
    trainer = Trainer(model, optimizer, seed=seed, augment=moves, threads=args.threads)
    for epoch in range(args.epochs):
        history = trainer.fit(x, y, 1, BATCH_SIZE, validation_data=held_out).history
        numbers = ", ".join(f"{name} {values[0]:.4f}" for name, values in history.items())
        print(f"seed {seed}, epoch {epoch + 1}: {numbers}", flush=True)
    return trainer, held_out


def measured(trainer: Trainer, images: np.ndarray, labels: np.ndarray) -> tuple[dict, np.ndarray]:
    """Return the accuracy in per cent, of the image alone and of ten patches, and the mean answers."""
    patches = ten_patches(images, shift=1)
    answers = {"one": mean_answer(trainer, patches[:1]), "ten": mean_answer(trainer, patches)}
    return {name: round(100 * accuracy(a, labels), 2) for name, a in answers.items()}, answers["ten"]


def main(argv: list[str] | None = None) -> None:
    """Train with each seed, and tell the accuracy; with --test, keep numbers and a picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--limit", type=int, help="use at most this many training and held-out images")
    parser.add_argument("--threads", type=int, help="default: one for each core")
    parser.add_argument("--test", action="store_true", help="look at the test images, once, at the end")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for small.json and small.png")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    runs = []
    for seed in args.seeds:
        start = time.process_time()
        trainer, held_out = train(seed, args)
        run = {"seed": seed, "epochs": args.epochs, "core_seconds": round(time.process_time() - start)}
        run["held_out"], _ = measured(trainer, *held_out)
        if args.test:
            _, test = load_fashion_mnist()
            run["test"], answers = measured(trainer, *test)
        print(run, flush=True)
        runs.append(run)
        if args.test:
            (args.out / "small.json").write_text(json.dumps(runs, indent=1) + "\n")
            draw_confusion(confusion_matrix(test[1], answers), NAMES).savefig(args.out / "small.png")
    data = "test" if args.test else "held_out"
    for name, words in (("one", "the image alone"), ("ten", "ten patches")):
        values = [run[data][name] for run in runs]
        mean = statistics.fmean(values)
        print(f"{data} accuracy, {words}: {mean:.2f} % ({min(values):.2f} to {max(values):.2f} %)")


if __name__ == "__main__":
    main()
