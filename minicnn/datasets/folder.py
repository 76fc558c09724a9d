"""Data sets in the format of MNIST: a folder of four IDX files with MNIST's names."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from minicnn.datasets.idx import read_idx
from minicnn.errors import FileFormatError

Split = tuple[np.ndarray, np.ndarray]


def load_idx_folder(path: str | os.PathLike[str]) -> tuple[Split, Split]:
    """Load any MNIST-like data set from a folder of four IDX files.

    The files are ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and
    ``t10k-labels-idx1-ubyte``, each with or without ``.gz``, with ``-idx`` or ``.idx``; images with channels
    may be called ``idx4``.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images, uint8 (N, H, W, C), and their labels, integers (N,).

    Raises
    ------
    FileNotFoundError
        If the folder or one of the four files is missing.
    FileFormatError
        If a file is broken, does not contain images or labels, or does not match the other files.
    """
    return load_folder(path)


def load_folder(
    path: str | os.PathLike[str], digests: Mapping[str, str] | None = None
) -> tuple[Split, Split]:
    """Load the four files; `digests` holds the expected SHA-256 of each, as ``{"train-images": ...}``."""
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is not a folder; the data set must be a folder with four IDX files"
        )
    (x_train, y_train), (x_test, y_test) = (
        _load_split(folder, name, digests or {}) for name in ("train", "t10k")
    )
    if x_train.shape[1:] != x_test.shape[1:]:
        raise FileFormatError(
            f"training and test images in {folder} differ in shape: "
            f"{x_train.shape[1:]} and {x_test.shape[1:]}"
        )
    return (x_train, y_train), (x_test, y_test)


def is_idx_folder(folder: Path) -> bool:
    """Return whether the folder has any of the four files."""
    names = [f"{split}-{content}" for split in ("train", "t10k") for content in ("images", "labels")]
    return any(find_file(folder, name) for name in names)


def find_file(folder: Path, name: str) -> Path | None:
    """Return the path of the file in the spelling that exists; None if there is none."""
    dims = (1,) if name.endswith("labels") else (3, 4)
    spellings = [f"{name}{sep}idx{n}-ubyte{zipped}" for n in dims for sep in "-." for zipped in ("", ".gz")]
    return next((folder / spelling for spelling in spellings if (folder / spelling).exists()), None)


def _load_split(folder: Path, split: str, digests: Mapping[str, str]) -> Split:
    """Load the training or the test set; check images and labels."""
    images_path, images = _load_file(folder, f"{split}-images", digests)
    labels_path, labels = _load_file(folder, f"{split}-labels", digests)
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise FileFormatError(
            f"{images_path} must contain images, uint8 (N, H, W) or (N, H, W, C), "
            f"got {images.dtype} {images.shape}"
        )
    if not np.issubdtype(labels.dtype, np.integer) or labels.ndim != 1:
        raise FileFormatError(
            f"{labels_path} must contain labels, integers (N,), got {labels.dtype} {labels.shape}"
        )
    if labels.min(initial=0) < 0:
        raise FileFormatError(f"{labels_path} must contain labels of at least 0, got {labels.min()}")
    if len(images) != len(labels):
        raise FileFormatError(
            f"{labels_path} must contain one label for each of the {len(images)} images in "
            f"{images_path.name}, got {len(labels)}"
        )
    return images if images.ndim == 4 else images[..., np.newaxis], labels


def _load_file(folder: Path, name: str, digests: Mapping[str, str]) -> tuple[Path, np.ndarray]:
    """Find and read one of the four files."""
    path = find_file(folder, name)
    if path is None:
        ndim = 1 if name.endswith("labels") else 3
        raise FileNotFoundError(f"no such file: {folder / name}-idx{ndim}-ubyte, plain or with .gz")
    return path, read_idx(path, digests.get(name))
