"""The sentence that explains what one sees of a training."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

_VANISHED = 1e-3  # of the last layer's gradient
_EXPLODED = 30.0
_PATIENCE = 100  # steps, after which a loss that does not fall is worth a sentence


class Seen(NamedTuple):
    """What the sentences are chosen by; `train` and `test` are the last loss and accuracy."""

    step: int
    epoch: float
    classes: int
    train: tuple[float, float] | None
    test: tuple[float, float] | None
    gradients: list[dict[str, Any]]
    dead: list[dict[str, Any]]
    kernels: np.ndarray | None

    @property
    def chance(self) -> float:
        """The loss of one that guesses."""
        return math.log(self.classes)

    @property
    def loss(self) -> float:
        """The training loss; that of guessing before the first step."""
        return self.train[0] if self.train else self.chance

    @property
    def sizes(self) -> list[float]:
        """The sizes of the gradients, from the first layer to the last."""
        return [layer["size"] for layer in self.gradients]


def _untrained(seen: Seen) -> str:
    if seen.step:
        return ""
    return (
        f"All weights are random: the network guesses, and is right for about 1 image in {seen.classes}. "
        f"Play, and watch the loss."
    )


def _zero(seen: Seen) -> str:
    if seen.kernels is None or seen.kernels.any():
        return ""
    return (
        "All kernels are 0, and stay 0: without a difference between the units nothing comes through, so the "
        "gradient of every layer but the last is 0. Random initial weights break this symmetry."
    )


def _dead(seen: Seen) -> str:
    worst = max(seen.dead, key=lambda one: one["dead"] / one["units"], default=None)
    if worst is None or worst["dead"] < 0.5 * worst["units"]:
        return ""
    if worst["dead"] == worst["units"]:
        return (
            f"Layer {worst['name']} is dead: all of its units are 0 for every test image. No gradient "
            "passes a ReLU that is 0, so nothing below it will learn again. A smaller learning rate keeps "
            "units alive."
        )
    if seen.loss < 0.5 * seen.chance:
        return ""  # it learns well with those that are left
    return (
        f"{worst['dead']} of {worst['units']} units of layer {worst['name']} are dead: they are 0 for every "
        "test image, so their gradient is 0 and no step changes them. A smaller learning rate, LeakyReLU "
        "or BatchNorm keeps units alive."
    )


def _exploded(seen: Seen) -> str:
    if not seen.sizes or max(seen.sizes) < _EXPLODED:
        return ""
    return (
        "The gradient explodes: each layer makes it larger on its way back, and one step carries the weights "
        "far away. Smaller initial weights, BatchNorm or a smaller learning rate prevent it."
    )


def _overshoots(seen: Seen) -> str:
    if seen.loss < 2 * seen.chance:
        return ""
    return (
        "The loss is far above that of guessing: the steps overshoot, and each makes it worse. Choose a "
        "smaller learning rate, or go back."
    )


def _vanished(seen: Seen) -> str:
    sizes = seen.sizes
    if len(sizes) < 3 or seen.loss < 0.5 * seen.chance or sizes[0] > _VANISHED * sizes[-1]:
        return ""
    return (
        "The gradient vanishes: layer by layer it shrinks on its way back, and the first layer gets less "
        "than a thousandth of the last one's. The first layers hardly learn. ReLU or BatchNorm helps."
    )


def _stuck(seen: Seen) -> str:
    if seen.step < _PATIENCE or seen.loss < 0.95 * seen.chance:
        return ""
    return (
        f"The loss stays at that of guessing, log {seen.classes} = {seen.chance:.2f}: the steps are too "
        "small to see, or so large that they lead nowhere."
    )


def _overfits(seen: Seen) -> str:
    if seen.train is None or seen.test is None or seen.epoch < 2 or seen.train[1] - seen.test[1] < 0.08:
        return ""
    return (
        f"It overfits: {seen.train[1]:.0%} of the training images are right, but only {seen.test[1]:.0%} of "
        f"the test images. More images, distorted images or Dropout close the gap."
    )


def _learns(seen: Seen) -> str:
    if seen.loss > 0.9 * seen.chance:
        return ""
    return "It learns: kernels turn from noise into strokes and edges, and the answers become sure."


RULES: tuple[Callable[[Seen], str], ...] = (
    _zero,
    _untrained,
    _dead,
    _exploded,
    _overshoots,
    _vanished,
    _stuck,
    _overfits,
    _learns,
)


def advice(seen: Seen) -> str:
    """Return the first sentence that fits, or nothing."""
    return next((text for rule in RULES if (text := rule(seen))), "")
