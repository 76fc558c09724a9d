"""`minicnn summary`."""

import argparse

from minicnn.cli.parser import Commands, add_command
from minicnn.cli.trained import add_network, network

_TEXT = """\
Print the layers of a network: output shape, parameters, MACs and cached bytes for one image."""
_EXAMPLE = """\
minicnn summary runs/first
minicnn summary --model nets.py:tiny --input 32,32,3 --classes 5"""


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "summary", run, "print the layers of a network", _TEXT, _EXAMPLE)
    add_network(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    print(network(args).summary())
    return 0
