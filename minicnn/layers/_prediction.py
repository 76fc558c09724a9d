"""Predictions in batches, and random generators for them, which leave those of the model unchanged."""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any

import numpy as np

from minicnn.safeguards.claims import all_layers, reading
from minicnn.safeguards.inputs import input_batches
from minicnn.validation import check_int

FEWEST, MOST = 32, 256  # examples of a forward pass, by default
MAX_VALUES = 1 << 21  # of a layer's output, by default: with more, arrays fall out of the caches

_numbers = itertools.count()


def prediction_batch(model: Any, batch_size: int | None, examples: int) -> int:
    """Return the number of examples of a forward pass: `batch_size`, or by default a power of two.

    The default depends on the model alone, by its largest output, not on the number of examples; few make a
    single pass anyway.
    """
    if batch_size is not None:
        return check_int(batch_size, "batch_size", low=1)
    if examples <= FEWEST:
        return FEWEST
    largest = max(math.prod(layer.output_shape) for layer in all_layers(model))
    return min(max(1 << (MAX_VALUES // max(largest, 1)).bit_length() >> 1, FEWEST), MOST)


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
