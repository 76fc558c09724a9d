"""Batches of a fit: from arrays, shuffled in each epoch, or from an iterable of the user."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, TypeAlias

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parallel.ranks import Ranks
from minicnn.training.sources import Examples, ExampleSource, is_source
from minicnn.validation import check_examples, check_int, check_numbers, check_shape

BatchSource = Iterable[Examples] | Callable[[int], Iterable[Examples]]
# As a string, since NumPy imports `np.random` when it is first used.
Augmentation: TypeAlias = "Callable[[np.ndarray, np.random.Generator], np.ndarray]"
RankBatch = tuple[int, np.ndarray, np.ndarray]  # examples in the whole batch; this rank's x and y


class Batches:
    """The batches of each epoch; each rank gets its rows of them, augmented.

    Attributes
    ----------
    arrays : tuple of ndarray
        The data set, if it is held in arrays.
    labels : ndarray or None
        All labels, if they are known before the first epoch.
    unit, size : str, int or None
        What an epoch is counted in, and its length; None if it is not known.
    batch_size : int
        The number of units in a step.
    """

    arrays: tuple[np.ndarray, ...] = ()
    labels: np.ndarray | None = None
    unit: str = " batches"
    size: int | None = None
    batch_size: int = 1

    def __init__(self, seed: int, augment: Augmentation | None) -> None:
        self.seed, self.augment = seed, augment

    def epoch(self, epoch: int, step: int, ranks: Ranks) -> Iterator[RankBatch]:
        """Yield the batches of an epoch from this step on."""
        for number, (size, x, y) in enumerate(self._rank_batches(epoch, step, ranks), step):
            if self.augment is not None and len(x):
                # Seeds are padded with zeros: [s, e, 0] would repeat the stream of [s, e], the order.
                seeds = [self.seed, epoch, number + 1, ranks.rank]
                x = self.augment(x, np.random.default_rng(seeds))
            yield size, x, y

    def _rank_batches(self, epoch: int, step: int, ranks: Ranks) -> Iterator[RankBatch]:
        raise NotImplementedError

    def is_possible(self, step: int, seen: int) -> bool:
        """Return whether the first `step` batches of an epoch can have `seen` examples."""
        return step <= seen


class ArrayBatches(Batches):
    """Batches of arrays, possibly memory-mapped: only the rows of this rank are ever read."""

    unit = " images"

    def __init__(
        self, x: np.ndarray, y: np.ndarray, batch_size: int, seed: int, augment: Augmentation | None = None
    ) -> None:
        super().__init__(seed, augment)
        self.arrays, self.labels, self.size = (x, y), y, len(x)
        self.batch_size = check_int(batch_size, "batch_size", low=1)

    def _rank_batches(self, epoch: int, step: int, ranks: Ranks) -> Iterator[RankBatch]:
        x, y = self.arrays
        order = np.random.default_rng([self.seed, epoch]).permutation(len(x))
        for start in range(step * self.batch_size, len(x), self.batch_size):
            batch = order[start : start + self.batch_size]
            rows = batch[ranks.rank :: ranks.size]
            yield len(batch), x[rows], y[rows]

    def is_possible(self, step: int, seen: int) -> bool:
        """Return whether the first `step` batches of an epoch have `seen` examples."""
        size = len(self.arrays[0])
        return (step - 1) * self.batch_size < size and seen == min(step * self.batch_size, size)


class SourceBatches(Batches):
    """Batches of a source, in the order of those of arrays; only the rows of this rank are ever read."""

    unit = " images"

    def __init__(
        self, source: ExampleSource, batch_size: int, seed: int, augment: Augmentation | None = None
    ) -> None:
        super().__init__(seed, augment)
        self.source, self.length = source, len(source)
        self.size, self.labels = self.length, source.y
        self.batch_size = check_int(batch_size, "batch_size", low=1)

    def _rank_batches(self, epoch: int, step: int, ranks: Ranks) -> Iterator[RankBatch]:
        order = np.random.default_rng([self.seed, epoch]).permutation(self.length)
        starts = range(step * self.batch_size, self.length, self.batch_size)
        rows = (order[start : start + self.batch_size][ranks.rank :: ranks.size] for start in starts)
        for start, (x, y) in zip(starts, self.source.batches(rows), strict=True):
            yield min(self.batch_size, self.length - start), x, y

    def is_possible(self, step: int, seen: int) -> bool:
        """Return whether the first `step` batches of an epoch have `seen` examples."""
        first = (step - 1) * self.batch_size
        return first < self.length and seen == min(step * self.batch_size, self.length)


class IterableBatches(Batches):
    """Batches in the order of a re-iterable object, or of what a function of the epoch returns."""

    def __init__(
        self, source: BatchSource, model: Layer, seed: int = 0, augment: Augmentation | None = None
    ) -> None:
        super().__init__(seed, augment)
        if isinstance(source, np.ndarray) or not (callable(source) or np.iterable(source)):
            raise TypeError(
                f"`x` must be an array with labels `y`, or an iterable of batches (x, y) without `y`, "
                f"got {type(source).__name__}"
            )
        self.source, self.model = source, model
        self.size = len(source) if isinstance(source, Sized) else None

    def _rank_batches(self, epoch: int, step: int, ranks: Ranks) -> Iterator[RankBatch]:
        source = self.source(epoch) if callable(self.source) else self.source
        empty = step == 0
        for batch in itertools.islice(source, step, None):
            if not isinstance(batch, tuple | list) or len(batch) != 2:
                raise TypeError(f"a batch must be a pair (x, y), got {type(batch).__name__}")
            x, y = check_pairs(*batch, self.model)
            yield len(x), x[ranks.rank :: ranks.size], y[ranks.rank :: ranks.size]
            empty = False
        if empty:
            raise ValueError(
                f"`x` gave no batches in epoch {epoch}; it must be iterable again in each epoch (a list, not "
                f"a generator), or a function of the epoch"
            )


def make_batches(
    x: Any,
    y: np.ndarray | None,
    model: Layer,
    batch_size: int,
    seed: int,
    augment: Augmentation | None,
) -> Batches:
    """Return the batches of arrays, or without `y` those of a source or an iterable."""
    if is_source(x):
        return SourceBatches(check_source(x, y, model), batch_size, seed, augment)
    if y is None:
        return IterableBatches(x, model, seed, augment)
    return ArrayBatches(*check_pairs(x, y, model), batch_size, seed, augment)


def check_data(x: Any, y: Any, model: Layer) -> ExampleSource | Examples:
    """Return examples and labels as a source or a pair of arrays."""
    return check_source(x, y, model) if is_source(x) else check_pairs(x, y, model)


def check_source(source: Any, y: Any, model: Layer) -> ExampleSource:
    """Return a source whose examples have the model's input shape."""
    if y is not None:
        raise TypeError(f"`y` must be omitted: {type(source).__name__} has its own labels")
    check_shape(source.shape, model.input_shape)
    if not len(source):
        raise ValueError("`x` must have at least one example")
    return source


def check_validation(data: Any, model: Layer) -> ExampleSource | Examples | None:
    """Return validation data as a source or a pair of arrays, None for None."""
    if data is None:
        return None
    if is_source(data):
        return check_source(data, None, model)
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise TypeError("`validation_data` must be a pair (x, y)")
    return check_pairs(data[0], data[1], model)


def check_pairs(x: Any, y: Any, model: Layer) -> Examples:
    """Return examples and labels as arrays: at least one, as many of each, of the model's input shape."""
    x, y = check_numbers(x, "x"), check_numbers(y, "y")
    check_examples(x, model.input_shape)
    if len(x) == 0 or y.ndim == 0 or len(x) != len(y):
        raise ValueError(
            f"x and y need the same length, at least one example; got shapes {x.shape} and {y.shape}"
        )
    return x, y
