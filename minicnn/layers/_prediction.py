"""Predictions in batches, and random generators for them, which leave those of the model unchanged."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np

from minicnn.safeguards.claims import reading
from minicnn.safeguards.inputs import input_batches

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


def predict_batches(layer: Any, x: np.ndarray, batch_size: int) -> np.ndarray:
    """Return the outputs of a layer in evaluation mode for all of `x`."""
    with reading(layer, copied=True) as (model, exclusive):
        # A replica if another thread may use the model: a layer may keep temporaries in attributes.
        model = model if exclusive and not model.training else model.eval_replica()
        outputs = [model(batch) for batch in input_batches(layer, x, batch_size)]
    return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)
