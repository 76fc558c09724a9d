"""Batches of a fit: from arrays or a source, shuffled in each epoch, or from an iterable of the user."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parallel.ranks import Ranks
from minicnn.plural import counted
from minicnn.training.batch import Batches, Part
from minicnn.training.inputs import check_pairs, check_source
from minicnn.training.sources import Examples, ExampleSource, is_source
from minicnn.validation import check_int, check_sample_weight

BatchSource = Iterable[Examples] | Callable[[int], Iterable[Examples]]


class IndexedBatches(Batches):
    """Batches of examples that have numbers; only the rows of this rank are ever read.

    Parameters
    ----------
    length : int
        The number of examples.
    batch_size : int
        Examples in a part of a step.
    rows : ndarray, optional
        The rows to train on; all by default.
    sample_weight : ndarray, optional
        A weight for each example.
    """

    unit = " images"
    size: int

    def __init__(
        self,
        length: int,
        batch_size: int,
        rows: np.ndarray | None = None,
        sample_weight: np.ndarray | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.rows, self.size = rows, length if rows is None else len(rows)
        self.part_size = check_int(batch_size, "batch_size", low=1)
        self.batch_size = self.part_size * self.accumulate_steps
        self.weights = None if sample_weight is None else check_sample_weight(sample_weight, length)
        if self.weights is not None:
            if length and not self.weights.any():
                raise ValueError("`sample_weight` must have a weight above 0, got zeros only")
            self.arrays = (self.weights,)
        self.is_weighted = self.class_weight is not None or self.weights is not None

    def _weights_of(self, rows: np.ndarray) -> np.ndarray | None:
        return None if self.weights is None else self.weights[rows]

    def _rank_parts(self, epoch: int, first: int, ranks: Ranks) -> Iterator[tuple]:
        order = np.random.default_rng([self.seed, epoch]).permutation(self.size)
        order = order if self.rows is None else self.rows[order]
        starts = range(first * self.part_size, self.size, self.part_size)
        rows = (order[start : start + self.part_size][ranks.rank :: ranks.size] for start in starts)
        for start, part in zip(starts, self._read(rows), strict=True):
            yield min(self.part_size, self.size - start), *part

    def _read(self, rows: Iterable[np.ndarray]) -> Iterator[Part]:
        """Yield x, y and weights for each array of rows."""
        raise NotImplementedError

    def is_possible(self, step: int, seen: int) -> bool:
        """Return whether the first `step` batches of an epoch have `seen` examples."""
        first = (step - 1) * self.batch_size
        return first < self.size and seen == min(step * self.batch_size, self.size)


class ArrayBatches(IndexedBatches):
    """Batches of arrays, possibly memory-mapped, perhaps with weights; `options` as for IndexedBatches."""

    def __init__(self, x: np.ndarray, y: np.ndarray, batch_size: int, **options: Any) -> None:
        super().__init__(len(x), batch_size, **options)
        self.arrays, self.labels = (x, y, *self.arrays), y

    def _read(self, rows: Iterable[np.ndarray]) -> Iterator[Part]:
        x, y = self.arrays[:2]
        for own in rows:
            yield x[own], y[own], self._weights_of(own)


class SourceBatches(IndexedBatches):
    """Batches of a source, in the order of those of arrays; `options` as for IndexedBatches."""

    def __init__(self, source: ExampleSource, batch_size: int, **options: Any) -> None:
        super().__init__(len(source), batch_size, **options)
        self.source, self.labels = source, source.y
        self._batches = source.batches

    def _read(self, rows: Iterable[np.ndarray]) -> Iterator[Part]:
        if self.weights is None:
            return ((x, y, None) for x, y in self._batches(rows))
        rows, again = itertools.tee(rows)  # a source may be a few batches ahead
        return ((x, y, self._weights_of(own)) for (x, y), own in zip(self._batches(rows), again, strict=True))


class IterableBatches(Batches):
    """Batches of a re-iterable object, or of what a function of the epoch returns; `options` of Batches."""

    def __init__(self, source: BatchSource, model: Layer, **options: Any) -> None:
        super().__init__(**options)
        if isinstance(source, np.ndarray) or not (callable(source) or np.iterable(source)):
            raise TypeError(
                f"`x` must be an array with labels `y`, or an iterable of batches (x, y) without `y`, "
                f"got {type(source).__name__}"
            )
        self.batch_source, self.model = source, model
        self.size = len(source) if isinstance(source, Sized) else None
        self.batch_size = self.accumulate_steps
        self._opened: tuple[int, Iterator[Examples]] | None = None  # an epoch whose first batch was looked at
        again = not (callable(source) or isinstance(source, Iterator))
        first = next(iter(source), None) if again else None  # type: ignore[arg-type]
        self.is_weighted = self.class_weight is not None or _has_weights(first)

    def _prepared(self, part: Any, seeds: list[int]) -> Part:
        x, y, weights = part
        if self.augment is not None:  # which may write into its argument, and this one belongs to the user
            x = x.copy()
        return super()._prepared((x, y, weights), seeds)

    def peek(self, epoch: int) -> None:
        """Look at the first batch of a function of the epoch, which is not called again for this epoch."""
        if callable(self.batch_source):
            rest = iter(self._call(epoch))
            first = list(itertools.islice(rest, 1))
            self.is_weighted = self.is_weighted or any(map(_has_weights, first))
            self._opened = epoch, itertools.chain(first, rest)

    def _open(self, epoch: int) -> Iterable[Examples]:
        opened, self._opened = self._opened, None
        if opened and opened[0] == epoch:
            return opened[1]
        return self._call(epoch) if callable(self.batch_source) else self.batch_source

    def _call(self, epoch: int) -> Iterable[Examples]:
        given = self.batch_source(epoch)  # type: ignore[operator]
        if not np.iterable(given):
            raise TypeError(
                f"`x({epoch})` must return an iterable of batches (x, y), got {type(given).__name__}"
            )
        return given

    def _rank_parts(self, epoch: int, first: int, ranks: Ranks) -> Iterator[tuple]:
        source = self._open(epoch)
        own, empty = slice(ranks.rank, None, ranks.size), first == 0
        for batch in itertools.islice(source, first, None):
            x, y, weights = self._checked(batch)
            yield len(x), x[own], y[own], None if weights is None else weights[own]
            empty = False
        if empty:
            raise ValueError(
                f"`x` yielded no batches in epoch {epoch}; it must be iterable again in each epoch (a list, "
                f"not a generator), or a function of the epoch"
            )

    def _checked(self, batch: Any) -> Part:
        if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
            got = counted(len(batch), "value") if isinstance(batch, tuple | list) else type(batch).__name__
            raise TypeError(f"a batch must be (x, y) or (x, y, sample_weight), got {got}")
        x, y = check_pairs(batch[0], batch[1], self.model)
        if not _has_weights(batch):
            return x, y, np.ones(len(x)) if self.is_weighted else None
        if not self.is_weighted:
            raise ValueError("the first batch has no sample weights, so no other batch can have them")
        return x, y, check_sample_weight(batch[2], len(x))


def _has_weights(batch: Any) -> bool:
    return isinstance(batch, tuple | list) and len(batch) == 3


def make_batches(x: Any, y: np.ndarray | None, model: Layer, batch_size: int, **options: Any) -> Batches:
    """Return the batches of arrays, or without `y` those of a source or an iterable.

    `options` are those of `Batches`, and `sample_weight` and `rows`.
    """
    if y is not None and not is_source(x):
        return ArrayBatches(*check_pairs(x, y, model), batch_size, **options)
    if is_source(x):
        return SourceBatches(check_source(x, y, model), batch_size, **options)
    if options.pop("sample_weight", None) is not None:
        raise ValueError("`sample_weight` needs arrays `x` and `y`; batches may be (x, y, sample_weight)")
    if options.pop("rows", None) is not None:
        raise ValueError("`validation_split` needs arrays; for batches, give `validation_data`")
    return IterableBatches(x, model, **options)
