"""What `minicnn train` tells: what is going to happen, how it goes, how it went, and what to do next."""

from __future__ import annotations

import shlex
import sys
import time

from minicnn.runs import Data, Run, TrainResult
from minicnn.training import Callback
from minicnn.training.callbacks import Logs


class EpochLines(Callback):
    """A line an epoch on stderr, where no progress bar can be."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_epoch_begin(self, epoch: int) -> None:
        """Look at the clock."""
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Say how the epoch went."""
        numbers = ", ".join(f"{name} {value:.4f}" for name, value in logs.items())
        seconds = time.perf_counter() - self.start
        print(f"epoch {epoch + 1}/{self.epochs}: {numbers}, {seconds:.1f} s", file=sys.stderr, flush=True)


def describe(new: Run, data: Data, ranks: int = 1) -> str:
    """Return what is going to happen."""
    config, model = new.config, new.model
    parameters = sum(parameter.size for parameter in model.parameters())
    name, (judges, _) = data.judges
    images = "x".join(map(str, data.train[0].shape[1:]))
    augmented = ", distorted" if config.augment else ""
    return _table(
        {
            "model": f"{config.model}: {len(model)} layers, {parameters:,} parameters",
            "data": f"{config.dataset}: {len(data.train[0]):,} images of {images}{augmented}, "
            f"judged at the end by {len(judges):,} {name} images",
            "training": f"{config.epochs} epochs in batches of {config.batch_size}, {config.optimizer}, "
            f"{config.schedule} learning rate {config.lr:g}, weight decay {config.weight_decay:g}, "
            f"seed {config.seed}" + (f", on {ranks} ranks" if ranks > 1 else ""),
            "run folder": str(new.folder),
        }
    )


def report(outcome: TrainResult, data: Data) -> str:
    """Return how it went."""
    result, (name, (images, _)) = outcome.result, data.judges
    right, loss = result[f"{name}_accuracy"], result[f"{name}_loss"]
    memory = f", peak memory {result['peak_memory_mb']:.0f} MB" if result["peak_memory_mb"] else ""
    return _table(
        {
            "accuracy": f"{100 * right:.2f} % of {len(images):,} {name} images "
            f"(error {100 * (1 - right):.2f} %, loss {loss:.4g})",
            "training time": f"{result['seconds']:.1f} s, "
            f"{result['images_per_second']:,.0f} images/s{memory}",
        }
    )


def next_steps(new: Run, interrupted: bool = False, ranks: int = 1) -> str:
    """Return where everything is, and the commands that use it, or go on with it."""
    folder = shlex.quote(str(new.folder))
    start = f"mpiexec -n {ranks} " if ranks > 1 else ""
    resume = f"{start}minicnn train --resume {folder}\n" if interrupted else ""
    return _table(
        {
            "written to": f"{new.folder}: {', '.join(sorted(path.name for path in new.folder.iterdir()))}",
            "next": f"{resume}minicnn evaluate {folder}\nminicnn predict {folder} IMAGE...",
        }
    )


def _table(rows: dict[str, str]) -> str:
    """Return a line for each row, its name first; further lines of a row are indented."""
    return "\n".join(f"{name:<15}{text}".replace("\n", f"\n{'':15}") for name, text in rows.items())
