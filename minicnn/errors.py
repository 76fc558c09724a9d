"""The exceptions that minicnn defines, for errors that callers catch by name, and places in messages."""

import contextlib
from collections.abc import Iterator


class FileFormatError(ValueError):
    """A file is truncated, corrupted, or not of the expected format."""


@contextlib.contextmanager
def located(place: str) -> Iterator[None]:
    """Put a place in front of the message of errors about values, types and the order of calls."""
    try:
        yield
    except (ValueError, TypeError, RuntimeError) as error:
        kind = next(kind for kind in (ValueError, TypeError, RuntimeError) if isinstance(error, kind))
        raise kind(f"{place}{error}") from error


@contextlib.contextmanager
def noted(note: str) -> Iterator[None]:
    """Add a note to the traceback of any error, for code of the user, whose exceptions stay as they are."""
    try:
        yield
    except Exception as error:
        error.add_note(note)
        raise
