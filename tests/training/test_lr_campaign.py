"""The rates that `lr_find` suggests: with each, a training learns."""

import numpy as np
import pytest

from minicnn import (
    SGD,
    Adam,
    BatchNorm,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePool2D,
    GroupNorm,
    Pool2D,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Tanh,
    Trainer,
)

OPTIMIZERS = {"SGD": SGD, "momentum": lambda lr: SGD(lr, momentum=0.9), "Adam": Adam}
NETS = {
    "pooled": lambda: [Conv2D(12, 5, strides=2), Pool2D(2), Conv2D(24, 3), GlobalAveragePool2D()],
    "pooled, ReLU": lambda: [Conv2D(12, 5, strides=2), ReLU(), Conv2D(24, 3), ReLU(), GlobalAveragePool2D()],
    "BatchNorm": lambda: [Conv2D(12, 5, strides=2), BatchNorm(), ReLU(), GlobalAveragePool2D()],
    "GroupNorm": lambda: [Conv2D(8, 5, strides=2), GroupNorm(2), ReLU(), GlobalAveragePool2D()],
    "linear": lambda: [Flatten()],
    "two layers": lambda: [Flatten(), Dense(64), ReLU()],
    "Sigmoid": lambda: [Flatten(), Dense(32), Sigmoid()],
    "Tanh": lambda: [Conv2D(8, 5, strides=2), Tanh(), Pool2D(2), Flatten(), Dense(32), Tanh()],
    "deep": lambda: [Conv2D(8, 3, strides=2), ReLU(), Flatten(), Dense(32), ReLU(), Dense(32), ReLU()],
    "Residual": lambda: [
        Conv2D(8, 3, strides=2),
        Residual([ReLU(), Conv2D(8, 3, padding="same")]),
        Flatten(),
    ],
}


def pictures(n, size=16):
    """Return coloured squares and triangles: three colours of each."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 6, n)
    x = rng.integers(0, 80, (n, size, size, 3))
    for image, label in zip(x, y, strict=True):
        top, left = rng.integers(0, size - 8, 2)
        shape = np.tri(8) if label >= 3 else np.ones((8, 8))
        image[top : top + 8, left : left + 8, label % 3] += (150 * shape).astype(int)
    return x.astype(np.uint8), y


def check(net, optimizer, n=1500, steps=(60, 100, 200)):
    x, y = pictures(n)
    for count in steps:
        model = Sequential([*NETS[net](), Dense(6)]).build((16, 16, 3), rng=0)
        trainer = Trainer(model, OPTIMIZERS[optimizer](0.01), threads=1)
        trainer.optimizer.lr = trainer.lr_find(x, y, 50, steps=count).suggestion
        losses = trainer.fit(x, y, 5, 50, verbose=0).history["loss"]
        # Knowing nothing costs log 6 = 1.79.
        assert losses[-1] < min(losses[0], 1.7), (count, trainer.optimizer.lr, losses)


@pytest.mark.campaign
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", NETS)
def test_a_training_learns_with_the_suggested_rate(net, optimizer):
    check(net, optimizer)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_a_training_learns_with_the_suggested_rate_in_short(optimizer):
    check("pooled", optimizer, n=600, steps=(60,))
