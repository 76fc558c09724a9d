"""`minicnn check`."""

import argparse
import json
import textwrap

from minicnn.cli.parser import Commands, add_command
from minicnn.profiling.tables import text_width

_TEXT = """\
Check a layer: the gradients of its backward against numerical ones, and the rest of the layer contract.

TARGET is FILE.py:NAME or package.module:NAME, with constructor arguments if the layer needs any. Other
classes that have forward and backward are checked too, as are modules of PyTorch."""
_EXAMPLE = "minicnn check my_layers.py:Scale --input 8,7,3"


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "check", run, "check a custom layer", _TEXT, _EXAMPLE)
    parser.add_argument(
        "targets",
        metavar="TARGET",
        nargs="+",
        help="for example my_layers.py:Scale or 'minicnn:Pool2D(2)'",
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
    parser.add_argument(
        "--only",
        type=names,
        metavar="CHECKS",
        help="run these checks only: names, or one of the groups gradients, mathematics, contract",
    )
    parser.add_argument(
        "--skip", type=names, metavar="CHECKS", default=(), help="skip these checks, or a group"
    )
    parser.add_argument(
        "--inputs",
        metavar="FUNCTION",
        help="function (rng, shape) that draws inputs, beside the layer or as FILE.py:NAME",
    )
    parser.add_argument("--layout", choices=("NHWC", "NCHW"), help="axes of images (default: detected)")
    parser.add_argument(
        "--batch-dependent",
        action="store_true",
        help="of a class that is no Layer: the examples of a batch influence each other, as in BatchNorm",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of the reports")


def run(args: argparse.Namespace) -> int:
    """Check; return 1 if a layer fails."""
    from minicnn.testing.command import CheckedLayer, check_command

    results: list[CheckedLayer] = []
    for target in args.targets:
        options = args.seed, args.skip, args.only, args.inputs, args.layout, args.batch_dependent
        for result in check_command(target, args.input, *options):
            if not args.json:
                blank = "\n" if results else ""
                print(blank + "\n".join(_wrapped(line) for line in str(result).splitlines()))
            results.append(result)
    if args.json:
        print(json.dumps([result.to_json() for result in results], indent=2))
    return 1 if any(result.error for result in results) else 0


def _wrapped(line: str) -> str:
    """Return a line of the report in lines that fit the terminal, those of a fact below its value."""
    indent = " " * 17 if line.startswith(" ") else ""
    return textwrap.fill(line, text_width(), subsequent_indent=indent, break_long_words=False)


def names(text: str) -> str | tuple[str, ...]:
    """Parse "gradients" or "ties,kinks"."""
    return tuple(text.split(",")) if "," in text else text


def shape(text: str) -> tuple[int, ...]:
    """Parse "8,7,3"."""
    try:
        return tuple(int(size) for size in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be integers separated by commas, got {text!r}") from None
