"""Random streams for predictions, which leave those of the model unchanged."""

from __future__ import annotations

import copy
import itertools

import numpy as np

_numbers = itertools.count()


def detached_streams(streams: list[np.random.Generator]) -> dict[int, np.random.Generator]:
    """Return a detached stream for each of these, by their ids; in each call other ones."""
    number = next(_numbers)
    return {id(stream): detached_stream(stream, number) for stream in streams}


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
