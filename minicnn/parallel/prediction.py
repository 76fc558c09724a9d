"""The outputs of a model for many examples, on several cores."""

from __future__ import annotations

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parallel.cores import available_threads, blas_threads
from minicnn.validation import check_int


def parallel_predict(
    model: Layer, x: np.ndarray, batch_size: int = 256, threads: int | None = None
) -> np.ndarray:
    """Return `model.predict(x, batch_size)`, each thread having computed a part of it."""
    from concurrent.futures import ThreadPoolExecutor

    threads = available_threads() if threads is None else threads
    batch_size = check_int(batch_size, "batch_size", low=1)
    parts = np.array_split(np.asanyarray(x), min(threads, max(len(x) // batch_size, 1)))
    errors = np.geterr()  # each thread has its own: those of the caller are to hold

    def predict(one: Layer, part: np.ndarray) -> np.ndarray:
        with np.errstate(**errors):
            return one.predict(part, batch_size)

    # Layers of the user's may keep things in attributes while they compute: to each thread its replica.
    models = [model.eval_replica() for _ in parts]
    with ThreadPoolExecutor(threads) as pool, blas_threads(1):
        outputs = list(pool.map(predict, models, parts))
    return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)
