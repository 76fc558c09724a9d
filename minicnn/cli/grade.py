"""`minicnn grade`."""

import argparse
import textwrap
from pathlib import Path

from minicnn.cli.parser import Commands, add_command
from minicnn.plural import counted

_TEXT = """\
Grade solutions of the textbook exercises: files that define conv_forward, pool_forward, conv_backward or
pool_backward, lenet5(x, y) in TensorFlow or lenet5(X) in Keras. In a folder, files called main.py or
0-main.py, which call a solution, are left out.

A net is tested with its own weights: shapes for two sizes of images, predictions, loss, accuracy, the
initializer he_normal, and three training steps by Adam. This needs TensorFlow: pip install
'minicnn-numpy[tensorflow]'. Since version 2.16 it has no tf.layers: Conv2D, MaxPooling2D,
AveragePooling2D, Flatten and Dense are provided.

A file can import what lies beside it: it runs in a copy of its folder (at most 500 files, 32 MB). Solutions
of others, which define the same functions, are left out, unless the file needs them; the report says so.
NumPy and other libraries can be imported, but none that have the answer (minicnn, SciPy, PyTorch, ...;
TensorFlow only for lenet5).

It runs in a process of its own, which gets inputs and returns arrays; expected results are computed and
compared outside. Where Linux has user namespaces or Landlock, it has no network, can start no programs, and
can read and write none of your files but its copy; elsewhere, only time, memory and the like are limited."""
_EXAMPLE = "minicnn grade solution.py\nminicnn grade students/ --csv verdicts.csv"
_MEMORY = 2048  # MB


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "grade", run, "grade solutions of the textbook exercises", _TEXT, _EXAMPLE)
    show_help, epilog = parser.format_help, parser.epilog

    def format_help() -> str:
        parser.epilog = f"{epilog}\n\nOn this system: {_protection()}"  # tried only when it is shown
        return show_help()

    parser.format_help = format_help  # type: ignore[method-assign]
    parser.add_argument("path", metavar="FILE", help="Python file, or a folder of Python files")
    parser.add_argument(
        "--timeout",
        type=float,
        default=60,
        metavar="SECONDS",
        help="time limit for running the file, and for each function (default: 60); waiting for a busy "
        "core does not count",
    )
    parser.add_argument(
        "--memory", type=int, default=_MEMORY, metavar="MB", help=f"memory limit (default: {_MEMORY})"
    )
    parser.add_argument("--csv", metavar="FILE", help="write all verdicts into this file")


def run(args: argparse.Namespace) -> int:
    """Grade; return 1 if a function is wrong."""
    from minicnn.testing.grade import grade_all
    from minicnn.testing.grade.table import csv_table

    if args.memory < 256:
        raise ValueError(f"--memory must be at least 256 (MB), got {args.memory}")
    memory, passed = args.memory << 20, []
    if args.csv is not None and Path(args.csv).suffix != ".csv":  # rather one of the files to grade
        raise ValueError(f"--csv must end in .csv, got {args.csv}")
    with csv_table(args.csv) as write:
        for grade in grade_all(args.path, args.timeout, memory):
            print(grade, end="\n\n", flush=True)
            write(grade)
            passed.append(grade.passed)
    if len(passed) > 1:
        print(f"{sum(passed)} of {counted(len(passed), 'file')} correct\n")
    print(textwrap.fill(_protection(args.memory), width=80))
    return 0 if all(passed) else 1


def _protection(megabytes: int = _MEMORY) -> str:
    """Return what is protected from the files on this system, and what is not."""
    from minicnn.testing.grade.isolation import best_isolation, protection

    return protection(best_isolation(megabytes << 20))
