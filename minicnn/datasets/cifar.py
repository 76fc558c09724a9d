"""CIFAR-10 in its binary version."""

import os
from pathlib import Path

import numpy as np

from minicnn.datasets.folder import Split
from minicnn.datasets.picture_files import shown
from minicnn.errors import FileFormatError
from minicnn.validation import check_file

CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
_TEST = ("test_batch.bin",)
_RECORD = 1 + 3 * 32 * 32  # a byte for the label, then 32x32 pixels: all red, all green, all blue
_MAX_RECORDS = 1_000_000  # of a file


def load_cifar10(folder: str | os.PathLike[str]) -> tuple[Split, Split]:
    """Load CIFAR-10 from the files of its binary version, ``cifar-10-binary.tar.gz``, unpacked.

    Parameters
    ----------
    folder : path
        The folder of ``data_batch_1.bin`` to ``data_batch_5.bin`` and ``test_batch.bin``, or the one above
        it.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images, uint8 (50000, 32, 32, 3) and (10000, 32, 32, 3), and their labels, uint8 (50000,) and
        (10000,): 0 airplane, 1 automobile, 2 bird, 3 cat, 4 deer, 5 dog, 6 frog, 7 horse, 8 ship, 9 truck.
        Files with another number of whole images are read as well.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    FileFormatError
        If a file does not consist of whole images, or has other labels.

    Notes
    -----
    By Alex Krizhevsky, Vinod Nair and Geoffrey Hinton, https://www.cs.toronto.edu/~kriz/cifar.html.
    """
    place = _place(Path(folder))
    if not (place / _TRAIN[0]).exists() and (place / "data_batch_1").exists():
        raise FileFormatError(
            f"{shown(place)} has the Python version of CIFAR-10, whose files can run any code: take the "
            f"binary version"
        )
    train, test = (np.concatenate([_read(place / name) for name in names]) for names in (_TRAIN, _TEST))
    return _split(train), _split(test)


def is_cifar10_folder(folder: Path) -> bool:
    """Return whether the folder, or one inside it, has a file of CIFAR-10."""
    place = _place(folder)
    return any((place / name).exists() for name in (*_TRAIN, *_TEST, "data_batch_1"))


def _place(folder: Path) -> Path:
    inner = folder / "cifar-10-batches-bin"
    return inner if inner.is_dir() else folder


def _read(path: Path) -> np.ndarray:
    """Return the records of a file, uint8 (N, 3073)."""
    size = check_file(path, "a file of CIFAR-10").stat().st_size
    if not size or size % _RECORD or size > _MAX_RECORDS * _RECORD:
        raise FileFormatError(
            f"{shown(path)} must consist of images of {_RECORD:,} bytes each, {10_000 * _RECORD:,} in all as "
            f"published, got {size:,}: it may have been cut off"
        )
    records = np.fromfile(path, np.uint8).reshape(-1, _RECORD)
    if records[:, 0].max() >= len(CIFAR10_CLASSES):
        raise FileFormatError(f"{shown(path)} must have labels 0 to 9, got {records[:, 0].max()}")
    return records


def _split(records: np.ndarray) -> Split:
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), records[:, 0].copy()
