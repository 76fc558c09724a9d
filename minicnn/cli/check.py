"""`minicnn check`."""

import argparse
import textwrap

from minicnn.cli.parser import Commands, add_command
from minicnn.profiling.tables import text_width

_TEXT = """\
Check a layer: the gradients of its backward against numerical ones, and the rest of the layer contract.

TARGET is FILE.py:NAME or package.module:NAME, with constructor arguments if the layer needs any."""
_EXAMPLE = "minicnn check my_layers.py:Scale --input 8,7,3"


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "check", run, "check a custom layer", _TEXT, _EXAMPLE)
    parser.add_argument(
        "target", metavar="TARGET", help="for example my_layers.py:Scale or 'minicnn:Conv2D(16, 3)'"
    )
    parser.add_argument(
        "--input",
        type=shape,
        metavar="H,W,C",
        help="shape of an example (default: an image and a vector)",
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", default=0, help="seed of weights and inputs (default: 0)"
    )


def run(args: argparse.Namespace) -> int:
    """Check; return 1 if the layer fails."""
    from minicnn.testing.command import check_command

    text, ok = check_command(args.target, args.input, args.seed)
    print("\n".join(_wrapped(line) for line in text.splitlines()))
    return 0 if ok else 1


def _wrapped(line: str) -> str:
    """Return a line of the report in lines that fit the terminal, those of a fact below its value."""
    indent = " " * 17 if line.startswith(" ") else ""
    return textwrap.fill(line, text_width(), subsequent_indent=indent, break_long_words=False)


def shape(text: str) -> tuple[int, ...]:
    """Parse "8,7,3"."""
    try:
        return tuple(int(size) for size in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be integers separated by commas, got {text!r}") from None
