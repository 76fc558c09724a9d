"""Prediction on several threads."""

import contextlib
import functools
from typing import Any

import numpy as np

from minicnn.layers._prediction import prediction_batch
from minicnn.layers.base import Layer
from minicnn.parallel.threads import blas_threads, resolve_threads
from minicnn.safeguards.claims import reading
from minicnn.safeguards.inputs import input_batches
from minicnn.safeguards.nonfinite import watched
from minicnn.safeguards.notes import share_notes
from minicnn.safeguards.threads import current_thread, serve
from minicnn.validation import check_examples, check_numbers


def parallel_predict(
    model: Layer, x: np.ndarray, batch_size: int | None = None, threads: int | None = None
) -> np.ndarray:
    """Return `model.predict(x, batch_size)`, computed by several threads, by default one for each core."""
    x = check_numbers(x, "x")
    check_examples(x.shape, model._require_built())
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

    with contextlib.ExitStack() as stack:
        readable, _ = stack.enter_context(reading(model, copied=True))
        # A layer of the user may keep intermediate results in attributes, so threads cannot share a model.
        replicas = [readable.eval_replica() for _ in parts]
        share_notes(model, replicas)
        thread = current_thread()
        # Its threads start when they get work: for one part, none does, since perhaps none could be started.
        pool = stack.enter_context(ThreadPoolExecutor(threads, initializer=serve, initargs=(thread,)))
        stack.enter_context(blas_threads(1))
        others = [pool.submit(predict, *each) for each in zip(replicas[1:], parts[1:], strict=True)]
        outputs = [predict(replicas[0], parts[0]), *(other.result() for other in others)]
    return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)
