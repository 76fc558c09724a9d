"""Errors and warnings to be reported without a traceback or a line of code."""

import argparse
import contextlib
import os
import re
import sys
import warnings
from collections.abc import Container, Iterator
from typing import Any

# Raised for wrong input or a full disk. Any other error is a bug and keeps its traceback.
EXPECTED = (ValueError, OSError, ImportError, FloatingPointError, MemoryError)


def is_thread_limit(error: BaseException) -> bool:
    """Return whether the system has refused a thread; Python has no class for this error."""
    return isinstance(error, RuntimeError) and str(error) == "can't start new thread"


@contextlib.contextmanager
def plain_warnings(args: argparse.Namespace) -> Iterator[None]:
    """Print warnings that are meant for users as messages of the command, without their place in the code."""
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, UserWarning):
                text = with_options(escaped(str(message)), vars(args))
                print(f"minicnn {args.command}: {text}", file=sys.stderr)
            else:
                usual(message, category, *place, **more)

        warnings.showwarning = show
        yield


_SHORTER = {"num_classes": "classes", "input_shape": "input"}  # options of other names than the arguments


def with_options(message: str, options: Container[str]) -> str:
    """Return a message of the package in the words of a command: its options in place of arguments.

    >>> with_options("`batch_size` must be at least 1, got 0", {"batch_size", "epochs"})
    '--batch-size must be at least 1, got 0'
    >>> with_options("`skip_unreadable=True` or `value_range=(0, 9)`", {"skip_unreadable", "value_range"})
    '--skip-unreadable or --value-range 0,9'
    >>> with_options("`num_classes` must be 1 to 10,000, got 0", {"classes", "input"})
    '--classes must be 1 to 10,000, got 0'
    """

    def option(argument: re.Match[str]) -> str:
        name, value = _SHORTER.get(argument[1], argument[1]), argument[2]
        if name not in options:
            return argument[0]
        rest = "" if value in (None, "True") else " " + value.strip("()").replace(", ", ",")
        return f"--{name.replace('_', '-')}{rest}"

    return re.sub(r"`(\w+)(?:=([^`]*))?`", option, message)


def escaped(text: str) -> str:
    r"""Return a message whose names of files cannot be commands to a terminal.

    >>> escaped("a\x1b[2J.png is a pipe")
    'a\\x1b[2J.png is a pipe'
    """
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text)


def one_line(error: BaseException) -> str:
    """Return the message of an error in one line.

    >>> one_line(FileNotFoundError(2, "No such file or directory", "x.png"))
    'x.png: No such file or directory'
    """
    return escaped(_one_line(error))


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        place = "cannot read or write" if error.filename is None else os.fsdecode(error.filename)
        return f"{place}: {error.strerror}"
    if isinstance(error, MemoryError):
        return f"out of memory: {error}" if str(error) else "out of memory"
    if is_thread_limit(error):
        limits = "raise the limit of processes (ulimit -u) or of memory (ulimit -v)"
        return f"cannot start another thread: {limits}, or use --threads 1"
    return " ".join(str(error).split()) or type(error).__name__
