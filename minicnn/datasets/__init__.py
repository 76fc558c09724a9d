"""Data: MNIST and its relatives, read with suspicion, distorted for training, and digits drawn by hand."""

from minicnn.datasets.augment import Augment
from minicnn.datasets.digits import digit_from_pixels
from minicnn.datasets.folder import load_idx_folder
from minicnn.datasets.idx import read_idx, write_idx
from minicnn.datasets.images import load_digit_image
from minicnn.datasets.mnist import load_fashion_mnist, load_mnist

__all__ = [
    "Augment",
    "digit_from_pixels",
    "load_digit_image",
    "load_fashion_mnist",
    "load_idx_folder",
    "load_mnist",
    "read_idx",
    "write_idx",
]
