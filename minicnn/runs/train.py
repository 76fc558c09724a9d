"""A run: fit, save, judge once, and write down what came out and on what machine."""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.layers import Layer
from minicnn.losses import softmax_cross_entropy
from minicnn.metrics import accuracy
from minicnn.parallel.cores import available_threads
from minicnn.parallel.prediction import parallel_predict
from minicnn.parallel.ranks import TIMEOUT
from minicnn.profiling import peak_memory_mb
from minicnn.runs.config import AUGMENT
from minicnn.runs.data import Data
from minicnn.runs.folder import CHECKPOINTS, CONFIG, HISTORY, RESULT, WEIGHTS, Run, write_json
from minicnn.runs.interrupt import StopOnSignal
from minicnn.saving.files import locked, remove_temporaries
from minicnn.saving.fingerprint import environment
from minicnn.training import Callback, CSVLogger, History, Trainer, save_weights
from minicnn.validation import check_real


@dataclass(frozen=True)
class TrainResult:
    """What a training leaves in memory.

    Attributes
    ----------
    result : dict
        The content of `result.json`.
    history : History
        As `Trainer.fit` returns it.
    logits : ndarray, shape (N, K), or None
        For the images by which the run was judged; None if it was interrupted before, and in all ranks but
        the first.
    signal : int
        The number of the signal that interrupted it; 0 if none did.
    """

    result: dict[str, Any]
    history: History
    logits: np.ndarray | None
    signal: int = 0


def train(
    run: Run,
    data: Data,
    callbacks: Sequence[Callback] = (),
    verbose: int = 1,
    comm: Any = None,
    rank_timeout: float | None = TIMEOUT,
) -> TrainResult:
    """Train a run's model, from its newest checkpoint on if there is one, and fill its folder.

    `result.json` has `<part>_loss` and `<part>_accuracy`, where the part is "test", or "validation" if images
    were held out; whether it was `interrupted`; `epochs` (finished), `steps`, `seconds`, `images_per_second`
    and `peak_memory_mb` of the training; the model's `parameters`; the `seed`; the `ranks`, and the `threads`
    of each; and the `environment`. The seconds are those of all processes that trained, one after another,
    but for steps that were lost; times are nowhere else, so that history and weights do not depend on them.

    Ctrl-C or SIGTERM, once, ends the training after the step that runs: a checkpoint and the weights are
    saved, and not judged. A second time it raises `KeyboardInterrupt(number of the signal)` at once.

    With `comm` and `rank_timeout`, as for `Trainer`, each rank calls it; only the first writes and judges.

    Raises
    ------
    FloatingPointError
        If loss or gradients are not finite, see `Trainer.fit`; no weights are saved then.
    BlockingIOError
        If another process trains into the folder.
    """
    first = comm is None or comm.rank == 0
    with locked(run.folder / CONFIG) if first else contextlib.nullcontext(), StopOnSignal(not first) as stop:
        if first:
            remove_temporaries(run.folder)
        return _train(run, data, stop, callbacks, verbose, {"comm": comm, "rank_timeout": rank_timeout})


def _train(
    run: Run,
    data: Data,
    stop: StopOnSignal,
    callbacks: Sequence[Callback],
    verbose: int,
    together: dict[str, Any],
) -> TrainResult:
    config = run.config
    x, y = data.train
    optimizer = config.make_optimizer(len(x))
    augment = AUGMENT if config.augment else None
    trainer = Trainer(
        run.model, optimizer, seed=config.seed, augment=augment, threads=config.threads, **together
    )
    clock = _Clock()
    history = trainer.fit(
        x,
        y,
        config.epochs,
        config.batch_size,
        validation_data=data.validation,
        callbacks=[stop, clock, CSVLogger(run.folder / HISTORY), *callbacks],
        checkpoint=run.folder / CHECKPOINTS,
        every=run.checkpoint_every,
        verbose=verbose,
    )
    if trainer.interrupted:  # perhaps only another rank has received the signal
        stop.received = stop.received or signal.SIGTERM
    if trainer.ranks.rank:
        return TrainResult({}, history, None, stop.received)
    seconds = clock.seconds()
    save_weights(run.model, run.folder / WEIGHTS)
    result: dict[str, Any] = {
        "interrupted": bool(stop.received),
        "epochs": len(history.epoch),
        "steps": optimizer.steps,
        "seconds": round(seconds, 3),
        "images_per_second": round(_images_seen(optimizer.steps, len(x), config.batch_size) / seconds, 1),
        "peak_memory_mb": peak_memory_mb(),
        "parameters": sum(parameter.size for parameter in run.model.parameters()),
        "seed": config.seed,
        "ranks": trainer.ranks.size,
        "threads": trainer.threads or (available_threads() if trainer.ranks.size == 1 else 1),
        "environment": environment(),
    }
    logits = None
    if not stop.received:
        name, (images, labels) = data.judges
        scores, logits = evaluate(run.model, images, labels, config.threads)
        result = {f"{name}_{key}": value for key, value in scores.items()} | result
    write_json(run.folder / RESULT, result)
    return TrainResult(result, history, logits, stop.received)


class _Clock(Callback):
    """Counts the seconds of a training, also over several processes."""

    def on_train_begin(self) -> None:
        """Begin at zero."""
        self.start = time.perf_counter()

    def seconds(self) -> float:
        """Return how long it has been."""
        return time.perf_counter() - self.start

    def state_dict(self) -> dict[str, Any]:
        """Return how long it has been."""
        return {"seconds": self.seconds()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Count on."""
        self.start -= check_real(state["seconds"], "seconds")


def evaluate(
    model: Layer, images: np.ndarray, labels: np.ndarray, threads: int | None = None
) -> tuple[dict[str, float], np.ndarray]:
    """Return the `loss` and `accuracy` of a model on images, and its logits; `threads` as for `Trainer`."""
    with np.errstate(all="ignore"):  # a net that training has ruined shows it in these numbers
        logits = parallel_predict(model, images, 256, threads)
        loss, _ = softmax_cross_entropy(logits, labels)
        return {"loss": loss, "accuracy": accuracy(logits, labels)}, logits


def _images_seen(steps: int, images: int, batch_size: int) -> int:
    """Return how many images so many steps took, of which the last of each epoch may be smaller."""
    epochs, rest = divmod(steps, math.ceil(images / batch_size))
    return epochs * images + rest * batch_size
