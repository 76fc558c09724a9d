"""Folders of pictures that are larger than memory, as a source of batches."""

import collections
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from minicnn.cores import available_threads
from minicnn.datasets.class_folders import list_images
from minicnn.datasets.decoding import Decoders
from minicnn.datasets.image_folder import (
    ROWS,
    check_brightness,
    find_channels,
    read_pictures,
    report_refused,
)
from minicnn.datasets.image_reader import ImageReader, check_colour, check_size
from minicnn.datasets.picture_cache import CacheWriter, PictureCache, cache_key, read_cache, require_own_file
from minicnn.validation import check_int

_SAMPLE = 256  # files whose content counts for the digest
_AHEAD = 2  # batches decoded ahead by each process


class ImageFolder:
    """The pictures of a folder as a source of batches, of which only a few are in memory at a time.

    `Trainer.fit` takes it in place of arrays, and `evaluate`, `predict` and `validation_data` as well. The
    numbers are those of the same pictures as arrays: order, exact resume, threads and ranks included.

    Parameters
    ----------
    path, size, channels, split, resize, background, value_range, labels, progress
        As for `load_image_folder`.
    cache : path, optional
        A file, such as ``letters.npy``, into which all pictures are decoded once; later it is read instead,
        as long as the names, sizes and times of the picture files are the same. Without it, other processes
        decode the pictures of the next batches in every epoch.
    skip_unreadable : bool
        As for `load_image_folder`; it needs a `cache`.
    workers : int, optional
        The number of processes that decode; 0 decodes in this one. By default one less than the cores.

    Attributes
    ----------
    names : list of str
        The names of the classes, sorted.
    y : ndarray, intp (N,)
        The classes of all pictures.
    shape : tuple of int
        (N, H, W, C), that of all pictures.
    reader : ImageReader
        How a picture becomes an array.

    Raises
    ------
    ImportError, FileNotFoundError, FileFormatError
        As `load_image_folder`; without a cache, a file that cannot be read is found when it is needed.
    FileExistsError
        If `cache` is a file or folder that is no cache.

    Examples
    --------
    >>> from PIL import Image
    >>> from minicnn import SGD, Dense, Flatten, Sequential, Trainer
    >>> path = getfixture("tmp_path")
    >>> for name in ("black", "white"):
    ...     (path / name).mkdir()
    ...     Image.new("L", (9, 9), name).save(path / name / "1.png")
    >>> folder = ImageFolder(path, size=4, cache=path / "cache.npy")
    >>> model = Sequential([Flatten(), Dense(2)]).build(folder.shape[1:], rng=0)
    >>> trainer = Trainer(model, SGD(0.1))
    >>> history = trainer.fit(folder, epochs=20, batch_size=2)
    >>> trainer.evaluate(folder)["accuracy"]
    1.0
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        size: int | tuple[int, int] = (32, 32),
        channels: int | None = None,
        *,
        split: str | None = None,
        resize: str = "crop",
        background: str | int | tuple[int, int, int] = "white",
        value_range: tuple[float, float] | None = None,
        labels: str | os.PathLike[str] | None = None,
        cache: str | os.PathLike[str] | None = None,
        skip_unreadable: bool = False,
        workers: int | None = None,
        progress: bool = True,
    ) -> None:
        """Find the pictures, in one function, half of which are the arguments."""
        if skip_unreadable and cache is None:
            raise ValueError("`skip_unreadable` needs a `cache`, for which every file is read once")
        self.listing = list_images(path, split, labels)
        if cache is None:
            report_refused(self.listing, {}, False)
        if channels is None:
            channels = find_channels(self.listing, background)
        self.reader = ImageReader(check_size(size), channels, resize, check_colour(background), value_range)
        workers = max(available_threads() - 1, 1) if workers is None else check_int(workers, "workers")
        self._decoders = Decoders(self.reader, workers)
        self.names = self.listing.names
        self._cache: PictureCache | None = None
        self._rows = np.arange(len(self.listing.files))
        if cache is not None:
            self._cache, sentences = self._cached(Path(cache), progress)
            self._rows = np.flatnonzero(report_refused(self.listing, sentences, skip_unreadable))
        self.y = self.listing.labels[self._rows]
        self.shape = (len(self.y), *self.reader.size, channels)

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        return f"ImageFolder({os.fspath(self.listing.folder)!r}, shape={self.shape})"

    def batches(self, indices: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield pictures and classes for each array of indices; the next ones are being decoded meanwhile."""
        if self._cache is not None:
            for rows in indices:
                yield self._cache[self._rows[rows]], self.y[rows]
            return
        pending: collections.deque = collections.deque()
        for rows in indices:
            paths = [self.listing.folder / self.listing.files[self._rows[row]] for row in rows]
            pending.append((self._decoders.submit(paths), self.y[rows]))
            if len(pending) > _AHEAD * max(self._decoders.count, 1):
                pictures, labels = pending.popleft()
                yield pictures.result(), labels
        for pictures, labels in pending:
            yield pictures.result(), labels

    def digest(self) -> str:
        """Return a SHA-256 of names, classes and settings, and of the content of some files."""
        sha = hashlib.sha256(json.dumps([self.reader.to_dict(), self.names, self.listing.files]).encode())
        sha.update(self.y.astype("<i8").tobytes())
        for row in self._rows[:: max(1, -(-len(self) // _SAMPLE))]:
            sha.update((self.listing.folder / self.listing.files[row]).read_bytes())
        return sha.hexdigest()

    def _cached(self, path: Path, progress: bool) -> tuple[PictureCache, dict[int, str]]:
        """Return the cache in this file, which is made if it does not hold these pictures."""
        from filelock import FileLock

        shape = (len(self.listing.files), *self.reader.size, self.reader.channels)
        key = cache_key(self.listing, self.reader)
        require_own_file(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):  # of several ranks, one makes it
            found = read_cache(path, key, shape)
            if found is None:
                with CacheWriter(path, shape) as writer:
                    sentences = read_pictures(self.listing, self.reader, writer.append, progress)
                    writer.finish(key, sentences)
                found = read_cache(path, key, shape)
        if found is None:
            raise OSError(f"{path} cannot be read again after it was written")
        sample = np.arange(0, len(self.listing.files), max(1, len(self.listing.files) // ROWS))
        check_brightness(found[0][sample])
        return found
