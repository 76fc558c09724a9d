"""The data of a run: a data set, by name or folder, split and padded for the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.datasets import DATASETS, FOLDER_FORMATS
from minicnn.datasets.folder import Split
from minicnn.models import MODELS
from minicnn.runs.config import TrainConfig
from minicnn.runs.suggestions import did_you_mean
from minicnn.saving.preprocessing import DIGIT


@dataclass(frozen=True)
class Data:
    """Images, uint8 (N, H, W, C), and labels, integers (N,), of each part of a data set.

    Attributes
    ----------
    train, test : (images, labels)
        The two parts of the data set, without the held-out images.
    validation : (images, labels) or None
        The held-out training images.
    class_names : list of str or None
        None if the labels themselves are the names.
    preprocessing : dict, str or None
        How pictures become such images, as `save_model` takes it; None if that is not known.
    """

    train: Split
    validation: Split | None
    test: Split
    class_names: list[str] | None = None
    preprocessing: dict[str, Any] | str | None = None

    @property
    def num_classes(self) -> int:
        """The number of class names; without names, the highest label plus one."""
        if self.class_names:
            return len(self.class_names)
        parts = (self.train, self.test, *([self.validation] if self.validation else []))
        return 1 + max(int(labels.max(initial=0)) for _, labels in parts)

    @property
    def evaluation(self) -> tuple[str, Split]:
        """Name and content of the part to evaluate on: the held-out images if any, else the test set."""
        return ("test", self.test) if self.validation is None else ("validation", self.validation)


def load_data(config: TrainConfig) -> Data:
    """Load the config's data set, with its `limit` and `validation`, and pad the images for the model.

    Raises
    ------
    FileNotFoundError, FileFormatError
        If the data set is missing, unknown or broken.
    ValueError
        If no image is left to train on, or there is no test image.
    """
    (images, labels), (x_test, y_test) = _load(config.dataset, config.data)
    images, labels = images[: config.limit], labels[: config.limit]
    if len(images) == 0:
        raise ValueError(f"{config.dataset} has no training images")
    if config.validation >= len(images):
        raise ValueError(
            f"`validation` must be below {len(images)}, to leave images to train on, got {config.validation}"
        )
    train, validation = (images, labels), None
    if config.validation:
        # A stream of its own, separate from those of weights, epochs and augmentation.
        order = np.random.default_rng([config.seed, 0, 0, 1]).permutation(len(images))
        kept, held_out = order[: -config.validation], order[-config.validation :]
        train, validation = (
            (images[kept], labels[kept]),
            (pad_images(images[held_out], config.model), labels[held_out]),
        )
    return Data(
        (pad_images(train[0], config.model), train[1]),
        validation,
        (pad_images(x_test, config.model), y_test),
        _known_names(config.dataset),
        DIGIT if config.dataset == "mnist" else None,
    )


def load_test_data(dataset: str, data: str | None, model: str) -> Split:
    """Load only the test images of a data set, padded for the model of this name."""
    _, (images, labels) = _load(dataset, data)
    return pad_images(images, model), labels


def pad_images(images: np.ndarray, model: str) -> np.ndarray:
    """Pad (N, H, W, C) images evenly with zeros to the minimum size of the model.

    >>> pad_images(np.ones((1, 28, 28, 1), np.uint8), "lenet5-1998").shape
    (1, 32, 32, 1)
    """
    least = MODELS[model].min_size if model in MODELS else 1
    return pad_to(images, (least, least))


def pad_to(images: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Pad (N, H, W, C) images evenly with zeros to at least this height and width."""
    missing = [max(least - size, 0) for least, size in zip(size, images.shape[1:3], strict=True)]
    if not any(missing):
        return images
    return np.pad(images, [(0, 0), *((size // 2, size - size // 2) for size in missing), (0, 0)])


def class_names(dataset: str, num_classes: int) -> list[str]:
    """Return the names of a data set's classes; their numbers if they have no names."""
    names = _known_names(dataset)
    return names if names and len(names) == num_classes else [str(number) for number in range(num_classes)]


def _known_names(dataset: str) -> list[str] | None:
    """Return the class names of a named data set, or of a kind of folder."""
    kind: Any = DATASETS.get(dataset)
    if kind is None and Path(dataset).is_dir():
        kind = next((kind for kind in FOLDER_FORMATS.values() if kind.matches(Path(dataset))), None)
    names = getattr(kind, "class_names", None)
    return None if names is None else list(names)


def _load(dataset: str, data: str | None) -> tuple[Split, Split]:
    if not dataset:
        raise FileNotFoundError("a model file does not hold its data set: give --dataset")
    named = DATASETS.get(dataset)
    if data is not None and not (named and named.takes_folder):
        names = " and ".join(name for name, entry in DATASETS.items() if entry.takes_folder)
        raise ValueError(f"`data` is only for {names}, not for {dataset}")
    folder = Path(dataset)
    if named:
        train, test = named.load(data) if named.takes_folder else named.load()
    elif folder.is_dir():
        formats = list(FOLDER_FORMATS.values())
        train, test = next((kind for kind in formats if kind.matches(folder)), formats[0]).load(folder)
    else:
        known = " or ".join((", ".join(DATASETS), *FOLDER_FORMATS))
        raise FileNotFoundError(
            f"the data set must be {known}, got {dataset!r}{did_you_mean(dataset, DATASETS)}"
        )
    if not len(test[0]):
        raise ValueError(f"{dataset} has no test images")
    return train, test
