"""The images to evaluate a trained model on: those of its run, or of a data set that a command names."""

from dataclasses import replace

import numpy as np

from minicnn.datasets.folder import Split
from minicnn.layers import Layer
from minicnn.runs.config import TrainConfig
from minicnn.runs.data import choose_rows, digest, in_memory, load_data, pad_images, select_rows
from minicnn.runs.dataset import Dataset, find_dataset, is_class_folders, rename
from minicnn.runs.inputs import image_reader, scaled

_PARTS = {"test": "test", "val": "validation", "train": ""}  # the first that there is, and its name


def load_evaluation_data(
    config: TrainConfig,
    model: Layer,
    dataset: str | None = None,
    data: str | None = None,
    labels: str | None = None,
) -> tuple[str, Split]:
    """Load the part to evaluate a trained model on: its name, images and labels.

    Of another data set than the config's it is the test part, else the validation part, else all images. If
    these are the ones that the model was trained on, in another place, it is those that were held out then.
    Classes are found by their names, and pictures are prepared as for the training.

    Raises
    ------
    FileNotFoundError, FileFormatError, ValueError
        As `load_data`; also if the model does not know a class.
    """
    if dataset is None and labels is None:
        config = config if data is None else replace(config, data=data)
        return load_data(config).evaluation
    dataset = dataset or config.dataset
    pictures = is_class_folders(dataset)
    stream = config.stream and pictures
    config = replace(config, dataset=dataset, data=data, labels=labels, stream=stream)
    unsized = replace(config, size=None, channels=None, value_range=None)
    found = find_dataset(unsized, image_reader(model) if pictures else None)
    key = next((key for key in _PARTS if key in found.splits and len(found.splits[key][1])), None)
    if key is None:
        raise ValueError(f"{dataset} has no images")
    name, chosen = _PARTS[key], found.splits[key]
    if key == "train" and (rows := _held_out_rows(config, found, model)) is not None:
        name, chosen = "validation", select_rows(chosen, rows)
    images, classes = in_memory(chosen)
    if found.own and found.class_names and model.class_names:
        classes = rename(classes, found.class_names, model.class_names, dataset)
    if pictures:
        images = scaled(images, model)
    return name, (pad_images(images, config.model), classes)


def _held_out_rows(config: TrainConfig, found: Dataset, model: Layer) -> np.ndarray | None:
    """Return the indices of the images held out when the model was trained; None if on another data set."""
    images, labels = found.splits["train"]
    try:
        kept, held_out = choose_rows(config, found, labels)
    except ValueError:  # this one cannot be divided so
        return None
    trained_on, labels = select_rows((images, labels), kept)
    if digest((pad_images(trained_on, config.model), labels)) != model.made_by.get("data_sha256"):
        return None
    return held_out if len(held_out) else None


def load_test_data(dataset: str, data: str | None, model: str) -> Split:
    """Load only the test images of a data set, padded for the model of this name."""
    splits = find_dataset(TrainConfig(dataset=dataset, data=data)).splits
    if "test" not in splits or not len(splits["test"][0]):
        raise ValueError(f"{dataset} has no test images")
    images, labels = splits["test"]
    return pad_images(images, model), labels
