"""`minicnn summary`."""

import argparse

from minicnn.cli.check import shape
from minicnn.cli.parser import Commands, add_command, add_model
from minicnn.cli.trained import add_trained, model_of_name, opened
from minicnn.runs import TrainConfig

_TEXT = """\
Print the layers of a network: output shape, parameters, MACs and cached bytes for one image."""
_EXAMPLE = """\
minicnn summary runs/first
minicnn summary --model nets.py:tiny --input 32,32,3 --classes 5"""


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "summary", run, "print the layers of a network", _TEXT, _EXAMPLE)
    add_trained(parser, "?", ", instead of --model")
    add_model(parser, TrainConfig.model)
    add_shape(parser)


def add_shape(parser: argparse.ArgumentParser) -> None:
    """Add --input and --classes, of a network that --model names."""
    shapes = "shape of an image for --model (default: that of MNIST)"
    parser.add_argument("--input", type=shape, metavar="H,W,C", help=shapes)
    classes = "number of classes for --model (default: 10)"
    parser.add_argument("--classes", type=int, metavar="N", default=10, help=classes)


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    if args.folder and args.model:
        raise ValueError(f"give a run folder or --model, not both, got {args.folder} and {args.model}")
    if args.folder:
        print(opened(args).model.summary())
    else:
        print(model_of_name(args.model or TrainConfig.model, args.input, args.classes).model.summary())
    return 0
