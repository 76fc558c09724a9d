"""The arguments of commands that take a trained network: a run folder or a model file, and own layers."""

import argparse
import re
from pathlib import Path

from minicnn.errors import FileFormatError
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
        help="file or module that defines layers of your own; it is executed",
    )


def opened(args: argparse.Namespace) -> Run:
    """Return the trained network that the arguments name."""
    with_layers = custom_layers(args.custom)
    try:
        return open_trained(args.folder, with_layers)
    except FileFormatError as error:
        raise for_command_line(error) from error


def for_command_line(error: FileFormatError) -> FileFormatError:
    """Return an error about missing layers with the option in place of the argument in Python."""
    return FileFormatError(_ADVICE.sub("name the file that defines them: --custom FILE.py", str(error)))


def model_of_name(name: str, input_shape: tuple[int, ...] | None, classes: int = 10) -> Run:
    """Return an untrained network by its name in the registry, or FILE.py:NAME, in a run without a folder."""
    config = TrainConfig(model=name)
    if name not in MODELS:
        return Run(Path(), config, own_model(config, input_shape or (28, 28, 1), classes))
    side = max(28, MODELS[name].min_size)
    return Run(Path(), config, config.build_model(input_shape or (side, side, 1), classes))
