"""The data of a run: a data set, by name or folder, split and padded for the model."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.datasets import DATASETS, FOLDER_FORMATS
from minicnn.datasets.folder import Split
from minicnn.datasets.image_folder import PictureReader
from minicnn.models import MODELS
from minicnn.runs.config import TrainConfig
from minicnn.runs.dataset import (
    OWN_VAL_SPLIT,
    Dataset,
    Part,
    find_dataset,
    hold_out,
)
from minicnn.runs.inputs import pad_to
from minicnn.saving.fingerprint import data_digest
from minicnn.training.sources import is_source
from minicnn.training.splitting import SourceRows

_BLOCK = 1024  # pictures that are decoded at a time


@dataclass(frozen=True)
class Data:
    """Images, (N, H, W, C), and labels, integers (N,), of each part of a data set.

    Attributes
    ----------
    train : (images, labels)
        The training images, without the held-out ones; an `ExampleSource` with labels if they are streamed.
    validation : (images, labels) or None
        Those that are evaluated after each epoch: a part of the data set, or held out of the training images.
    test : (images, labels) or None
        Evaluated once.
    class_names : list of str or None
        None if the labels themselves are the names.
    preprocessing : dict, str or None
        How pictures become such images, as `save_model` takes it; None if that is not known.
    kind : str
        What the data set was found to be, for messages.
    own : bool
        Whether it is a set of the user's, rather than one with published parts.
    """

    train: Part
    validation: Split | None
    test: Split | None
    class_names: list[str] | None = None
    preprocessing: dict[str, Any] | str | None = None
    kind: str = ""
    own: bool = False

    @property
    def num_classes(self) -> int:
        """The number of class names; without names, the highest label plus one."""
        if self.class_names:
            return len(self.class_names)
        parts = [part for part in (self.train, self.validation, self.test) if part is not None]
        return 1 + max(int(labels.max(initial=0)) for _, labels in parts)

    @property
    def unseen_classes(self) -> list[str]:
        """Names of the classes without a training image: only another part has them, or all were left out."""
        names = self.class_names or [str(number) for number in range(self.num_classes)]
        counts = np.bincount(self.train[1], minlength=len(names))
        return [name for name, count in zip(names, counts, strict=True) if not count]

    @property
    def evaluation(self) -> tuple[str, Split]:
        """Name and content of the part to evaluate on: the test set if there is one, else the held-out ones.

        Raises
        ------
        ValueError
            If there are neither.
        """
        if self.test is not None:
            return "test", self.test
        if self.validation is not None:
            return "validation", self.validation
        raise ValueError("there are no images to evaluate on: hold some out by `val_split`, such as 0.1")


def load_data(
    config: TrainConfig,
    cache: str | os.PathLike[str] | None = None,
    reader: PictureReader | None = None,
) -> Data:
    """Load the config's data set, hold out its `val_split`, and pad the images for the model.

    With `config.stream`, the training images are an `ExampleSource`; `cache` is the file for them, see
    `ImageFolder`. A `reader` reads pictures in place of the config's settings.

    Raises
    ------
    FileNotFoundError, FileFormatError
        If the data set is missing, unknown or broken.
    ValueError
        If no image is left to train on, or there is none to evaluate on.
    """
    found = find_dataset(config, reader, cache)
    images, labels = found.splits["train"]
    if not len(images):
        raise ValueError(f"{config.dataset} has no training images")
    kept, held_out = choose_rows(config, found, labels)
    train = select_rows((images, labels), kept)
    parts = {"train": train} | {name: part for name, part in found.splits.items() if name != "train"}
    if len(held_out):
        parts["val"] = in_memory(select_rows((images, labels), held_out))
    padded = {name: (pad_images(x, config.model), y) for name, (x, y) in parts.items() if len(x)}
    rest = found.class_names, found.preprocessing, found.kind, found.own
    data = Data(padded["train"], padded.get("val"), padded.get("test"), *rest)
    if data.class_names is not None and len(data.class_names) < 2:
        raise ValueError(f"a classifier needs at least two classes, but {config.dataset} has only one")
    if data.test is None and data.validation is None and "test" in parts:
        raise ValueError(f"{config.dataset} has no test images")
    _ = data.evaluation
    return data


def select_rows(part: Part, rows: np.ndarray) -> Part:
    """Return some images of a part, arrays or a source; the part itself if these are all."""
    images, labels = part
    if len(rows) == len(images):
        return part
    return (SourceRows(images, rows) if is_source(images) else images[rows]), labels[rows]


def in_memory(split: Part, limit: int | None = None) -> Split:
    """Return arrays of images and labels; of a source at most `limit`, evenly spread."""
    images, labels = split
    if not is_source(images):
        return split
    rows = np.arange(len(labels))[:: 1 if limit is None else -(-len(labels) // limit)]
    blocks = np.array_split(rows, -(-len(rows) // _BLOCK))
    return np.concatenate([x for x, _ in images.batches(blocks)]), labels[rows]


def choose_rows(config: TrainConfig, found: Dataset, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the training images to keep, within the limit, and to hold out.

    They depend on nothing but the config and the labels. Raises ValueError if the config's share cannot be
    held out.
    """
    share = config.val_split
    if share is None:
        share = OWN_VAL_SPLIT if found.own and "val" not in found.splits else 0.0
    elif share and "val" in found.splits:
        raise ValueError(f"`val_split` must be omitted: {config.dataset} already has a validation part")
    # Streams of their own, separate from those of weights, epochs and augmentation.
    rows = np.arange(len(labels))[: config.limit]
    if found.own and config.limit is not None and config.limit < len(labels):  # they may be sorted by class
        drawn = np.random.default_rng([config.seed, 0, 0, 2]).permutation(len(labels))
        rows = np.sort(drawn[: config.limit])
    if not share:
        return rows, rows[:0]
    kept, held_out = hold_out(labels[rows], share, np.random.default_rng([config.seed, 0, 0, 1]))
    if not len(held_out) and "test" not in found.splits:
        raise ValueError(
            f"each class needs at least two images, one to train on and one to hold out: {config.dataset} "
            f"has one of each{'' if config.limit is None else ' within the limit'}"
        )
    if not len(held_out) and config.val_split is not None:
        raise ValueError(
            f"`val_split` must be 0 if each class has one image, since none can be held out, got {share:g}"
        )
    return rows[kept], rows[held_out]


def digest(part: Part) -> str:
    """Return a SHA-256 of images and labels; model files hold that of their training images."""
    images, labels = part
    return images.digest() if is_source(images) else data_digest(images, labels)


def pad_images(images: np.ndarray, model: str) -> np.ndarray:
    """Pad (N, H, W, C) images evenly with zeros to the minimum size of the model.

    >>> pad_images(np.ones((1, 28, 28, 1), np.uint8), "lenet5-1998").shape
    (1, 32, 32, 1)
    """
    least = MODELS[model].min_size if model in MODELS else 1
    return pad_to(images, (least, least))


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
