"""Prediction on several threads."""

import functools
from typing import Any

import numpy as np

from minicnn.layers._prediction import prediction_batch
from minicnn.layers.base import Layer
from minicnn.parallel.threads import blas_threads, resolve_threads
from minicnn.safeguards.claims import reading
from minicnn.safeguards.inputs import input_batches, share_notes
from minicnn.safeguards.nonfinite import watched
from minicnn.safeguards.threads import current_thread, serve
from minicnn.validation import check_examples, check_numbers


def parallel_predict(
    model: Layer, x: np.ndarray, batch_size: int | None = None, threads: int | None = None
) -> np.ndarray:
    """Return `model.predict(x, batch_size)`, computed by several threads, by default one for each core."""
    x = check_numbers(x, "x")
    check_examples(x, model._require_built())
    batch_size = prediction_batch(model, batch_size, len(x))
    compute = functools.partial(_predict, model, x, batch_size, resolve_threads(threads))
    return watched(compute, model, functools.partial(input_batches, model, x, batch_size))


def _predict(model: Layer, x: np.ndarray, batch_size: int, threads: int) -> np.ndarray:
    from concurrent.futures import ThreadPoolExecutor  # imported here to keep `import minicnn` fast

    parts = np.array_split(x, min(threads, max(len(x) // batch_size, 1)))
    # NumPy keeps these settings per thread; the caller's apply to all of them.
    errors: dict[str, Any] = {**np.geterr(), "call": np.geterrcall()}

    def predict(replica: Layer, part: np.ndarray) -> np.ndarray:
        with np.errstate(**errors):
            return replica.predict(part, batch_size)

    thread = current_thread()
    with (
        reading(model, copied=True) as (readable, _),
        ThreadPoolExecutor(threads, initializer=serve, initargs=(thread,)) as pool,
        blas_threads(1),
    ):
        # A layer of the user may keep intermediate results in attributes, so threads cannot share a model.
        replicas = [readable.eval_replica() for _ in parts]
        share_notes(model, replicas)
        outputs = list(pool.map(predict, replicas, parts))
    return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)
