"""Files that are whole or not there: atomic writing, and one writer to a folder."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there
    fcntl = None  # type: ignore[assignment]

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "make room on the disk"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "make the folder writable"),
    errno.ELOOP: "remove the link",
}
# Of JSON, what each of these marks begins may take sixty bytes, in three of text: beyond so many marks, there
# must be enough text for each.
_MARKS, _FREE_MARKS, _TEXT_OF_MARK = '[{,:"', 4000, 8


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that at any moment it is either the old one or the new one, whole and on the disk.

    A device or a pipe is written into.

    Raises
    ------
    OSError
        With the file's name, and a message that says what to do. The old file is still there, unless only the
        last thing failed, to see to it that the new one's name is on the disk: then it is the new one.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():  # a device or a pipe must stay what it is
        with explain_os_errors(path), path.open("wb") as file:
            file.write(data)
        return
    # In the same folder, since a rename is atomic only within a file system.
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    try:
        with explain_os_errors(path):  # nobody asked for the temporary one
            descriptor = os.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666
            )
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(temporary, path)
            sync_folder(path.parent)  # the new name too must be on the disk
    finally:
        with contextlib.suppress(OSError):  # gone already where all went well
            os.unlink(temporary)


@contextlib.contextmanager
def explain_os_errors(path: Path) -> Iterator[None]:
    """Let an OSError be about `path`, and say what to do."""
    try:
        yield
    except OSError as error:
        text = "; ".join(filter(None, [error.strerror, _REMEDIES.get(error.errno or 0)]))
        raise OSError(error.errno, text, os.fspath(path)) from error


def sync_folder(folder: Path) -> None:
    """See to it that the names in a folder are on the disk."""
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_temporaries(folder: Path) -> None:
    """Remove what processes that were killed while they wrote have left in a folder."""
    for path in folder.iterdir():
        if _TEMPORARY.fullmatch(path.name) and not path.is_dir():  # that is not ours
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file for one process alone; its end, however sudden, lets go of it.

    Raises
    ------
    BlockingIOError
        If somebody holds it already.
    """
    with explain_os_errors(path):
        # A link would make a file, or lock one, somewhere else.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(
                error.errno,
                "a folder must be trained into by one at a time, and somebody does: wait, or take another",
                os.fspath(path.parent),
            ) from None
        except OSError:
            pass  # some network file systems know no locks, and are no worse than before
        yield
    finally:
        os.close(descriptor)


def to_json(value: Any, default: Callable[[Any], Any] | None = None) -> str:
    """Return a value as JSON that `parse_json` takes: with blanks at its end where it is mostly marks."""
    text = json.dumps(value, default=default)
    return text.ljust(_TEXT_OF_MARK * (_count_marks(text) - _FREE_MARKS))


def parse_json(text: str) -> dict[str, Any]:
    """Return the object that is in a text of JSON, whoever wrote it.

    Raises
    ------
    ValueError
        If it is not one object, has a key twice or nests too deeply, or takes far more memory than its text.
    """
    if _count_marks(text) > _FREE_MARKS + len(text) // _TEXT_OF_MARK:
        raise ValueError("it has more brackets, commas and quotes than anything between them")
    try:
        value = json.loads(text, object_pairs_hook=_unique)
    except RecursionError as error:
        raise ValueError("it nests too deeply") from error
    if not isinstance(value, dict):
        raise ValueError(f"it must be a JSON object, got {type(value).__name__}")
    return value


def _count_marks(text: str) -> int:
    return sum(map(text.count, _MARKS))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key occurs twice in one object")
    return value


def check_schema(value: Any, form: Any, name: str = "it") -> None:
    """Demand that what JSON held has a form: a type, [form], {str: form}, or {"key": form, ...}.

    Integers must have 64 bits at most, as larger ones cannot be counted with; those of `object` any number.

    >>> check_schema({"loss": [0.5, "low"]}, {str: [float]})
    Traceback (most recent call last):
    TypeError: it.loss.1 must be float, got 'low'
    """
    kind = type(form) if isinstance(form, list | dict) else form
    if kind is not object and type(value) is not kind and not (kind is float and type(value) is int):
        raise TypeError(f"{name} must be {kind.__name__}, got {value!r:.100}")
    if kind in (int, float) and type(value) is int and not -(2**63) <= value < 2**63:
        raise ValueError(f"{name} must have 64 bits at most, got an integer of {value.bit_length()} bits")
    if isinstance(form, list):
        for i, item in enumerate(value):
            check_schema(item, form[0], f"{name}.{i}")
    elif isinstance(form, dict):
        if str not in form and value.keys() != form.keys():
            raise TypeError(f"{name} must have the keys {', '.join(form)}, got {', '.join(value)!r:.100}")
        for key, item in value.items():
            shown = key if key.isidentifier() else f"{key!r:.50}"
            check_schema(item, form.get(key) or form[str], f"{name}.{shown}")
