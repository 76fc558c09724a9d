"""The data of a run: a data set by name or folder, fitted to the model, with its parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minicnn.datasets import DATASETS, FOLDER_FORMATS
from minicnn.datasets.folder import Split
from minicnn.models import MODELS
from minicnn.runs.config import TrainConfig


@dataclass(frozen=True)
class Data:
    """Images, uint8 (N, H, W, C), and labels, integers (N,), of each part of a data set.

    Attributes
    ----------
    train, test : (images, labels)
        What is trained on; what is kept for the end.
    validation : (images, labels) or None
        Training images that were held out.
    """

    train: Split
    validation: Split | None
    test: Split

    @property
    def num_classes(self) -> int:
        """One more than the highest label of all."""
        parts = (self.train, self.test, *([self.validation] if self.validation else []))
        return 1 + max(int(labels.max(initial=0)) for _, labels in parts)

    @property
    def judges(self) -> tuple[str, Split]:
        """By what the run is judged, and its name: the held-out images, if any, else the test set."""
        return ("test", self.test) if self.validation is None else ("validation", self.validation)


def load_data(config: TrainConfig) -> Data:
    """Load the config's data set; limit it, hold images out, and pad them, as the config says.

    Raises
    ------
    FileNotFoundError, FileFormatError
        If the data set is not there, or broken.
    ValueError
        If its name is unknown, or no image would be left to train on.
    """
    (images, labels), (x_test, y_test) = _load(config.dataset, config.data)
    images, labels = images[: config.limit], labels[: config.limit]
    if len(images) == 0:
        raise ValueError("there must be an image to train on, but the data set has none")
    if config.validation >= len(images):
        raise ValueError(
            f"`validation` must leave images to train on: it must be below {len(images)}, "
            f"got {config.validation}"
        )
    train, validation = (images, labels), None
    if config.validation:
        # A stream apart from those of the weights, of the epochs' orders and of the distortions.
        order = np.random.default_rng([config.seed, 0, 0, 1]).permutation(len(images))
        kept, held = order[: -config.validation], order[-config.validation :]
        train, validation = (
            (images[kept], labels[kept]),
            (pad_images(images[held], config.model), labels[held]),
        )
    return Data(
        (pad_images(train[0], config.model), train[1]), validation, (pad_images(x_test, config.model), y_test)
    )


def load_test_data(dataset: str, data: str | None, model: str) -> Split:
    """Load only the test images of a data set, padded for the model of this name."""
    _, (images, labels) = _load(dataset, data)
    return pad_images(images, model), labels


def pad_images(images: np.ndarray, model: str) -> np.ndarray:
    """Return (N, H, W, C) images with zeros around them, evenly, up to the least size that the model takes.

    >>> pad_images(np.ones((1, 28, 28, 1), np.uint8), "lenet5-1998").shape
    (1, 32, 32, 1)
    """
    missing = [max(MODELS[model].min_size - size, 0) for size in images.shape[1:3]]
    if not any(missing):
        return images
    return np.pad(images, [(0, 0), *((size // 2, size - size // 2) for size in missing), (0, 0)])


def class_names(dataset: str, num_classes: int) -> list[str]:
    """Return what the classes of a data set are called: their numbers, where nobody gave them names."""
    names = DATASETS[dataset].class_names if dataset in DATASETS else None
    if names is not None and num_classes == len(names):
        return list(names)
    return [str(number) for number in range(num_classes)]


def _load(dataset: str, data: str | None) -> tuple[Split, Split]:
    named = DATASETS.get(dataset)
    if data is not None and not (named and named.takes_folder):
        names = " and ".join(name for name, entry in DATASETS.items() if entry.takes_folder)
        raise ValueError(f"`data` must be given only for {names}, got it for {dataset}")
    folder = Path(dataset)
    if named:
        train, test = named.load(data) if named.takes_folder else named.load()
    elif folder.is_dir():
        formats = list(FOLDER_FORMATS.values())
        train, test = next((kind for kind in formats if kind.matches(folder)), formats[0]).load(folder)
    else:
        known = " or ".join((", ".join(DATASETS), *FOLDER_FORMATS))
        raise FileNotFoundError(f"the data set must be {known}, got {dataset!r}")
    if not len(test[0]):
        raise ValueError(f"there must be test images, but {dataset} has none")
    return train, test
