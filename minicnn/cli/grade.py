"""`minicnn grade`."""

import argparse

from minicnn.cli.parser import Commands, add_command

_TEXT = """\
Grade a solution of the textbook exercises: a file that defines conv_forward, pool_forward, conv_backward or
pool_backward. The file is run in a separate process."""
_EXAMPLE = "minicnn grade solution.py"


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(
        commands, "grade", run, "grade a solution of the textbook exercises", _TEXT, _EXAMPLE
    )
    parser.add_argument("path", metavar="FILE", help="Python file, or a folder of Python files")
    parser.add_argument(
        "--timeout", type=float, default=60, metavar="SECONDS", help="time limit of a file (default: 60)"
    )


def run(args: argparse.Namespace) -> int:
    """Grade; return 1 if a function is wrong."""
    from minicnn.testing.grade import grade_command

    text, ok = grade_command(args.path, args.timeout)
    print(text)
    return 0 if ok else 1
