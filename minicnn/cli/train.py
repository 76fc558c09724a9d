"""`minicnn train`."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from minicnn.cli.parser import Commands, add_command, add_dataset, add_model
from minicnn.cli.told import EpochLines, describe, next_steps, report
from minicnn.runs import Recipe, create_run, draw, load_data, train
from minicnn.runs.data import DATASETS
from minicnn.runs.recipe import LEARNING_RATES, OPTIMIZERS, SCHEDULES, WEIGHT_DECAYS
from minicnn.training.progress import on_terminal

_TEXT = """\
Train a network, judge it by the test set once, at the end, and write a run folder: weights, history,
configuration, result and pictures. Without any option: LeNet-5 on the bundled MNIST.
Ctrl-C ends the training after the step that runs, and saves what there is."""
_EXAMPLE = "minicnn train --dataset mnist --epochs 15 --seed 0 --out runs/first"


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "train", run, "train a network, write a run folder", _TEXT, _EXAMPLE)
    new = Recipe()
    rates = ", ".join(f"{name} {rate:g}" for name, rate in LEARNING_RATES.items())
    decays = ", ".join(f"{name} {decay:g}" for name, decay in WEIGHT_DECAYS.items())

    def add(name: str, metavar: str, help: str, kind: type = int, **settings: Any) -> None:
        parser.add_argument(f"--{name}", metavar=metavar, help=help, type=kind, **settings)

    add_model(parser, new.model)
    add_dataset(parser, new.dataset, new.dataset)
    add("epochs", "N", "how often each image is seen (default: %(default)s)", default=new.epochs)
    add("batch-size", "N", "images in a step (default: %(default)s)", default=new.batch_size)
    names = f"{', '.join(OPTIMIZERS)} (default: %(default)s)"
    add("optimizer", "NAME", names, str, choices=OPTIMIZERS, default=new.optimizer)
    add("lr", "RATE", f"highest learning rate (default: {rates})", float)
    add("weight-decay", "RATE", f"decoupled weight decay (default: {decays}, others 0)", float)
    shapes = f"of the learning rate: {', '.join(SCHEDULES)} (default: %(default)s)"
    add("schedule", "NAME", shapes, str, choices=SCHEDULES, default=new.schedule)
    parser.add_argument("--augment", action="store_true", help="distort the training images at random")
    add("seed", "N", "of all that is random (default: %(default)s)", default=new.seed)
    add("limit", "N", "use only the first N training images")
    held = "hold out N training images and judge by these, leaving the test set alone: to choose settings"
    add("validation", "N", held, default=new.validation)
    add("threads", "N", "threads that compute a step (default: the cores there are)")
    add("out", "DIR", "the run folder (default: runs/MODEL-DATASET-NUMBER)", str)


def run(args: argparse.Namespace) -> int:
    """Train; return 130 if that was interrupted."""
    choices = {field.name: getattr(args, field.name) for field in dataclasses.fields(Recipe)}
    for name in ("dataset", "data"):  # the run is to be evaluated from other working directories, too
        if choices[name] not in (None, *DATASETS) and Path(choices[name]).is_dir():
            choices[name] = str(Path(choices[name]).absolute())
    recipe = Recipe(**choices)
    data = load_data(recipe)
    new = create_run(recipe, data, args.out)
    print(describe(new, data), flush=True)
    outcome = train(new, data, [] if on_terminal() else [EpochLines(recipe.epochs)])
    if outcome.logits is None:
        print(
            f"\ninterrupted after {outcome.result['steps']:,} steps; the weights are saved\n{next_steps(new)}"
        )
        return 130
    print(f"\n{report(outcome, data)}", flush=True)
    try:
        draw(new, data, outcome)
    except (ImportError, ValueError) as error:
        print(f"no pictures: {error}")
    print(next_steps(new))
    return 0
