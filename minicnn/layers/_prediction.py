"""What makes `Layer.predict` safe when several threads predict at once."""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

_active: set[int] = set()  # ids of the models in use
_lock = threading.Lock()
replica_numbers = itertools.count()


@contextmanager
def exclusive_use(model: object) -> Iterator[bool]:
    """Yield whether no other thread is in such a block with this model."""
    with _lock:
        exclusive = id(model) not in _active
        _active.add(id(model))
    try:
        yield exclusive
    finally:
        if exclusive:
            _active.discard(id(model))


def detached_stream(stream: np.random.Generator, number: int) -> np.random.Generator:
    """Return a stream independent of this one and of those spawned from it, a different one per number.

    Spawning would change which stream the next replica gets.
    """
    seeds = getattr(stream.bit_generator, "seed_seq", None)
    if not isinstance(seeds, np.random.SeedSequence):
        return copy.deepcopy(stream)
    key = (*seeds.spawn_key, 1 << 31, number)  # beyond any number of spawned streams
    seeds = np.random.SeedSequence(seeds.entropy, spawn_key=key)
    return np.random.Generator(type(stream.bit_generator)(seeds))
