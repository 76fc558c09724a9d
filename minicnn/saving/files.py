"""Atomic writing, locks, and JSON from untrusted files."""

import contextlib
import errno
import json
import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free some disk space"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "make the folder writable"),
    errno.ELOOP: "remove the link",
}
# Of JSON: a string, even if it is not closed, a bracket or a comma. Each can take 80 bytes of memory, but
# only 3 of text. So a file must have some bytes for each token beyond the free ones.
_TOKEN = r'(?s)"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|[\[{,]'
_FREE_TOKENS, _BYTES_PER_TOKEN = 4000, 8


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that at any moment the old or the new one is whole and on the disk.

    Devices and pipes are written to directly.

    Raises
    ------
    OSError
        With the file's name, and a message that says what to do. The old file is unchanged, except if only
        the last step failed, which flushes the new file's name to the disk: then the new file is there.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():  # a device or a pipe cannot be replaced
        with explain_os_errors(path), open_for_writing(path, os.O_TRUNC) as file:
            file.write(data)
        return
    temporary = _temporary_path(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with explain_os_errors(path):  # errors name the user's file, not the temporary one
            with _opened_and_flushed(temporary, flags) as descriptor:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
            os.replace(temporary, path)
            if os.name == "posix":  # elsewhere a folder cannot be opened
                with _opened_and_flushed(path.parent, os.O_RDONLY):
                    pass  # the new name is what must be flushed
    finally:
        with contextlib.suppress(OSError):  # after a rename it does not exist
            os.unlink(temporary)


def _temporary_path(path: Path) -> Path:
    """Return a new name in the same folder, since a rename is atomic only within a file system."""
    return path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")


@contextlib.contextmanager
def open_for_writing(path: Path, flag: int) -> Iterator[BinaryIO]:
    """Open a file in place, with O_TRUNC or O_APPEND; a pipe without a reader is an error, not a wait."""
    descriptor = _open_at_once(path, os.O_CREAT | flag)
    if hasattr(os, "set_blocking"):
        os.set_blocking(descriptor, True)
    with open(descriptor, "wb") as file:
        yield file


def _open_at_once(path: Path, flags: int = 0) -> int:
    """Return a descriptor for writing."""
    flags |= os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        return os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, "it is a pipe that no process reads", os.fspath(path)) from error
        raise


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise OSError, with a message that says what to do, if a file cannot be written; nothing changes."""
    path = Path(path)
    with explain_os_errors(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder; give the name of a file", os.fspath(path))
        if path.exists():
            os.close(_open_at_once(path))
            if not path.is_file():  # a device or a pipe is not replaced
                return
        temporary = _temporary_path(path)
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        os.unlink(temporary)


@contextlib.contextmanager
def _opened_and_flushed(path: Path, flags: int) -> Iterator[int]:
    """Open a file or folder, and flush it to the disk before it is closed."""
    descriptor = os.open(path, flags, 0o666)
    try:
        yield descriptor
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_temporaries(folder: Path) -> None:
    """Remove the temporary files of processes that were killed during `write_atomically`."""
    for path in folder.iterdir():
        if _TEMPORARY.fullmatch(path.name) and not path.is_dir():  # a folder is the user's
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def explain_os_errors(path: Path) -> Iterator[None]:
    """Let each OSError name `path` and say what to do."""
    try:
        yield
    except OSError as error:
        text = "; ".join(filter(None, [error.strerror, _REMEDIES.get(error.errno or 0)]))
        raise OSError(error.errno, text, os.fspath(path)) from error


@contextlib.contextmanager
def locked(path: Path) -> Iterator[Callable[[], None]]:
    """Hold the lock file `path`, and remove the temporary files that killed processes left in its folder.

    The file must not hold data. The lock ends with the process at the latest. The value is a function that
    raises OSError if another folder has come in place of the locked one, and may be another training's.

    Raises
    ------
    BlockingIOError
        If the lock is held already.
    """
    import filelock  # imported here to keep `import minicnn` fast

    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(filelock.FileLock(path, timeout=0, thread_local=False))
        except filelock.Timeout:
            text = "another process is training into this folder; wait until it ends, or use another folder"
            raise BlockingIOError(errno.EAGAIN, text, os.fspath(path.parent)) from None
        except OSError as error:
            # Some network file systems have no locks: go ahead without one.
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                with explain_os_errors(path):
                    raise
        remove_temporaries(path.parent)
        yield partial(_require_folder, path.parent, path.parent.stat())


def _require_folder(folder: Path, known: os.stat_result) -> None:
    if not os.path.samestat(folder.stat(), known):
        text = "another folder has taken the place of this one, which a training is writing into"
        raise OSError(errno.ESTALE, text, os.fspath(folder))


def to_json(value: Any, default: Callable[[Any], Any] | None = None) -> str:
    """Return a value as JSON, with blanks at its end if `parse_json` would find it too dense."""
    text = json.dumps(value, default=default)
    return text.ljust(_BYTES_PER_TOKEN * (_count_tokens(text) - _FREE_TOKENS))


def parse_json(text: str, size: int | None = None) -> dict[str, Any]:
    """Return the object in a JSON text from an untrusted file of `size` bytes; by default the text's length.

    Raises
    ------
    ValueError
        If it is not one object, has a key twice, nests too deeply, or takes far more memory than the file.
    """
    most = _FREE_TOKENS + (len(text) if size is None else size) // _BYTES_PER_TOKEN
    if _count_tokens(text) > most:
        raise ValueError(f"it has more than {most} strings, brackets and commas, too many for its size")
    try:
        value = json.loads(text, object_pairs_hook=_unique)
    except (RecursionError, json.JSONDecodeError) as error:
        raise ValueError(f"its JSON is broken: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"it must be a JSON object, got {type(value).__name__}")
    return value


def _count_tokens(text: str) -> int:
    """Return how many tokens of JSON there are outside strings, each string counted as one."""
    return sum(1 for _ in re.finditer(_TOKEN, text))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs of a JSON object as a dict; raise if a key is in it twice."""
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key occurs twice in one object")
    return value


def check_schema(value: Any, schema: Any, name: str = "it") -> None:
    """Check a value from JSON against a schema: a type, [schema], {str: schema}, or {"key": schema, ...}.

    Integers must fit into 64 bits, except those within `object`.

    >>> check_schema({"loss": [0.5, "low"]}, {str: [float]})
    Traceback (most recent call last):
    TypeError: it.loss.1 must be float, got 'low'
    """
    kind = type(schema) if isinstance(schema, list | dict) else schema
    if kind is not object and type(value) is not kind and not (kind is float and type(value) is int):
        raise TypeError(f"{name} must be {kind.__name__}, got {value!r:.100}")
    if kind in (int, float) and type(value) is int and not -(2**63) <= value < 2**63:
        raise ValueError(f"{name} must fit into 64 bits, got an integer of {value.bit_length()} bits")
    if isinstance(schema, list):
        for i, item in enumerate(value):
            check_schema(item, schema[0], f"{name}.{i}")
    elif isinstance(schema, dict):
        if str not in schema and value.keys() != schema.keys():
            raise TypeError(f"{name} must have the keys {', '.join(schema)}, got {', '.join(value)!r:.100}")
        for key, item in value.items():
            shown = key if key.isidentifier() else f"{key!r:.50}"
            check_schema(item, schema.get(key) or schema[str], f"{name}.{shown}")
