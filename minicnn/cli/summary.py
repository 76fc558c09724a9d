"""`minicnn summary`."""

import argparse

from minicnn.cli.parser import Commands, add_command, add_model
from minicnn.models import MODELS
from minicnn.runs import TrainConfig

_TEXT = """\
Print the layers of a network: output shape, parameters, MACs and cached bytes for one image."""


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    example = "minicnn summary --model lenet5"
    parser = add_command(commands, "summary", run, "print the layers of a network", _TEXT, example)
    add_model(parser, TrainConfig.model)


def run(args: argparse.Namespace) -> int:
    """Print the table for images of MNIST's shape, padded if the model needs it."""
    side = max(28, MODELS[args.model].min_size)
    print(TrainConfig(model=args.model).build_model((side, side, 1), 10).summary())
    return 0
