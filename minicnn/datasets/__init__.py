"""Data sets: folders of pictures, MNIST and its relatives, CIFAR-10, archives, digits; augmentation."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from minicnn.datasets.augment import Augment
from minicnn.datasets.augment_photos import AugmentPhotos
from minicnn.datasets.cifar import CIFAR10_CLASSES, is_cifar10_folder, load_cifar10
from minicnn.datasets.digits import digit_from_pixels
from minicnn.datasets.folder import Split, is_idx_folder, load_idx_folder
from minicnn.datasets.idx import read_idx, write_idx
from minicnn.datasets.image_folder import load_image_folder
from minicnn.datasets.image_reader import ImageReader
from minicnn.datasets.image_source import ImageFolder
from minicnn.datasets.images import load_digit_image
from minicnn.datasets.mnist import FASHION_MNIST_CLASSES, load_fashion_mnist, load_mnist
from minicnn.datasets.npz import load_npz

__all__ = [
    "Augment",
    "AugmentPhotos",
    "ImageFolder",
    "ImageReader",
    "digit_from_pixels",
    "load_cifar10",
    "load_digit_image",
    "load_fashion_mnist",
    "load_idx_folder",
    "load_image_folder",
    "load_mnist",
    "load_npz",
    "read_idx",
    "write_idx",
]


class NamedDataset(NamedTuple):
    """A data set that the command line knows by name."""

    load: Callable[..., tuple[Split, Split]]
    takes_folder: bool = False  # whether `load` accepts the folder of the files
    class_names: tuple[str, ...] | None = None  # None: the labels themselves
    augment: Augment = Augment()  # distortions that change no class


class FolderFormat(NamedTuple):
    """A kind of folder that the command line can read as a data set."""

    matches: Callable[[Path], bool]
    load: Callable[[Path], tuple[Split, Split]]
    class_names: tuple[str, ...] | None = None  # None: the labels themselves


DATASETS = {
    "mnist": NamedDataset(load_mnist),
    "fashion-mnist": NamedDataset(
        load_fashion_mnist,
        takes_folder=True,
        class_names=FASHION_MNIST_CLASSES,
        augment=Augment(shift=1.0, rotation=0.0, shear=0.0, scale=0.0, flip=True),
    ),
}
# By description. The first that matches reads the folder; if none does, the first says what is missing.
FOLDER_FORMATS = {
    "a folder with four IDX files": FolderFormat(is_idx_folder, load_idx_folder),
    "a folder with CIFAR-10's binary files": FolderFormat(is_cifar10_folder, load_cifar10, CIFAR10_CLASSES),
}
