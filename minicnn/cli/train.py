"""`minicnn train`."""

import argparse
import dataclasses
import warnings
from pathlib import Path
from typing import Any

from minicnn.cli.errors import one_line
from minicnn.cli.messages import describe, next_steps, report, say
from minicnn.cli.output import fill
from minicnn.cli.parser import Commands, add_command, add_dataset, add_model
from minicnn.cli.ranks import in_ranks
from minicnn.cli.trained import add_custom, for_command_line
from minicnn.datasets import DATASETS
from minicnn.datasets.image_reader import RESIZES
from minicnn.errors import FileFormatError
from minicnn.layers import Layer
from minicnn.optimizers import OPTIMIZERS
from minicnn.parallel.ranks import TIMEOUT, Ranks
from minicnn.plural import counted
from minicnn.runs import (
    Data,
    Run,
    TrainConfig,
    TrainResult,
    check_outputs,
    create_run,
    draw,
    has_pictures,
    is_finished,
    load_data,
    open_run,
    open_unfinished_run,
    prolong,
    redraw,
    relocate,
    train,
)
from minicnn.runs.config import SCHEDULES
from minicnn.runs.dataset import OWN_VAL_SPLIT
from minicnn.runs.defaults import BATCH_SIZE, SMALLEST_BATCH, STEPS, STEPS_PER_EPOCH
from minicnn.runs.user_code import custom_layers, is_builtin, layers_of

_TEXT = """\
Train a network, evaluate it once on the test set at the end, and write a run folder: weights, history,
configuration, result and pictures. Without options: LeNet-5 on the bundled MNIST.

Ctrl-C or SIGTERM stops the training after the current step and saves its state. --resume continues it, also
after a crash, and ends with the same weights as a run without interruption.

Several processes train together under `mpiexec -n 4 minicnn train ...`, also on several machines with a
shared file system, or under SLURM's `srun --mpi=pmi2`. This needs: pip install 'minicnn-numpy[mpi]'"""
_EXAMPLE = """\
minicnn train --dataset mnist --epochs 15 --seed 0 --out runs/first
minicnn train --dataset pictures/ --size 48 --out runs/own
minicnn train --model nets.py:tiny --epochs 5 --out runs/tiny
minicnn train --resume runs/first"""


def add_to(commands: Commands) -> None:
    """Add the subcommand: one function, since it is a list of the options in the order of the help."""
    parser = add_command(commands, "train", run, "train a network, write a run folder", _TEXT, _EXAMPLE)
    new = TrainConfig()
    lrs = ", ".join(f"{name} {entry.lr:g}" for name, entry in OPTIMIZERS.items())
    decays = ", ".join(f"{name} {o.weight_decay:g}" for name, o in OPTIMIZERS.items() if o.weight_decay)

    def add(name: str, metavar: str, help: str, kind: type = int, **settings: Any) -> None:
        parser.add_argument(f"--{name}", metavar=metavar, help=help, type=kind, **settings)

    # All defaults are None: TrainConfig has them, and --resume must see what was given.
    add_model(parser, new.model)
    add_custom(parser)
    add_dataset(parser, None, new.dataset)
    few = f"(default: {new.epochs}; more for few images of your own, to reach {STEPS} steps)"
    add("epochs", "N", f"passes over the training images {few}")
    few = f"down to {SMALLEST_BATCH} for fewer than {STEPS_PER_EPOCH * BATCH_SIZE:,} images of your own"
    add("batch-size", "N", f"images per step (default: {new.batch_size}; {few})")
    slower = ", ".join(name for name, entry in OPTIMIZERS.items() if entry.lr_per_image)
    slower += " needs less for smaller batches, and gets it by default for your own images"
    optimizers = f"{', '.join(OPTIMIZERS)} (default: {new.optimizer})"
    add("optimizer", "NAME", optimizers, str, choices=OPTIMIZERS)
    add("lr", "RATE", f"highest learning rate; {slower} (default: {lrs})", float)
    add("weight-decay", "RATE", f"decoupled weight decay (default: {decays}, others 0)", float)
    schedules = f"schedule of the learning rate: {', '.join(SCHEDULES)} (default: {new.schedule})"
    add("schedule", "NAME", schedules, str, choices=SCHEDULES)
    smooth = "share of each label's probability that is spread over all classes, such as 0.1 (default: 0)"
    add("label-smoothing", "SHARE", smooth, float)
    distort = "distort the training images at random; those of fashion-mnist are moved and mirrored only"
    parser.add_argument("--augment", action="store_true", default=None, help=distort)
    add("seed", "N", f"random seed (default: {new.seed})")
    add("limit", "N", "use only N training images: the first N; of your own data, N drawn by the seed")
    hold_out = "share of the training images of each class to hold out, for the curves, and for the score if "
    hold_out += f"there is no test set (default: {OWN_VAL_SPLIT:g} for your own data, else 0)"
    add("val-split", "SHARE", hold_out, float)
    add("size", "N|HxW", "size to which pictures in class folders are scaled (default: 32)", str)
    add("channels", "1|3", "1 for grey pictures, 3 for colours (default: what the files hold)")
    how = f"how pictures get the proportions of --size: {', '.join(RESIZES)} (default: {new.resize})"
    add("resize", "HOW", how, str, choices=RESIZES)
    behind = f"colour behind transparent pixels, and of padding (default: {new.background})"
    add("background", "COLOUR", behind, str)
    ends = "values that become black and white in grey pictures, such as those of microscopes (default: the "
    ends += "range of their files)"
    add("value-range", "BLACK,WHITE", ends, str)
    larger = "decode the training pictures batch by batch, for folders that are larger than memory"
    parser.add_argument("--stream", action="store_true", default=None, help=larger)
    once = "with --stream: decode all pictures once into this file, such as pictures.npy, and read it instead"
    add("cache", "FILE", once, str)
    add("threads", "N", "threads that share the work of a step (default: all available cores)")
    wait = f"how long ranks wait for one another (default: {TIMEOUT:g})"
    add("rank-timeout", "SECONDS", wait, float, default=TIMEOUT)
    add("out", "DIR", "run folder (default: runs/MODEL-DATASET-NUMBER)", str)
    add("checkpoint-every", "STEPS", "steps between checkpoints (default: one epoch)")
    again = "continue the run in this folder with its own configuration; with --epochs, for more epochs; "
    again += "with --dataset, if its data were moved"
    add("resume", "RUN", again, str)


def run(args: argparse.Namespace) -> int:
    """Train; return 128 plus the signal's number if interrupted, 1 if the trained network is unusable."""
    with in_ranks(args) as ranks, warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        return _run(args, ranks)


def _run(args: argparse.Namespace, ranks: Ranks) -> int:
    # Rank 0 reports wrong input; the others, which would report the same, wait for it. Code of the user's is
    # executed on all, since a model that is broadcast names its classes.
    layers = [*custom_layers(args.custom), *_own_layers(args.model)]
    prepared: Any = _prepare(args, layers) if ranks.rank == 0 else (None, False, None)
    run, finished = ranks.broadcast(lambda: prepared[:2])
    if finished:
        if prepared[2] is not None:
            print(fill(f"the data of {run.folder} are at {run.config.dataset} now"))
        print(f"{run.folder} is already finished; to train longer, pass --epochs N")
        if ranks.rank == 0 and not has_pictures(run):
            _redraw(run, layers)
        print(next_steps(run))
        return 0
    data = prepared[2] or load_data(run.config, args.cache)
    say(describe(run, data, ranks.size))
    ranks.stage = "the training"
    result = train(run, data, comm=ranks.comm, rank_timeout=ranks.timeout)
    if ranks.rank:
        return 128 + result.signal if result.signal else 0
    if result.signal:
        say(f"\ninterrupted after {counted(result.values['steps'], 'step')}; the weights are saved")
        say(next_steps(run, interrupted=True, ranks=ranks.size))
        return 128 + result.signal
    return _finish(run, data, result)


def _finish(run: Run, data: Data, result: TrainResult) -> int:
    """Print the result and draw the pictures."""
    say(f"\n{report(result, data)}")
    try:
        check_outputs(result.logits)
    except ValueError as error:
        say(fill(f"no pictures: {error}"))
        return 1
    try:
        draw(run, data, result)
    except (ImportError, MemoryError, OSError, ValueError) as error:  # the training itself is saved
        say(fill(f"no pictures: {one_line(error)}"))
    say(next_steps(run))
    return 0


def _redraw(run: Run, layers: list[type[Layer]]) -> None:
    """Draw the pictures of a run that was stopped between its result and these."""
    try:
        redraw(open_run(run.folder, layers))
    except (ImportError, ValueError, OSError) as error:
        print(fill(f"no pictures: {one_line(error)}"))


def _own_layers(model: str | None) -> list[type[Layer]]:
    """Return the classes of layers in the file of a model FILE.py:NAME."""
    return [] if model is None or is_builtin(model) else layers_of(model)


def _prepare(args: argparse.Namespace, layers: list[type[Layer]]) -> tuple[Run, bool, Data | None]:
    """Return the run, new or resumed; whether it is finished; and the data if they were loaded."""
    names = [field.name for field in dataclasses.fields(TrainConfig)]
    choices = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    for name in ("dataset", "data", "labels"):  # absolute, so that the run can be evaluated from elsewhere
        if choices.get(name) == "":  # else the present folder
            raise ValueError(f"`{name}` must not be empty")
        if choices.get(name) not in (None, *DATASETS) and Path(choices[name]).exists():
            choices[name] = str(Path(choices[name]).absolute())
    if args.resume is not None:
        resumed, moved = _resumed(args, choices, layers)
        return resumed, is_finished(resumed.folder, resumed.config.epochs or 0), moved
    config = TrainConfig(**choices)
    _check_cache(args.cache, config)
    data = load_data(config, args.cache)
    return create_run(config, data, args.out, args.checkpoint_every), False, data


def _check_cache(cache: str | None, config: TrainConfig) -> None:
    if cache is not None and not config.stream:
        raise ValueError("--cache must be omitted without --stream: it is for pictures larger than memory")


def _resumed(
    args: argparse.Namespace, choices: dict[str, Any], layers: list[type[Layer]]
) -> tuple[Run, Data | None]:
    """Return the run to resume, if no option contradicts it; and the data if they are in another place."""
    place = {name: choices.pop(name, None) for name in ("dataset", "data", "labels")}
    try:
        run = open_unfinished_run(args.resume, layers, **place)
    except FileFormatError as error:
        raise for_command_line(error) from error
    if args.out is not None and Path(args.out).absolute() != run.folder.absolute():
        raise ValueError(f"--out must be the folder of the resumed run, or omitted, got {args.out}")
    _check_cache(args.cache, run.config)
    epochs = choices.pop("epochs", None)
    for name, value in choices.items():
        if value != (own := getattr(run.config, name)):
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option} must be {own}, as in the resumed run, or omitted, got {value}")
    data = None
    if any(place.values()):
        data = load_data(run.config, args.cache)
        relocate(run, data)
    if epochs not in (None, run.config.epochs):
        run = prolong(run, epochs)
    if args.checkpoint_every is not None:
        run = dataclasses.replace(run, checkpoint_every=args.checkpoint_every)
    return run, data
