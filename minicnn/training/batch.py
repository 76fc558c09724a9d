"""One batch, and the base of what yields the batches of each epoch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from minicnn.parallel.ranks import Ranks
from minicnn.safeguards.augmented import augmented
from minicnn.training.sources import ExampleSource
from minicnn.training.weighting import class_weights
from minicnn.validation import check_int, check_numbers, check_sample_weight

# As a string, since NumPy imports `np.random` when it is first used.
Augmentation: TypeAlias = "Callable[[np.ndarray, np.random.Generator], np.ndarray]"
Part = tuple[np.ndarray, np.ndarray, np.ndarray | None]  # this rank's x, y and sample_weight


@dataclass(frozen=True, eq=False)
class Batch:
    """The examples of one step; with several ranks, those of this rank.

    Attributes
    ----------
    size : int
        Number of examples in all ranks.
    parts : list of (x, y, sample_weight)
        They are computed one after the other; `sample_weight` may be None.
    """

    size: int
    parts: list[Part]

    @classmethod
    def of(
        cls, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None, size: int | None = None
    ) -> Batch:
        """Return a batch of these arrays; with several ranks, `size` is the number of examples in all."""
        x, y = check_numbers(x, "x"), check_numbers(y, "y")
        if not (x.ndim and y.ndim and len(x) == len(y)):
            raise ValueError(f"x and y need the same length, got shapes {x.shape} and {y.shape}")
        size = check_int(len(x) if size is None else size, "size", low=max(len(x), 1))
        weights = None if sample_weight is None else check_sample_weight(sample_weight, len(x))
        return cls(size, [(x, y, weights)])

    def collected(self, ranks: Ranks) -> Batch:
        """Return the batch with the examples of all ranks in rank 0, and none in the others."""
        given = self.x, self.y, self.sample_weight
        x, y, *weights = ranks.collect(*(array for array in given if array is not None))
        return Batch.of(x, y, weights[0] if weights else None, self.size)

    @property
    def x(self) -> np.ndarray:
        """The examples of all parts."""
        return self._joined(0)

    @property
    def y(self) -> np.ndarray:
        """The labels of all parts."""
        return self._joined(1)

    @property
    def sample_weight(self) -> np.ndarray | None:
        """The weights of all examples; None if they have none."""
        return None if self.parts[0][2] is None else self._joined(2)

    def _joined(self, index: int) -> np.ndarray:
        arrays: list[Any] = [part[index] for part in self.parts]
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


class Batches:
    """The batches of each epoch; each rank gets its rows of them, augmented.

    Attributes
    ----------
    arrays : tuple of ndarray
        The data set, if it is held in arrays.
    source : ExampleSource or None
        Where the data set is, if it is not held in arrays.
    rows : ndarray or None
        The examples to train on; None if it is all of them.
    labels : ndarray or None
        All labels, if they are known before the first epoch.
    unit, size : str, int or None
        What an epoch is counted in, and its length; None if it is not known.
    batch_size : int
        The number of units in a step.
    accumulate_steps : int
        The number of parts of a step, whose gradients are added.
    class_weight : dict, optional
        Weights of classes, by which those of the examples are multiplied.
    is_weighted : bool
        Whether examples have weights.
    """

    arrays: tuple[np.ndarray, ...] = ()
    source: ExampleSource | None = None
    rows: np.ndarray | None = None
    labels: np.ndarray | None = None
    unit: str = " batches"
    size: int | None = None
    batch_size: int = 1
    is_weighted: bool = False

    def __init__(
        self,
        seed: int = 0,
        augment: Augmentation | None = None,
        accumulate_steps: int = 1,
        class_weight: Mapping[int, float] | None = None,
    ) -> None:
        self.seed, self.augment = seed, augment
        self.accumulate_steps = check_int(accumulate_steps, "accumulate_steps", low=1)
        self.class_weight = class_weight

    @property
    def steps(self) -> int | None:
        """The number of steps of an epoch; None if it is not known."""
        return None if self.size is None else -(-self.size // self.batch_size)

    def peek(self, epoch: int) -> None:
        """Find out whether examples have weights, where only the first batch of this epoch shows it."""

    def epoch(self, epoch: int, step: int, ranks: Ranks) -> Iterator[Batch]:
        """Yield the batches of an epoch from this step on."""
        parts = self._rank_parts(epoch, step * self.accumulate_steps, ranks)
        for number in itertools.count(step + 1):
            whole = _join_few(list(itertools.islice(parts, self.accumulate_steps)), ranks.size)
            if not whole:
                return
            # Seeds are padded with zeros: [s, e, 0] would repeat the stream of [s, e], the order.
            seeds = [self.seed, epoch, number, ranks.rank]
            own = [self._prepared(part, [*seeds, i] if i else seeds) for i, (_, *part) in enumerate(whole)]
            yield Batch(sum(size for size, *_ in whole), own)

    def _prepared(self, part: Any, seeds: list[int]) -> Part:
        """Return a part with augmented examples, and with the weights of their classes."""
        x, y, weights = part
        if self.augment is not None and len(x):
            x = augmented(self.augment, x, seeds)
        if self.class_weight is not None:
            by_class = class_weights(y, self.class_weight)
            weights = by_class if weights is None else weights * by_class
        return x, y, weights

    def _rank_parts(self, epoch: int, first: int, ranks: Ranks) -> Iterator[tuple]:
        """Yield, for each part of a step, its number of examples, and this rank's x, y and weights."""
        raise NotImplementedError

    def is_possible(self, step: int, seen: int) -> bool:
        """Return whether the first `step` batches of an epoch can have `seen` examples."""
        return step <= seen


def _join_few(parts: list[tuple], count: int) -> list[tuple]:
    """Join parts of fewer examples than there are ranks with their neighbours, where there are any."""
    joined = parts[:1]
    for part in parts[1:]:
        if min(part[0], joined[-1][0]) < count:
            (size, *before), (more, *after) = joined.pop(), part
            pairs = zip(before, after, strict=True)
            part = (size + more, *(None if a is None else np.concatenate([a, b]) for a, b in pairs))
        joined.append(part)
    return joined
