"""A cache of decoded pictures: an ``.npy`` file, and behind its array what it was made from, as JSON."""

import errno
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.datasets.class_folders import Listing
from minicnn.datasets.image_reader import ImageReader
from minicnn.datasets.npy_header import read_npy_header

_VERSION = 1
_MAX_TRAILER = 1 << 28  # bytes


class PictureCache:
    """Rows of an array of pictures in a file.

    It is mapped into memory for a moment at each access, so that pages read do not count as memory used.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], offset: int) -> None:
        self.path, self.shape, self.offset = path, shape, offset

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Return copies of these rows."""
        return np.array(np.memmap(self.path, np.uint8, "r", self.offset, self.shape)[rows])


def cache_key(listing: Listing, reader: ImageReader) -> str:
    """Return a digest of the settings, and of names, sizes and times of the files."""
    sha = hashlib.sha256(json.dumps([_VERSION, reader.to_dict()]).encode())
    for file in listing.files:
        stat = os.stat(listing.folder / file)
        sha.update(f"{file}\0{stat.st_size} {stat.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return sha.hexdigest()


def read_cache(path: Path, key: str, shape: tuple[int, ...]) -> tuple[PictureCache, dict[int, str]] | None:
    """Return a cache and why some rows could not be read; None if there is none that was made from this."""
    try:
        with path.open("rb") as file:
            found, fortran, dtype = read_npy_header(file)
            offset, size = file.tell(), int(np.prod(shape, dtype=np.int64))
            length = os.fstat(file.fileno()).st_size - offset - size
            if (found, fortran, dtype) != (shape, False, np.uint8) or not 0 < length <= _MAX_TRAILER:
                return None
            file.seek(offset + size)
            trailer = json.loads(file.read())
            if trailer["key"] != key:
                return None
            return PictureCache(path, shape, offset), {int(k): str(v) for k, v in trailer["refused"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # it is made again


def require_own_file(path: Path) -> None:
    """Raise FileExistsError if there is something else than a cache, which a new one would overwrite.

    A cache may be damaged; an empty file may be one that was cut off.
    """
    if not os.path.lexists(path) or (path.is_file() and (not path.stat().st_size or _is_cache(path))):
        return
    text = "it is not a cache of pictures, and is not overwritten; give `cache` another name"
    raise FileExistsError(errno.EEXIST, text, os.fspath(path))


def _is_cache(path: Path) -> bool:
    """Return whether a file is an array of pictures with something behind it, as only caches are."""
    try:
        with path.open("rb") as file:
            shape, _, dtype = read_npy_header(file)
            end = file.tell() + int(np.prod(shape, dtype=np.int64))
            return len(shape) == 4 and dtype == np.uint8 and os.fstat(file.fileno()).st_size > end
    except ValueError:
        return False


class CacheWriter:
    """A new cache, written beside the old one and put in its place when it is whole; a context manager."""

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path, self.shape = path, shape
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        self.file, self.temporary = os.fdopen(descriptor, "w+b"), Path(name)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self.file, header)
        self.file.flush()

    def __enter__(self) -> "CacheWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()
        self.temporary.unlink(missing_ok=True)

    def append(self, rows: np.ndarray) -> None:
        """Write the next rows."""
        self.file.write(np.ascontiguousarray(rows).data)

    def finish(self, key: str, refused: dict[int, str]) -> None:
        """Write what the rows were made from, and put the file in its place."""
        content: dict[str, Any] = {"key": key, "refused": refused}
        self.file.write(json.dumps(content).encode())
        self.file.flush()
        os.fsync(self.file.fileno())
        os.replace(self.temporary, self.path)
