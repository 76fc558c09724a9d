"""The exceptions that minicnn defines, for errors that callers catch by name, and places in messages."""

import contextlib
from collections.abc import Iterator

LOCATED = (ValueError, TypeError, RuntimeError)  # errors whose message gets a place


class FileFormatError(ValueError):
    """A file is truncated, corrupted, or not of the expected format."""


def with_place(error: Exception, place: str) -> Exception:
    """Return the error with a place in front of its message, as one of the kinds in LOCATED."""
    kind = next(kind for kind in LOCATED if isinstance(error, kind))
    return kind(f"{place}{error}")


@contextlib.contextmanager
def located(place: str) -> Iterator[None]:
    """Put a place in front of the message of errors about values, types and the order of calls."""
    try:
        yield
    except LOCATED as error:
        raise with_place(error, place) from error


@contextlib.contextmanager
def noted(note: str) -> Iterator[None]:
    """Add a note to the traceback of any error, for code of the user, whose exceptions stay as they are."""
    try:
        yield
    except Exception as error:
        error.add_note(note)
        raise
