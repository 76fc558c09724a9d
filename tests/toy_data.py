"""A data set that a net learns in a second: each class is a bright square at a place of its own."""

import numpy as np

from minicnn.datasets import write_idx


def images_of(labels, rng, size=28):
    images = rng.integers(0, 60, (len(labels), size, size, 1)).astype(np.uint8)
    step = size // 4
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 4)
        image[row * step : (row + 1) * step, column * step : (column + 1) * step] = 250
    return images


def write_folder(folder, train=160, test=40, size=28, classes=10, channels=1):
    """Write the four IDX files; the labels go round through the classes."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    for name, count in (("train", train), ("t10k", test)):
        labels = (np.arange(count) % classes).astype(np.uint8)
        images = np.repeat(images_of(labels, rng, size), channels, axis=3)
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", images[..., 0] if channels == 1 else images)
        write_idx(folder / f"{name}-labels-idx1-ubyte", labels)
    return folder
