"""Training a run: fit, save, evaluate once, and write the result."""

import contextlib
import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from minicnn.datasets import DATASETS
from minicnn.layers import Layer
from minicnn.losses import softmax_cross_entropy
from minicnn.metrics import accuracy
from minicnn.parallel.prediction import parallel_predict
from minicnn.parallel.ranks import TIMEOUT
from minicnn.parallel.threads import resolve_threads
from minicnn.profiling import peak_memory_mb
from minicnn.runs.data import Data, digest
from minicnn.runs.folder import CHECKPOINTS, MODEL, Run
from minicnn.runs.interrupt import StopOnSignal
from minicnn.runs.records import HISTORY, RESULT, write_json
from minicnn.saving import save_model
from minicnn.saving.files import locked, remove_temporaries
from minicnn.saving.fingerprint import environment
from minicnn.training import Callback, CSVLogger, History, Trainer
from minicnn.training.sources import is_source
from minicnn.validation import check_real


@dataclass(frozen=True)
class TrainResult:
    """What a training returns.

    Attributes
    ----------
    values : dict
        The content of `result.json`.
    history : History
        As `Trainer.fit` returns it.
    logits : ndarray, shape (N, K), or None
        For the images on which the run was evaluated; None if it was interrupted, and on all ranks but 0.
    signal : int
        The number of the signal that interrupted it; 0 if none did.
    """

    values: dict[str, Any]
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
    """Train a run's model, from its newest checkpoint if there is one, and fill its folder.

    `result.json` has `<part>_loss` and `<part>_accuracy`, where the part is "test", or "validation" if there
    is no test set; whether it was `interrupted`; `epochs` (finished), `steps`, `seconds`, `images_per_second`
    and `peak_memory_mb` of the training; the model's `parameters`; the `seed`; the `ranks` and the `threads`
    of each; and the `environment`. The seconds are the sum over all processes that trained one after another,
    without steps that were lost. History and weights contain no times, so that they are reproducible.

    The first Ctrl-C or SIGTERM ends the training after the current step: a checkpoint and the weights are
    saved, and nothing is evaluated. The second raises `KeyboardInterrupt(number of the signal)` at once.

    With `comm` and `rank_timeout`, as for `Trainer`, each rank calls it; only rank 0 writes and evaluates.

    Raises
    ------
    FloatingPointError
        If loss or gradients are not finite, see `Trainer.fit`; no weights are saved then.
    BlockingIOError
        If another process trains into the folder.
    """
    first = comm is None or comm.rank == 0
    with (
        _locked(run, first) as require_folder,
        StopOnSignal(not first) as stop,
    ):
        if first:
            remove_temporaries(run.folder)
        trainer = _make_trainer(run, data, comm, rank_timeout)
        clock = _Clock()
        own = [stop, clock, _SameFolder(require_folder), CSVLogger(run.folder / HISTORY)]
        history = _fit(trainer, run, data, [*own, *callbacks], verbose)
        if trainer.state.interrupted:  # perhaps only another rank has received the signal
            stop.received = stop.received or signal.SIGTERM
        if not first:
            return TrainResult({}, history, None, stop.received)
        values: dict[str, Any] = {"interrupted": bool(stop.received), "epochs": len(history.epoch)}
        require_folder()
        values |= _costs(run, trainer, len(data.train[0]), clock.seconds())
        return _finish(run, data, TrainResult(values, history, None, stop.received))


def _locked(run: Run, first: bool) -> contextlib.AbstractContextManager[Callable[[], None]]:
    """Return the lock of a run's folder, into which only the first rank writes."""
    path = run.folder / CHECKPOINTS / ".run.lock"
    return locked(path) if first else contextlib.nullcontext(lambda: None)


def _make_trainer(run: Run, data: Data, comm: Any, rank_timeout: float | None) -> Trainer:
    config = run.config
    return Trainer(
        run.model,
        config.make_optimizer(len(data.train[0])),
        config.make_loss(),
        seed=config.seed,
        augment=config.make_augment(data.train[0].shape[1:], data.own),
        threads=config.threads,
        comm=comm,
        rank_timeout=rank_timeout,
    )


def _fit(trainer: Trainer, run: Run, data: Data, callbacks: Sequence[Callback], verbose: int) -> History:
    images, labels = data.train
    return trainer.fit(
        images,
        None if is_source(images) else labels,
        cast(int, run.config.epochs),
        cast(int, run.config.batch_size),
        validation_data=data.validation,
        callbacks=callbacks,
        checkpoint=run.folder / CHECKPOINTS,
        checkpoint_every=run.checkpoint_every,
        verbose=verbose,
    )


def _finish(run: Run, data: Data, result: TrainResult) -> TrainResult:
    """Save the model, evaluate it unless the training was interrupted, and write the result."""
    save_model(run.model, run.folder / MODEL, data.class_names, data.preprocessing, _made_by(run, data))
    if not result.signal:
        part, (images, labels) = data.evaluation
        scores, logits = evaluate(run.model, images, labels, run.config.threads)
        values = {f"{part}_{key}": value for key, value in scores.items()} | result.values
        result = replace(result, values=values, logits=logits)
    write_json(run.folder / RESULT, result.values)
    return result


def _made_by(run: Run, data: Data) -> dict[str, Any]:
    """Return the settings and the digest of the training data, without the paths of this machine."""
    settings = run.config.to_dict() | {"data": None}
    for name in ("dataset", "model", "labels"):
        if settings[name] not in (None, *DATASETS):
            settings[name] = Path(settings[name]).name
    return {"settings": settings, "data_sha256": digest(data.train)}


def _costs(run: Run, trainer: Trainer, images: int, seconds: float) -> dict[str, Any]:
    """Return the part of the result that says what the training took, and on which machine."""
    steps, ranks = trainer.optimizer.steps, trainer.ranks.size
    seen = _images_seen(steps, images, cast(int, run.config.batch_size))
    return {
        "steps": steps,
        "seconds": round(seconds, 3),
        "images_per_second": round(seen / seconds, 1),
        "peak_memory_mb": peak_memory_mb(),
        "parameters": sum(parameter.size for parameter in run.model.parameters()),
        "seed": run.config.seed,
        "ranks": ranks,
        "threads": resolve_threads(trainer.threads, ranks),
        "environment": environment(),
    }


class _SameFolder(Callback):
    """Ends a training whose folder was replaced by another one, before it writes there."""

    def __init__(self, require_folder: Callable[[], None]) -> None:
        self.require_folder = require_folder

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Raise OSError if the folder is not the one in which the training began."""
        self.require_folder()


class _Clock(Callback):
    """Measures the seconds of a training, also over several processes."""

    def __init__(self) -> None:
        self.start = time.perf_counter()

    def on_train_begin(self) -> None:
        """Start at zero."""
        self.start = time.perf_counter()

    def seconds(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self.start

    def state_dict(self) -> dict[str, Any]:
        """Return the seconds since the start."""
        return {"seconds": self.seconds()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Add the seconds of the processes before."""
        self.start -= check_real(state["seconds"], "seconds")


def evaluate(
    model: Layer, images: np.ndarray, labels: np.ndarray, threads: int | None = None
) -> tuple[dict[str, float], np.ndarray]:
    """Return the `loss` and `accuracy` of a model on images, and its logits; `threads` as for `Trainer`."""
    with np.errstate(all="ignore"):  # a network that diverged shows it in these numbers
        logits = parallel_predict(model, images, threads=threads)
        loss, _ = softmax_cross_entropy(logits, labels)
        return {"loss": loss, "accuracy": accuracy(logits, labels)}, logits


def check_outputs(logits: np.ndarray | None) -> np.ndarray:
    """Return the logits of a model if they are finite.

    Raises
    ------
    ValueError
        If they are not, or if there are none.
    """
    if logits is None:
        raise ValueError("the run was not evaluated")
    if not np.isfinite(logits).all():
        raise ValueError("the network's outputs are not finite: its training diverged")
    return logits


def _images_seen(steps: int, images: int, batch_size: int) -> int:
    """Return the number of images in the first `steps` steps; the last batch of an epoch may be smaller."""
    epochs, rest = divmod(steps, math.ceil(images / batch_size))
    return epochs * images + rest * batch_size
