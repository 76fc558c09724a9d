"""The command `minicnn`: one module for each subcommand, which parses, calls the package, and prints.

Exit status: 0 for success; 1 if a check failed; 2 for wrong input, with a message of one line; 130 and 143
after Ctrl-C and SIGTERM, 129 after SIGHUP.
"""

import io
import os
import signal
import sys
from collections.abc import Sequence

from minicnn.cli import (
    bench,
    check,
    compare,
    demo,
    evaluate,
    export,
    grade,
    predict,
    profile,
    report,
    summary,
    train,
)
from minicnn.cli.errors import EXPECTED, is_thread_limit, one_line, plain_warnings, with_options
from minicnn.cli.parser import CommandParser
from minicnn.runs.user_code import place_of
from minicnn.startup import fill_descriptors, restore_interrupt
from minicnn.version import __version__

# In the order in which a new user needs them.
COMMANDS = (train, evaluate, predict, demo, report, summary, check, grade, compare, bench, profile, export)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process.
    """
    fill_descriptors()
    restore_interrupt()
    try:
        return _main(argv)
    except KeyboardInterrupt as interrupt:
        print("minicnn: interrupted", file=sys.stderr)
        return 128 + next(iter(interrupt.args), signal.SIGINT)


def _main(argv: Sequence[str] | None) -> int:
    parser = _make_parser()
    args = parser.parse_args(argv)
    if args.run is None:
        parser.print_help()
        return 0
    if isinstance(sys.stdout, io.TextIOWrapper):  # escape what the terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with plain_warnings(args):
            status = args.run(args)
        _flush()
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has closed it
        _flush(quiet=True)
        return 128 + 13  # as for a program ended by SIGPIPE
    except (*EXPECTED, RuntimeError) as error:
        if not isinstance(error, EXPECTED) and not is_thread_limit(error):
            raise
        _flush(quiet=True)
        place = place_of(error)
        message = with_options(one_line(error), vars(args)) + (f" ({place})" if place else "")
        print(f"minicnn {args.command}: {message}", file=sys.stderr)
        return 2
    return status


def _flush(quiet: bool = False) -> None:
    """Flush stdout; if that fails, keep Python from trying again at exit."""
    try:
        print(end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not quiet:
            raise


def _make_parser() -> CommandParser:
    parser = CommandParser(
        prog="minicnn",
        description="Train and use small convolutional networks, in plain NumPy.",
        epilog="Start with `minicnn train`. For help on a command: `minicnn train --help`.",
    )
    parser.add_argument("--version", action="version", version=f"minicnn {__version__}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for command in COMMANDS:
        command.add_to(commands)
    return parser
