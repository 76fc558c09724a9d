"""What `--dataset` names: a set by name, a folder of pictures or of IDX or CIFAR-10 files, an archive."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.datasets import DATASETS, FOLDER_FORMATS, ImageFolder, ImageReader
from minicnn.datasets.class_folders import SPLITS, Listing, find_splits, list_images
from minicnn.datasets.image_folder import PictureReader, find_channels, load_listing
from minicnn.datasets.image_reader import picture_sizes
from minicnn.datasets.npz import read_npz
from minicnn.errors import FileFormatError
from minicnn.models import MODELS
from minicnn.runs.config import TrainConfig, parse_range, parse_size
from minicnn.saving.preprocessing import DIGIT
from minicnn.suggestions import did_you_mean

Part = tuple[Any, np.ndarray]  # images, an array or an `ExampleSource`, and labels
OWN_VAL_SPLIT = 0.1  # held out of sets that have no published parts, unless the config says otherwise
_SIZE = (32, 32)
_PUBLISHED = {(60_000, 10_000), (50_000, 10_000)}  # images in the parts of MNIST and its kin, and of CIFAR-10


@dataclass(frozen=True)
class Dataset:
    """The parts of a data set, before any are held out.

    Attributes
    ----------
    splits : dict of str to (images, labels)
        "train", and "val" and "test" if the set has them.
    kind : str
        What it was found to be, for messages.
    class_names : list of str or None
        None if the labels themselves are the names.
    preprocessing : dict, str or None
        How pictures become such images, as `save_model` takes it; None if that is not known.
    own : bool
        Whether it is a set of the user's, whose images may be sorted by class; not one by name, or of the
        numbers of images of a published set.
    """

    splits: dict[str, Part]
    kind: str
    class_names: list[str] | None = None
    preprocessing: dict[str, Any] | str | None = None
    own: bool = False


def find_dataset(
    config: TrainConfig, reader: PictureReader | None = None, cache: str | os.PathLike[str] | None = None
) -> Dataset:
    """Load the data set that a config names; `reader` reads pictures in place of the config's settings.

    `cache` is the file for the pictures of a config with `stream`, as of `ImageFolder`. The training images
    are an `ImageFolder` then.

    Raises
    ------
    FileNotFoundError, FileFormatError
        If it is missing, unknown or broken.
    ValueError
        If the config has settings of pictures, and the set has none.
    """
    dataset, path = config.dataset, Path(config.dataset)
    if not dataset:
        raise FileNotFoundError("a model file does not hold its data set: give `dataset`")
    named = DATASETS.get(dataset)
    if config.data is not None and not (named and named.takes_folder):
        names = " and ".join(name for name, entry in DATASETS.items() if entry.takes_folder)
        raise ValueError(f"`data` is only for {names}, not for {dataset}")
    if is_class_folders(dataset):
        return _class_folders(path, config, reader, cache)
    of_pictures = ("labels", "size", "channels", "value_range")
    given = [name for name in of_pictures if getattr(config, name) is not None]
    given += ["stream"] * config.stream
    if given:
        raise ValueError(f"`{given[0]}` is for folders of pictures, not for {dataset}")
    if named:
        train, test = named.load(config.data) if named.takes_folder else named.load()
        preprocessing = DIGIT if dataset == "mnist" else None
        return Dataset({"train": train, "test": test}, dataset, _listed(named.class_names), preprocessing)
    if path.is_dir():
        kind, entry = next(pair for pair in FOLDER_FORMATS.items() if pair[1].matches(path))
        train, test = entry.load(path)
        own = (len(train[1]), len(test[1])) not in _PUBLISHED
        return Dataset({"train": train, "test": test}, kind, _listed(entry.class_names), own=own)
    if path.is_file():
        splits, class_names = read_npz(path)
        return Dataset(splits, "an archive of arrays", class_names, own=True)
    if path.exists():
        raise FileFormatError(f"{dataset} is a pipe or a device, not a data set")
    if path.is_absolute():  # perhaps of a run that was carried here
        raise FileNotFoundError(
            f"the data set {dataset!r} is not on this machine: pass its location as `dataset`"
        )
    known = ", ".join((*DATASETS, *FOLDER_FORMATS))
    raise FileNotFoundError(
        f"the data set must be {known}, a folder with a folder of pictures for each class, or an .npz file "
        f"with x_train, y_train, x_test and y_test, got {dataset!r}{did_you_mean(dataset, DATASETS)}"
    )


def is_class_folders(dataset: str) -> bool:
    """Return whether a data set is a folder of class folders, since it is none of another format."""
    path = Path(dataset)
    if dataset in DATASETS or not path.is_dir():
        return False
    return not any(entry.matches(path) for entry in FOLDER_FORMATS.values())


def _listed(names: tuple[str, ...] | None) -> list[str] | None:
    return None if names is None else list(names)


def _class_folders(
    path: Path, config: TrainConfig, reader: PictureReader | None, cache: str | os.PathLike[str] | None
) -> Dataset:
    """Load class folders, each part in the same way: that of the training pictures."""
    if config.stream and config.skip_unreadable:
        raise ValueError("`skip_unreadable` must be omitted with `stream`: remove the pictures that it names")
    listing = list_images(path, labels=config.labels)
    reader = reader or _reader(listing, config)
    found = {} if config.labels is not None else find_splits(path)
    parts: list[str | None] = [*(split for split in SPLITS if split in found)] or [None]
    settings: dict[str, Any] = reader.to_dict() if isinstance(reader, ImageReader) else {}
    labels = config.labels
    splits: dict[str, Part] = {}
    for part in parts:
        if config.stream and settings and part in (None, "train"):
            folder = ImageFolder(path, split=part, labels=labels, cache=cache, **settings)
            splits["train"] = folder, folder.y
        else:
            _check_memory(listing, reader)
            pictures = list_images(path, part, labels)
            splits[part or "train"] = load_listing(pictures, reader, config.skip_unreadable)
    low, high = picture_sizes(listing.paths)
    sizes = f"{low[0]}x{low[1]}" + (f" to {high[0]}x{high[1]}" if low != high else "")
    how = {"crop": "cropped to", "pad": "padded to", None: "digits of"}[settings.get("resize")]
    height, width = reader.size
    source = "class folders" if labels is None else f"classes of {Path(labels).name}"
    kind = f"{source}; pictures of {sizes} pixels (width x height), {how} {width}x{height}"
    preprocessing = {name: value for name, value in settings.items() if value is not None} or DIGIT
    return Dataset(splits, kind, listing.names, preprocessing, own=True)


def _check_memory(listing: Listing, reader: PictureReader) -> None:
    """Refuse pictures that do not fit into the machine's memory, before it is filled."""
    needed = len(listing.files) * math.prod(reader.size) * reader.channels
    if not hasattr(os, "sysconf"):
        return
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed < memory:
        return
    raise ValueError(
        f"`stream` must be set for {len(listing.files):,} pictures, which take {needed / 1e9:.1f} GB of "
        f"memory where there are {memory / 1e9:.1f}; or bring them to a smaller `size`"
    )


def _reader(listing: Listing, config: TrainConfig) -> ImageReader:
    least = MODELS[config.model].min_size if config.model in MODELS else 1
    height, width = _SIZE if config.size is None else parse_size(config.size)
    channels = config.channels
    if channels is None:
        channels = find_channels(listing, config.background)
    size = max(height, least), max(width, least)
    ends = None if config.value_range is None else parse_range(config.value_range)
    return ImageReader(size, channels, config.resize, config.background, ends)  # type: ignore[arg-type]


def hold_out(labels: np.ndarray, share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices to keep and to hold out: the same share of each class, and never all of one.

    Examples
    --------
    >>> kept, held_out = hold_out(np.repeat([0, 1], [20, 10]), 0.1, np.random.default_rng(0))
    >>> len(kept), np.repeat([0, 1], [20, 10])[held_out].tolist()
    (27, [0, 0, 1])
    """
    held: list[np.ndarray] = []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        held.append(rows[: min(max(round(share * len(rows)), int(share > 0)), len(rows) - 1)])
    mask = np.zeros(len(labels), bool)
    mask[np.concatenate(held)] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def rename(labels: np.ndarray, names: list[str], wanted: list[str], where: str) -> np.ndarray:
    """Return labels as indices of other names of the same classes."""
    unknown = [name for name in names if name not in wanted]
    if unknown:
        listed, known = (", ".join(map(repr, some[:5])) for some in (unknown, wanted))
        more = "" if len(wanted) <= 5 else f" and {len(wanted) - 5} more"
        raise ValueError(
            f"{where} has classes that the model does not know: {listed}; it knows {known}{more}"
        )
    return np.array([wanted.index(name) for name in names], np.intp)[labels]
