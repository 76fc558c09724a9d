"""Errors to be reported in one line, without a traceback."""

import os

# Raised for wrong input or a full disk. Any other error is a bug and keeps its traceback.
EXPECTED = (ValueError, OSError, ImportError, FloatingPointError, MemoryError)


def one_line(error: BaseException) -> str:
    """Return the message of an error in one line.

    >>> one_line(FileNotFoundError(2, "No such file or directory", "x.png"))
    'x.png: No such file or directory'
    """
    if isinstance(error, OSError) and error.strerror:
        place = "cannot read or write" if error.filename is None else os.fsdecode(error.filename)
        return f"{place}: {error.strerror}"
    if isinstance(error, MemoryError):
        return f"out of memory: {error}"
    return " ".join(str(error).split()) or type(error).__name__
