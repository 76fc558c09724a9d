"""Errors that are the user's, or the machine's, and how they are said in one sentence."""

from __future__ import annotations

import os

# What wrong input or a full disk raises. Anything else is a mistake of ours, and keeps its traceback.
EXPECTED = (ValueError, OSError, ImportError, FloatingPointError, MemoryError)


def sentence(error: BaseException) -> str:
    """Return an error as one line for people.

    >>> sentence(FileNotFoundError(2, "No such file or directory", "x.png"))
    'x.png: No such file or directory'
    """
    if isinstance(error, OSError) and error.strerror:
        place = "cannot read or write" if error.filename is None else os.fsdecode(error.filename)
        return f"{place}: {error.strerror}"
    if isinstance(error, MemoryError):
        return f"there is not enough memory; {error}"
    return " ".join(str(error).split()) or type(error).__name__
