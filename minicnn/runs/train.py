"""A run: fit, save, judge once, and write down what came out and on what machine."""

from __future__ import annotations

import math
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl

import minicnn
from minicnn.layers import Layer
from minicnn.losses import softmax_cross_entropy
from minicnn.metrics import accuracy
from minicnn.runs.data import Data
from minicnn.runs.folder import HISTORY, RESULT, WEIGHTS, Run, write_json
from minicnn.runs.interrupt import StopOnSignal
from minicnn.runs.recipe import AUGMENT
from minicnn.training import Callback, CSVLogger, History, Trainer, save_weights
from minicnn.training.shards import available_threads, predict_in_threads


@dataclass(frozen=True)
class Outcome:
    """What a training leaves in memory.

    Attributes
    ----------
    result : dict
        The content of `result.json`.
    history : History
        As `Trainer.fit` returns it.
    logits : ndarray, shape (N, K), or None
        For the images by which the run was judged; None if it was interrupted before.
    """

    result: dict[str, Any]
    history: History
    logits: np.ndarray | None


def train(run: Run, data: Data, callbacks: Sequence[Callback] = (), verbose: int = 1) -> Outcome:
    """Train a fresh run's model, and fill its folder.

    `result.json` has `<part>_loss` and `<part>_accuracy`, where the part is "test", or "validation" if images
    were held out; whether it was `interrupted`; `epochs` (finished), `steps`, `seconds`, `images_per_second`
    and `peak_memory_mb` of the training; the model's `parameters`; the `seed`; the `threads`; and
    the `environment`.

    Ctrl-C or SIGTERM, once, ends the training after the step that runs: the weights are saved as they are,
    and not judged. A second time it raises `KeyboardInterrupt` at once.

    Raises
    ------
    FloatingPointError
        If loss or gradients are not finite, see `Trainer.fit`; no weights are saved then.
    """
    recipe = run.recipe
    x, y = data.train
    optimizer = recipe.make_optimizer(len(x))
    augment = AUGMENT if recipe.augment else None
    trainer = Trainer(run.model, optimizer, seed=recipe.seed, augment=augment, threads=recipe.threads)
    with StopOnSignal() as stop:
        start = time.perf_counter()
        history = trainer.fit(
            x,
            y,
            recipe.epochs,
            recipe.batch_size,
            validation_data=data.validation,
            callbacks=[stop, CSVLogger(run.folder / HISTORY), *callbacks],
            verbose=verbose,
        )
        seconds = time.perf_counter() - start
        save_weights(run.model, run.folder / WEIGHTS)
        result: dict[str, Any] = {
            "interrupted": stop.received,
            "epochs": len(history.epoch),
            "steps": optimizer.steps,
            "seconds": round(seconds, 3),
            "images_per_second": round(_images_seen(optimizer.steps, len(x), recipe.batch_size) / seconds, 1),
            "peak_memory_mb": peak_memory_mb(),
            "parameters": sum(parameter.size for parameter in run.model.parameters()),
            "seed": recipe.seed,
            "threads": recipe.threads or available_threads(),
            "environment": environment(),
        }
        logits = None
        if not stop.received:
            name, (images, labels) = data.judges
            scores, logits = judge(run.model, images, labels, recipe.threads)
            result = {f"{name}_{key}": value for key, value in scores.items()} | result
        write_json(run.folder / RESULT, result)
    return Outcome(result, history, logits)


def judge(
    model: Layer, images: np.ndarray, labels: np.ndarray, threads: int | None = None
) -> tuple[dict[str, float], np.ndarray]:
    """Return the `loss` and `accuracy` of a model on images, and its logits; `threads` as for `Trainer`."""
    with np.errstate(all="ignore"):  # a net that training has ruined shows it in these numbers
        logits = predict_in_threads(model, images, 256, threads)
        loss, _ = softmax_cross_entropy(logits, labels)
        return {"loss": loss, "accuracy": accuracy(logits, labels)}, logits


def environment() -> dict[str, Any]:
    """Return what a result may depend on beside its recipe: versions, BLAS, its kernel and threads."""
    blas = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    return {
        "minicnn": minicnn.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "blas": [
            {key: pool.get(key) for key in ("internal_api", "version", "architecture", "num_threads")}
            for pool in blas
        ],
    }


def peak_memory_mb() -> float | None:
    """Return the most memory that this process had at any moment, in MB; None if the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent process had when it forked
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        if "VmHWM" in lines:
            return round(int(lines["VmHWM"].split()[0]) * 1024 / 1e6, 1)
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)


def _images_seen(steps: int, images: int, batch_size: int) -> int:
    """Return how many images so many steps took, of which the last of each epoch may be smaller."""
    epochs, rest = divmod(steps, math.ceil(images / batch_size))
    return epochs * images + rest * batch_size
