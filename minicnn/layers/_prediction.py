"""The mechanism of `Layer.predict`: batches in evaluation mode, safe when several threads predict at once."""

from __future__ import annotations

import copy
import itertools
import threading
from typing import Protocol

import numpy as np

from minicnn.ops.scaling import to_float

_active: set[int] = set()  # ids of the models whose `predict` is running
_lock = threading.Lock()
replica_numbers = itertools.count()


class _Predictor(Protocol):
    training: bool
    dtype: np.dtype

    def __call__(self, x: np.ndarray) -> np.ndarray: ...
    def eval_replica(self) -> _Predictor: ...


def predict_batches(model: _Predictor, x: np.ndarray, batch_size: int) -> np.ndarray:
    """Return the outputs for all of `x`, from the model itself or from an evaluation replica of it.

    The model itself runs if it is in evaluation mode and no other thread is predicting with it. Otherwise a
    replica runs: a thread may be training the model, and a layer may keep temporaries in attributes.
    """
    with _lock:
        exclusive = id(model) not in _active
        _active.add(id(model))
    try:
        runner = model if exclusive and not model.training else model.eval_replica()
        starts = range(0, max(len(x), 1), batch_size)
        outputs = [runner(to_float(x[i : i + batch_size], model.dtype)) for i in starts]
    finally:
        if exclusive:
            _active.discard(id(model))
    return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)


def detached_stream(stream: np.random.Generator, number: int) -> np.random.Generator:
    """Return a stream independent of this one and of those spawned from it, a different one per number.

    Spawning would change which stream the next replica gets.
    """
    seeds = getattr(stream.bit_generator, "seed_seq", None)
    if not isinstance(seeds, np.random.SeedSequence):
        return copy.deepcopy(stream)
    key = (*seeds.spawn_key, 1 << 31, number)  # beyond any number of spawned streams
    return np.random.Generator(
        type(stream.bit_generator)(np.random.SeedSequence(seeds.entropy, spawn_key=key))
    )
