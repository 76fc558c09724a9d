"""Whether a learner's net makes the training steps of Adam."""

from collections.abc import Iterator

import numpy as np

from minicnn.testing.grade.lenet5 import causes
from minicnn.testing.grade.lenet5.reference import LAYERS, RATE, Training
from minicnn.testing.grade.lenet5.remote import FailedError, Problem, RemoteNet

IMAGES = 16  # of which three batches are taken
_TRAININGS = 3


def wrong_training(
    remote: RemoteNet, order: list[int], weights: list[np.ndarray], loss_is_right: bool
) -> list[Problem]:
    """Return what is wrong with the training of a net, each time that it is built.

    Once in about a thousand times, a right net makes other steps in float32 than in float64: where an
    activation is within rounding of 0, or two values of a pooling window are of each other, their gradients
    differ as wholes. Other weights, or other images, do not meet this again.
    """
    first: list[Problem] = []
    for _ in range(_TRAININGS):
        rng = np.random.default_rng()
        x = rng.random((IMAGES, *remote.size, 1), np.float32)
        y = rng.integers(0, 10, IMAGES)
        try:
            problems = list(_wrong_steps(remote, order, weights, x, y, loss_is_right))
            if not problems:
                return []
            first = first or problems
            remote.build()
            weights = remote.weights("weights", order)
        except FailedError:
            if not first:
                raise
            break  # what was wrong at first counts, not what comes of building the net again
    return first


def _wrong_steps(
    remote: RemoteNet,
    order: list[int],
    weights: list[np.ndarray],
    x: np.ndarray,
    y: np.ndarray,
    loss_is_right: bool,
) -> Iterator[Problem]:
    """Yield what is wrong with three training steps."""
    training, before = Training(remote.framework, remote.size, weights), weights
    clear: list[np.ndarray] = []
    for step in range(3):
        batch = slice(step, step + 12)  # another one each time
        after = remote.weights("train", order, x=x[batch], y=y[batch])
        expected = training.step(x[batch], y[batch])
        if step == 0:
            still = [name for name, places in _pairs() if all((after[i] == weights[i]).all() for i in places)]
            if still:
                what = "nothing" if len(still) == len(LAYERS) else f"everything but {', '.join(still)}"
                cause = "the loss is not minimized" if what == "nothing" else ""
                yield f"changes {what} in a training step", cause
                return
            # A first step is the sign of the gradient, which rounding decides for the smallest ones.
            clear = [np.abs(g) > 0.01 * np.abs(g).max() for g in training.gradients]
        if not loss_is_right:
            return
        errors = [np.abs(a - b)[c].max(initial=0.0) for a, b, c in zip(after, expected, clear, strict=True)]
        if max(errors) > 0.05 * RATE * (step + 1):
            change = [a - b for a, b in zip(after, before, strict=True)]
            cause = causes.cause_of_step(change, training.gradients) if step == 0 else ""
            name = "Adam with its default hyperparameters, of the loss that it returns"
            yield f"does not make the steps of {name}: the weights differ after step {step + 1}", cause
            return
        before = after


def _pairs() -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the name of each layer and the places of its weights."""
    for i, name in enumerate(LAYERS):
        yield name, (2 * i, 2 * i + 1)
