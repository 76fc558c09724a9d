"""The arguments that name a network: a run folder, a model file, or --model; and its own layers."""

import argparse
import re
from dataclasses import replace

from minicnn.cli.check import shape
from minicnn.cli.parser import add_model
from minicnn.errors import FileFormatError
from minicnn.layers import Sequential
from minicnn.models import MODELS
from minicnn.runs import Run, TrainConfig, open_trained
from minicnn.runs.user_code import custom_layers, own_model

_ADVICE = re.compile(r"pass their classes: custom_layers=\[[^]]*\]")


def add_trained(parser: argparse.ArgumentParser, nargs: str | None = None, more: str = "") -> None:
    """Add the run folder or model file, and --custom."""
    help = f"run folder, or model file of any network{more}"
    parser.add_argument("folder", metavar="RUN|FILE", nargs=nargs, help=help)
    add_custom(parser)


def add_custom(parser: argparse.ArgumentParser) -> None:
    """Add --custom."""
    parser.add_argument(
        "--custom",
        metavar="FILE.py",
        action="append",
        default=[],
        help="file or module that defines your own layers; it is executed",
    )


def opened(args: argparse.Namespace) -> Run:
    """Return the trained network that the arguments name."""
    with_layers = custom_layers(args.custom)
    try:
        found = open_trained(args.folder, with_layers)
    except FileFormatError as error:
        raise for_command_line(error) from error
    return replace(found, config=skipping(found.config, args))


def skipping(config: TrainConfig, args: argparse.Namespace) -> TrainConfig:
    """Return the config of a trained network with --skip-unreadable, where that is given."""
    return replace(config, skip_unreadable=True) if getattr(args, "skip_unreadable", None) else config


def for_command_line(error: FileFormatError) -> FileFormatError:
    """Return an error about missing layers with the option in place of the argument in Python."""
    return FileFormatError(_ADVICE.sub("name the file that defines them: --custom FILE.py", str(error)))


def add_network(parser: argparse.ArgumentParser, *others: str) -> None:
    """Add the run folder or model file, or --model of an untrained network, --input and --classes."""
    add_trained(parser, "?", ", instead of --model")
    add_model(parser, TrainConfig.model, *others)
    shapes = "shape of an image for --model (default: that of MNIST)"
    parser.add_argument("--input", type=shape, metavar="H,W,C", help=shapes)
    classes = "number of classes for --model (default: 10)"
    parser.add_argument("--classes", type=int, metavar="N", default=10, help=classes)


def network(args: argparse.Namespace) -> Sequential:
    """Return the network that the arguments of `add_network` name."""
    if args.folder and args.model:
        raise ValueError(f"give a run folder or --model, not both, got {args.folder} and {args.model}")
    if args.folder:
        return opened(args).model
    config = TrainConfig(model=args.model or TrainConfig.model)
    if config.model not in MODELS:
        return own_model(config, args.input or (28, 28, 1), args.classes)
    side = max(28, MODELS[config.model].min_size)
    return config.build_model(args.input or (side, side, 1), args.classes)
