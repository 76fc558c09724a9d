"""Trains small nets in processes that are killed and started again, and counts what was lost or different.

    python tests/training/dying.py --runs 1000

A process dies by SIGKILL at a random moment, by SIGKILL between two random lines of a random step, or in the
middle of writing a file, when it has so many bytes. Forked, they need not import anything anew. A third of
the nets are trained by two threads, a third by a thread and a worker process, which a death leaves behind,
and a third by these with statistics of the batch, for which they wait for each other. `--kind options` has
label smoothing, weights of examples and classes, groups, an average of the weights, accumulated gradients, a
split for validation and a frozen layer, by a thread and a worker.
"""

import argparse
import functools
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np
import safetensors.numpy  # noqa: F401  (here, that the children need not)
import threadpoolctl  # noqa: F401

sys.path.insert(0, str(Path(__file__).parents[1]))
from full_disk import fill_disk

from minicnn import (
    Adam,
    AverageWeights,
    BatchNorm,
    Callback,
    Conv2D,
    CSVLogger,
    Dense,
    Dropout,
    EarlyStopping,
    Flatten,
    ReLU,
    Sequential,
    Trainer,
)
from minicnn.losses import softmax_cross_entropy
from minicnn.metrics import accuracy
from minicnn.parallel import data_parallel

KINDS = "threads", "workers", "statistics"
LIVES = 5  # after so many deaths a run is let be
PLACE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a killed process needs no real disk


def distort(images, rng):
    return images + rng.integers(0, 9, images.shape, np.uint8)


class Doom(Callback):
    """Dies in a step that was drawn, or makes the disk deadly from then on."""

    def __init__(self, step, size):
        self.left, self.size = step, size

    def on_batch_end(self, step, logs):
        self.left -= 1
        if self.left == 0 and self.size is None:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.left == 0:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            fill_disk(self.size, hard=self.size)


class Company(Callback):
    """Waits for the worker that was called in the first step, and leaves word that it came."""

    def __init__(self, folder, trainer):
        self.folder, self.trainer = folder, trainer

    def on_batch_begin(self, step):
        parallel = self.trainer._weighted or self.trainer._data_parallel
        for worker in parallel.worker_pool.workers.values():
            if not worker.ready and worker.pipe.poll(60):
                (self.folder / "helped").touch()


def own_loss(predictions, labels):
    """Of which a worker knows nothing: two shards are two threads."""
    return softmax_cross_entropy(predictions, labels)


def fit(folder, kind, every, doom=()):
    """Train to the end; what came out is then in the file `outcome`."""
    data_parallel.SMALLEST_SHARD = 1
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 200, (120, 6, 6, 1)).astype(np.uint8), rng.integers(0, 3, 120)
    middle = [BatchNorm(), Dropout(0.3)] if kind in ("statistics", "options") else [Dropout(0.3)]
    model = Sequential([Conv2D(4, 3), ReLU(), Flatten(), *middle, Dense(3)]).build((6, 6, 1), rng=1)
    loss = own_loss if kind == "threads" else softmax_cross_entropy
    optimizer, options, average = Adam(), {"validation_data": (x[:40], y[:40])}, []
    if kind == "options":
        model[0].trainable = False
        optimizer.set_group("*.bias", lr_scale=0.5).set_group("layers.3.*", weight_decay=0.1)
        loss, average = functools.partial(softmax_cross_entropy, label_smoothing=0.1), [AverageWeights(0.9)]
        options = {"validation_split": 0.2, "sample_weight": rng.uniform(0, 2, 120), "class_weight": {1: 3.0}}
        options["accumulate_steps"] = 2
    trainer = Trainer(
        model, optimizer, loss, seed=2, augment=distort, threads=2, metrics={"accuracy": accuracy}
    )
    company = [] if kind == "threads" else [Company(folder, trainer)]
    log = folder / "log.csv"
    history = trainer.fit(
        *(x, y, 3, 16),
        **options,
        callbacks=[*company, *average, EarlyStopping(patience=2), CSVLogger(log), *doom],
        checkpoint=folder / "checkpoints",
        checkpoint_every=every,
    )
    weights = [weight.tobytes().hex() for weight in model.get_weights()]
    (folder / "outcome.tmp").write_text(repr([weights, history, log.read_text()]))
    (folder / "outcome.tmp").rename(folder / "outcome")


def live(folder, kind, every, doom=(), patience=None):
    """Fit in a process of its own, killed when the patience ends; return whether it was killed."""
    child = os.fork()
    if child == 0:
        try:
            fit(folder, kind, every, doom)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if patience is not None:
        time.sleep(patience)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise ChildProcessError("a run could not be resumed")
    return os.WIFSIGNALED(status)


def one_run(folder, kind, draw, seconds):
    """Let a run die a few times; return how often it did."""
    every, deaths = draw.choice([1, 2, 5, None]), 0
    for _ in range(LIVES):
        if (folder / "outcome").exists():
            return deaths
        how = draw.choice(["time", "step", "bytes"])
        if how == "time":
            deaths += live(folder, kind, every, patience=draw.uniform(0, seconds))
        else:
            size = draw.randrange(30_000) if how == "bytes" else None
            deaths += live(folder, kind, every, [Doom(draw.randint(1, 16), size)])
    live(folder, kind, every)
    return deaths


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=[*KINDS, "options"], help="of the nets; by default the first three")
    args = parser.parse_args()
    kinds = KINDS if args.kind is None else (args.kind,)
    counts = {"runs": args.runs, "deaths": 0, "helped": 0, "lost": 0, "different": 0}
    expected, seconds = {}, {}
    for kind in kinds:
        with tempfile.TemporaryDirectory(dir=PLACE) as folder:
            start = time.perf_counter()
            live(Path(folder), kind, None)
            seconds[kind] = time.perf_counter() - start
            expected[kind] = Path(folder, "outcome").read_text()
    for run in range(args.runs):
        draw, kind = random.Random(args.seed * 1_000_003 + run), kinds[run % len(kinds)]
        with tempfile.TemporaryDirectory(dir=PLACE) as folder:
            try:
                counts["deaths"] += one_run(Path(folder), kind, draw, seconds[kind])
                counts["helped"] += Path(folder, "helped").exists()
                counts["different"] += Path(folder, "outcome").read_text() != expected[kind]
            except (ChildProcessError, FileNotFoundError):
                counts["lost"] += 1
                print(f"run {run} is lost", file=sys.stderr)
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
