"""Where batches come from: arrays, in a new order in each epoch, or whatever the user iterates over."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parallel.ranks import Ranks
from minicnn.validation import check_examples, check_int

Examples = tuple[np.ndarray, np.ndarray]
BatchSource = Iterable[Examples] | Callable[[int], Iterable[Examples]]
Shard = tuple[int, np.ndarray, np.ndarray]  # examples in the whole batch; this rank's x and y


class ArrayBatches:
    """Batches of arrays, perhaps memory-mapped: only the rows of this rank's shards are ever read."""

    unit = " images"

    def __init__(self, x: np.ndarray, y: np.ndarray, batch_size: int, seed: int) -> None:
        self.arrays, self.seed = (x, y), seed
        self.batch_size = check_int(batch_size, "batch_size", low=1)
        self.size: int | None = len(x)

    def epoch(self, epoch: int, step: int, ranks: Ranks) -> Iterator[Shard]:
        """Yield the shards of an epoch's batches from this step on."""
        x, y = self.arrays
        order = np.random.default_rng([self.seed, epoch]).permutation(len(x))
        for start in range(step * self.batch_size, len(x), self.batch_size):
            batch = order[start : start + self.batch_size]
            own = batch[ranks.rank :: ranks.size]
            yield len(batch), x[own], y[own]


class IterableBatches:
    """Batches in the order in which a re-iterable object, or a function of the epoch, gives them."""

    arrays: tuple[np.ndarray, ...] = ()
    unit, batch_size = " batches", 1

    def __init__(self, source: BatchSource, model: Layer) -> None:
        if isinstance(source, np.ndarray) or not (callable(source) or np.iterable(source)):
            raise TypeError(
                f"`x` must be an array, with its labels `y`, or without `y` give batches (x, y), "
                f"got {type(source).__name__}"
            )
        self.source, self.model = source, model
        self.size: int | None = len(source) if isinstance(source, Sized) else None

    def epoch(self, epoch: int, step: int, ranks: Ranks) -> Iterator[Shard]:
        """Yield the shards of an epoch's batches from this step on; those before are skipped."""
        source = self.source(epoch) if callable(self.source) else self.source
        empty = step == 0
        for batch in itertools.islice(source, step, None):
            if not isinstance(batch, tuple | list) or len(batch) != 2:
                raise TypeError(f"a batch must be a pair (x, y), got {type(batch).__name__}")
            x, y = examples(*batch, self.model)
            yield len(x), x[ranks.rank :: ranks.size], y[ranks.rank :: ranks.size]
            empty = False
        if empty:
            raise ValueError(
                f"`x` must give batches in every epoch, so be a list, another object that can be iterated "
                f"again, or a function of the epoch; it gave none in epoch {epoch}"
            )


Batches = ArrayBatches | IterableBatches


def examples(x: Any, y: Any, model: Layer) -> Examples:
    """Return examples and labels as arrays, if there are any, as many of each, of the model's shape."""
    x, y = np.asanyarray(x), np.asanyarray(y)
    check_examples(x, model.input_shape)
    if len(x) == 0 or y.ndim == 0 or len(x) != len(y):
        raise ValueError(
            f"there must be at least one example, and a label for each; got arrays of {x.shape} and {y.shape}"
        )
    return x, y
