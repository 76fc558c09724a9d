"""`minicnn check`."""

from __future__ import annotations

import argparse

from minicnn.cli.parser import Commands, add_command

_TEXT = """\
Check a layer of your own: the gradients that its backward returns against numeric ones, and the rest of the
contract. TARGET names it as FILE.py:NAME or package.module:NAME, with arguments where it needs some."""
_EXAMPLE = "minicnn check my_layers.py:Scale --input 8,7,3"


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "check", run, "check a layer of your own", _TEXT, _EXAMPLE)
    parser.add_argument(
        "target", metavar="TARGET", help="such as 'my_layers.py:Scale' or 'minicnn:Conv2D(16, 3)'"
    )
    parser.add_argument(
        "--input", type=shape, metavar="H,W,C", help="shape of one example (default: an image and a vector)"
    )
    parser.add_argument("--seed", type=int, metavar="N", default=0, help="of weights and inputs (default: 0)")


def run(args: argparse.Namespace) -> int:
    """Check; return 1 if something is wrong with the layer."""
    from minicnn.testing.command import check_command

    text, ok = check_command(args.target, args.input, args.seed)
    print(text)
    return 0 if ok else 1


def shape(text: str) -> tuple[int, ...]:
    """Return "8,7,3" as a tuple."""
    try:
        return tuple(int(size) for size in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be integers with commas between them, got {text!r}") from None
