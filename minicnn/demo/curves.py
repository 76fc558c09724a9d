"""Loss and accuracy of a training as curves: means of several steps, and tests between them."""

import math

import numpy as np

Point = list[float]  # step, loss, accuracy

_POINTS_PER_EPOCH = 60
_MOST_POINTS = 150  # of a curve that the page gets


class Curves:
    """The curves of a training.

    Parameters
    ----------
    steps_per_epoch : int
        By which the distance of points is chosen.
    """

    def __init__(self, steps_per_epoch: int) -> None:
        self._every = max(1, steps_per_epoch // _POINTS_PER_EPOCH)
        self._train: list[Point] = []
        self._test: list[Point] = []
        self._recent: list[tuple[float, float]] = []

    @property
    def lengths(self) -> tuple[int, int]:
        """The numbers of points, to which `cut` returns."""
        return len(self._train), len(self._test)

    def add_step(self, step: int, loss: float, accuracy: float, last: bool) -> None:
        """Record a step; after the first, the last, and some of those between there is a point."""
        self._recent.append((loss, accuracy))
        if step % self._every == 0 or step == 1 or last:
            self._train.append([step, *np.mean(self._recent, axis=0).tolist()])
            self._recent.clear()

    def add_test(self, step: int, loss: float, accuracy: float) -> None:
        """Record a test."""
        self._test.append([step, float(loss), float(accuracy)])

    def cut(self, lengths: tuple[int, int]) -> None:
        """Return to the curves of these lengths."""
        del self._train[lengths[0] :], self._test[lengths[1] :]
        self._recent.clear()

    def shown(self) -> dict[str, list[Point]]:
        """Return both curves with at most about `_MOST_POINTS` points each, the last one among them."""
        finite = [point for point in self._test if math.isfinite(point[1])]
        return {"train": thinned(self._train), "test": thinned(finite)}


def thinned(points: list[Point]) -> list[Point]:
    """Return at most about `_MOST_POINTS` points, the last one among them."""
    stride = -(-len(points) // _MOST_POINTS) or 1
    return points[::-1][::stride][::-1]
