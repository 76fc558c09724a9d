"""Random generators for predictions, which leave those of the model unchanged."""

from __future__ import annotations

import copy
import itertools

import numpy as np

_numbers = itertools.count()


def detached_generators(generators: list[np.random.Generator]) -> dict[int, np.random.Generator]:
    """Return a detached generator for each of these, by their ids; other ones in each call."""
    number = next(_numbers)
    return {id(generator): detached_generator(generator, number) for generator in generators}


def detached_generator(generator: np.random.Generator, number: int) -> np.random.Generator:
    """Return a generator independent of this one and of those spawned from it, a different one per number.

    Spawning would change which generator the next replica gets.
    """
    seeds = getattr(generator.bit_generator, "seed_seq", None)
    if not isinstance(seeds, np.random.SeedSequence):
        return copy.deepcopy(generator)
    key = (*seeds.spawn_key, 1 << 31, number)  # beyond any number of spawned generators
    seeds = np.random.SeedSequence(seeds.entropy, spawn_key=key)
    return np.random.Generator(type(generator.bit_generator)(seeds))
