"""`minicnn grade`."""

import argparse
import textwrap

from minicnn.cli.parser import Commands, add_command
from minicnn.plural import counted

_TEXT = """\
Grade solutions of the textbook exercises: files that define conv_forward, pool_forward, conv_backward or
pool_backward. In a folder, files called main.py or 0-main.py, which call a solution, are left out.

A file can import what lies beside it: it runs in a copy of its folder (at most 500 files, 32 MB). It runs in
a process of its own, which gets inputs and returns arrays; expected results are computed and compared
outside. Where Linux has user namespaces, it has no network and can write into its copy only; elsewhere, only
time, memory and the like are limited. The report ends with what is protected here, and what is not."""
_EXAMPLE = "minicnn grade solution.py\nminicnn grade students/ --csv verdicts.csv"


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "grade", run, "grade solutions of the textbook exercises", _TEXT, _EXAMPLE)
    parser.add_argument("path", metavar="FILE", help="Python file, or a folder of Python files")
    parser.add_argument(
        "--timeout",
        type=float,
        default=60,
        metavar="SECONDS",
        help="time limit for running the file, and for each function (default: 60)",
    )
    parser.add_argument(
        "--memory", type=int, default=2048, metavar="MB", help="limit of memory (default: 2048)"
    )
    parser.add_argument("--csv", metavar="FILE", help="write all verdicts into this file")


def run(args: argparse.Namespace) -> int:
    """Grade; return 1 if a function is wrong."""
    from minicnn.testing.grade import grade_all
    from minicnn.testing.grade.isolation import best_isolation, protection
    from minicnn.testing.grade.table import csv_table

    if args.memory < 256:
        raise ValueError(f"--memory must be at least 256 (MB), got {args.memory}")
    memory, passed = args.memory << 20, []
    with csv_table(args.csv) as write:
        for grade in grade_all(args.path, args.timeout, memory):
            print(grade, end="\n\n", flush=True)
            write(grade)
            passed.append(grade.passed)
    if len(passed) > 1:
        print(f"{sum(passed)} of {counted(len(passed), 'file')} correct\n")
    print(textwrap.fill(protection(best_isolation(memory)), width=80))
    return 0 if all(passed) else 1
