"""What argparse does not do by itself: errors in one sentence, an example under each help."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from minicnn.datasets import DATASETS, FOLDER_FORMATS
from minicnn.models import MODELS

# Return type of add_subparsers, which the standard library keeps to itself.
Commands = Any


class CommandParser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line."""

    def __init__(self, **settings: Any) -> None:
        # No abbreviations: --val must not change its meaning when --valley is added one day.
        super().__init__(**settings, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter)

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def add_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int],
    help: str,
    text: str,
    example: str,
) -> argparse.ArgumentParser:
    """Add a subcommand that calls `run(args)`; `text` is in its own help, with the example under it."""
    parser = commands.add_parser(name, help=help, description=text, epilog=f"example:\n  {example}")
    parser.set_defaults(run=run)
    return parser


def add_model(parser: argparse.ArgumentParser, default: str) -> None:
    """Add --model."""
    parser.add_argument(
        "--model",
        choices=MODELS,
        metavar="NAME",
        default=default,
        help=f"the network: {', '.join(MODELS)} (default: {default})",
    )


def add_dataset(parser: argparse.ArgumentParser, default: str | None, shown: str) -> None:
    """Add --dataset and --data."""
    parser.add_argument(
        "--dataset",
        metavar="NAME|DIR",
        default=default,
        help=f"{', '.join(DATASETS)}, or {' or '.join(FOLDER_FORMATS)} (default: {shown})",
    )
    parser.add_argument("--data", metavar="DIR", help="where Fashion-MNIST is, if it is not found by itself")
