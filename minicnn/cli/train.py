"""`minicnn train`."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import warnings
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from minicnn.cli.messages import EpochLines, describe, next_steps, report
from minicnn.cli.parser import Commands, add_command, add_dataset, add_model
from minicnn.cli.ranks import in_ranks
from minicnn.datasets import DATASETS
from minicnn.optimizers import OPTIMIZERS
from minicnn.parallel.ranks import TIMEOUT, Ranks
from minicnn.runs import (
    Data,
    Run,
    TrainConfig,
    create_run,
    draw,
    is_finished,
    load_data,
    open_unfinished_run,
    train,
)
from minicnn.runs.config import SCHEDULES
from minicnn.training.progress import on_terminal

_TEXT = """\
Train a network, judge it by the test set once, at the end, and write a run folder: weights, history,
configuration, result and pictures. Without any option: LeNet-5 on the bundled MNIST.
Ctrl-C or SIGTERM ends the training after the step that runs, and saves what there is. --resume goes on,
also after a crash, and ends with the same weights as if it had never been stopped.
Several processes train together under `mpiexec -n 4 minicnn train ...`, also on several machines with one
file system, or under SLURM's `srun --mpi=pmi2`; that takes the extra `minicnn-numpy[mpi]`."""
_EXAMPLE = """\
minicnn train --dataset mnist --epochs 15 --seed 0 --out runs/first
  minicnn train --resume runs/first"""


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "train", run, "train a network, write a run folder", _TEXT, _EXAMPLE)
    new = TrainConfig()
    rates = ", ".join(f"{name} {entry.lr:g}" for name, entry in OPTIMIZERS.items())
    decays = ", ".join(
        f"{name} {entry.weight_decay:g}" for name, entry in OPTIMIZERS.items() if entry.weight_decay
    )

    def add(name: str, metavar: str, help: str, kind: type = int, **settings: Any) -> None:
        parser.add_argument(f"--{name}", metavar=metavar, help=help, type=kind, **settings)

    add_model(parser, new.model)
    parser.set_defaults(model=None)  # all are: what was not given is the config's business
    add_dataset(parser, None, new.dataset)
    add("epochs", "N", f"how often each image is seen (default: {new.epochs})")
    add("batch-size", "N", f"images in a step (default: {new.batch_size})")
    names = f"{', '.join(OPTIMIZERS)} (default: {new.optimizer})"
    add("optimizer", "NAME", names, str, choices=OPTIMIZERS)
    add("lr", "RATE", f"highest learning rate (default: {rates})", float)
    add("weight-decay", "RATE", f"decoupled weight decay (default: {decays}, others 0)", float)
    shapes = f"of the learning rate: {', '.join(SCHEDULES)} (default: {new.schedule})"
    add("schedule", "NAME", shapes, str, choices=SCHEDULES)
    help_augment = "distort the training images at random"
    parser.add_argument("--augment", action="store_true", default=None, help=help_augment)
    add("seed", "N", f"of all that is random (default: {new.seed})")
    add("limit", "N", "use only the first N training images")
    held = "hold out N training images and judge by these, leaving the test set alone: to choose settings"
    add("validation", "N", held)
    add("threads", "N", "threads that compute a step (default: as many as cores may be used)")
    waited = f"how long ranks wait for one that does not arrive (default: {TIMEOUT:g})"
    add("rank-timeout", "SECONDS", waited, float, default=TIMEOUT)
    add("out", "DIR", "the run folder (default: runs/MODEL-DATASET-NUMBER)", str)
    add("checkpoint-every", "STEPS", "steps from one checkpoint to the next (default: an epoch)")
    add("resume", "RUN", "go on with the run in this folder, by its own settings", str)


def run(args: argparse.Namespace) -> int:
    """Train; return 128 and the signal's number if one interrupted it, 1 if the net is of no use."""
    with in_ranks("minicnn train", args.rank_timeout) as ranks:
        return _run(args, ranks)


def _run(args: argparse.Namespace, ranks: Ranks) -> int:
    # What rank 0 finds wrong, it says; the others, which would say the same, wait for it.
    mine: Any = _prepare(args) if ranks.rank == 0 else (None, False, None)
    new, finished = ranks.broadcast(lambda: mine[:2])
    if finished:
        print(f"{new.folder} is finished; there is nothing to go on with\n{next_steps(new)}")
        return 0
    data = mine[2] or load_data(new.config)
    print(describe(new, data, ranks.size), flush=True)
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = _say
        lines = [] if on_terminal() else [EpochLines(new.config.epochs)]
        outcome = train(new, data, lines, comm=ranks.comm, rank_timeout=ranks.timeout)
    if ranks.rank:
        return 128 + outcome.signal if outcome.signal else 0
    if outcome.signal:
        print(f"\ninterrupted after {outcome.result['steps']:,} steps; the weights are saved")
        print(next_steps(new, interrupted=True, ranks=ranks.size))
        return 128 + outcome.signal
    print(f"\n{report(outcome, data)}", flush=True)
    if outcome.logits is not None and not np.isfinite(outcome.logits).all():
        print("no pictures: the network's outputs must be finite, but some are not; its training went wrong")
        return 1
    try:
        draw(new, data, outcome)
    except (ImportError, ValueError) as error:
        print(f"no pictures: {error}")
    print(next_steps(new))
    return 0


def _prepare(args: argparse.Namespace) -> tuple[Run, bool, Data | None]:
    """Return the run, new or to go on with, whether it is finished, and the data if they were loaded."""
    names = [field.name for field in dataclasses.fields(TrainConfig)]
    choices = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    for name in ("dataset", "data"):  # the run is to be evaluated from other working directories, too
        if choices.get(name) not in (None, *DATASETS) and Path(choices[name]).is_dir():
            choices[name] = str(Path(choices[name]).absolute())
    if args.resume is not None:
        resumed = _resumed(args, choices)
        return resumed, is_finished(resumed.folder), None
    config = TrainConfig(**choices)
    data = load_data(config)
    return create_run(config, data, args.out, args.checkpoint_every), False, data


def _resumed(args: argparse.Namespace, choices: dict[str, Any]) -> Run:
    """Return the run to go on with, if nothing on the command line contradicts it."""
    run = open_unfinished_run(args.resume)
    if args.out is not None and Path(args.out).absolute() != run.folder.absolute():
        raise ValueError(f"a resumed run must stay in its folder, {run.folder}, got --out {args.out}")
    for name, value in choices.items():
        if value != (own := getattr(run.config, name)):
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option} must be that of the run, {own}, or be left out, got {value}")
    if args.checkpoint_every is None:
        return run
    return dataclasses.replace(run, checkpoint_every=args.checkpoint_every)


def _say(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show a warning as all that this command says: without the place in our code."""
    print(f"minicnn train: {message}", file=sys.stderr)
