"""Data sets in NumPy's archives, as Keras and many others publish them.

The files are read without pickle, which could run any code, and what an archive declares is compared with its
size before anything is allocated.
"""

import math
import os
import zipfile
import zlib

import numpy as np

from minicnn.datasets.folder import Split
from minicnn.datasets.npy_header import MAX_HEADER, read_npy_header
from minicnn.datasets.picture_files import shown
from minicnn.errors import FileFormatError
from minicnn.plural import counted
from minicnn.validation import check_file

_MAX_RATIO = 1032  # deflate cannot compress better than 1032:1
_FEW = 4  # channels of images
_ARCHIVE_ERRORS = (
    OSError,
    EOFError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def load_npz(path: str | os.PathLike[str]) -> tuple[Split, Split]:
    """Load a data set from an ``.npz`` file with the arrays x_train, y_train, x_test and y_test.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images (N, H, W, C): uint8, also if the file holds such numbers as other integers, or float. Their
        labels, integers (N,). A missing channel axis is added, a second axis of labels of size 1 removed.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is no such archive, if an array is missing, has another shape or type, or needs pickle.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "set.npz"
    >>> x, y = np.zeros((5, 8, 8), np.uint8), np.arange(5)
    >>> np.savez(path, x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    >>> (x_train, y_train), (x_test, y_test) = load_npz(path)
    >>> x_train.shape, y_test
    ((5, 8, 8, 1), array([0, 1]))
    """
    splits, _ = read_npz(path)
    if "test" not in splits:
        raise FileFormatError(f"{shown(path)} has no arrays x_test and y_test")
    return splits["train"], splits["test"]


def read_npz(path: str | os.PathLike[str]) -> tuple[dict[str, Split], list[str] | None]:
    """Return the parts of a file, "train", and "val" and "test" if it has them, and its class names, if any.

    Raises as `load_npz`.
    """
    file = check_file(path, "an .npz file")
    try:
        with zipfile.ZipFile(file) as archive:
            names = {info.filename.removesuffix(".npy") for info in archive.infolist()}
            parts = ["train", *(part for part in ("val", "test") if {f"x_{part}", f"y_{part}"} & names)]
            missing = [name for part in parts for name in (f"x_{part}", f"y_{part}") if name not in names]
            if missing:
                has = ", ".join(sorted(map(ascii, names))) or "none"
                raise FileFormatError(f"it has no array {', '.join(missing)}; its arrays are {has:.300}")
            splits = {part: (_images(archive, f"x_{part}"), _labels(archive, f"y_{part}")) for part in parts}
            class_names = _class_names(archive) if "class_names" in names else None
        _check_shapes(splits, class_names)
    except (*_ARCHIVE_ERRORS, ValueError) as error:
        reason = str(error) if isinstance(error, FileFormatError) else f"its content is damaged ({error})"
        raise FileFormatError(f"{shown(file)} is not a data set of arrays (.npz): {reason}") from error
    return splits, class_names


def _check_shapes(splits: dict[str, Split], class_names: list[str] | None) -> None:
    shape = splits["train"][0].shape[1:]
    if shape[0] in (1, 3) and shape[1] == shape[2] > _FEW:
        raise FileFormatError(
            f"images must be (N, H, W, C), but x_train, {splits['train'][0].shape}, looks like (N, C, H, W): "
            f"transpose it by `x.transpose(0, 2, 3, 1)`"
        )
    for part, (x, y) in splits.items():
        if len(x) != len(y):
            images, labels = counted(len(x), "image"), counted(len(y), "label")
            raise FileFormatError(f"x_{part} has {images}, but y_{part} {labels}")
        if x.shape[1:] != shape:
            raise FileFormatError(f"images of x_train have shape {shape}, those of x_{part} {x.shape[1:]}")
        if (x.dtype == np.uint8) != (splits["train"][0].dtype == np.uint8):
            raise FileFormatError(
                f"x_train is {splits['train'][0].dtype}, but x_{part} {x.dtype}: uint8 images are scaled to "
                f"[0, 1], and others are not, so both must have the same dtype"
            )
        if class_names is not None and len(y) and y.max() >= len(class_names):
            raise FileFormatError(
                f"y_{part} has the label {y.max()}, but there are {len(class_names)} class_names"
            )


def _images(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    images = _array(archive, name)
    if images.ndim not in (3, 4) or images.dtype.kind not in "biuf":
        raise FileFormatError(
            f"{name} must be images, numbers (N, H, W) or (N, H, W, C), got {images.dtype} {images.shape}"
        )
    if images.dtype.kind in "bf":
        images = images.astype(np.float32) if images.dtype != np.float64 else images
    elif images.dtype != np.uint8:
        if images.size and not 0 <= images.min() <= images.max() <= 255:
            raise FileFormatError(
                f"{name} must be integers from 0 to 255, or floats, got {images.min()} to {images.max()}"
            )
        images = images.astype(np.uint8)
    return images if images.ndim == 4 else images[..., np.newaxis]


def _labels(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    labels = _array(archive, name)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        hint = "; give one-hot labels as class indices, `y.argmax(axis=1)`" if labels.ndim == 2 else ""
        if labels.dtype.kind in "US":
            hint = "; `class_names, y = np.unique(labels, return_inverse=True)` makes both arrays of them"
        raise FileFormatError(f"{name} must be integers (N,), got {labels.dtype} {labels.shape}{hint}")
    if labels.min(initial=0) < 0:
        raise FileFormatError(f"{name} must be labels of at least 0, got {labels.min()}")
    return labels


def _class_names(archive: zipfile.ZipFile) -> list[str]:
    names = _array(archive, "class_names")
    if names.ndim != 1 or names.dtype.kind != "U":
        raise FileFormatError(f"class_names must be text (classes,), got {names.dtype} {names.shape}")
    listed = names.tolist()
    if len(set(listed)) < len(listed) or not all(name and name.isprintable() for name in listed):
        raise FileFormatError("class_names must be printable, and each a different one")
    return listed


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Return an array of an archive, whose size has been compared with that of the file."""
    info = archive.getinfo(f"{name}.npy")
    held = min(info.compress_size, os.path.getsize(str(archive.filename)))  # the former is declared, too
    if info.file_size > held * _MAX_RATIO:
        raise FileFormatError(f"{name} declares {info.file_size} bytes, more than the file can contain")
    with archive.open(info) as file:
        shape, _, dtype = read_npy_header(file)
        if dtype.hasobject:
            raise FileFormatError(f"{name} holds Python objects, which are never read: they can run any code")
        if file.tell() + math.prod(shape) * dtype.itemsize != info.file_size:
            raise FileFormatError(f"{name} declares shape {shape}, which does not fit its size")
    with archive.open(info) as file:
        return np.lib.format.read_array(file, allow_pickle=False, max_header_size=MAX_HEADER)
