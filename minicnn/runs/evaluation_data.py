"""The images to evaluate a trained model on: those of its run, or of a data set that a command names."""

from dataclasses import replace

import numpy as np

from minicnn.datasets.folder import Split
from minicnn.datasets.image_folder import PictureReader
from minicnn.layers import Layer
from minicnn.runs.config import TrainConfig
from minicnn.runs.data import Data, choose_rows, digest, in_memory, load_data, pad_images, select_rows
from minicnn.runs.dataset import Dataset, find_dataset, is_class_folders, rename
from minicnn.runs.inputs import picture_reader, scaled

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
        return load_data(with_dataset(config, data=data)).evaluation
    config = with_dataset(config, dataset, data, labels)
    found = find_dataset(config, _reader(config, model))
    key = next((key for key in _PARTS if key in found.splits and len(found.splits[key][1])), None)
    if key is None:
        raise ValueError(f"{config.dataset} has no images")
    name, chosen = _PARTS[key], found.splits[key]
    if key == "train" and (rows := _held_out_rows(config, found, model)) is not None:
        name, chosen = "validation", select_rows(chosen, rows)
    return name, _adapted(in_memory(chosen), config, found, model)


def load_parts(config: TrainConfig, model: Layer, most: int) -> tuple[Split, Split]:
    """Load the images to train and to evaluate a trained model on, as it takes them.

    With `config.stream`, the former are at most `most`, evenly spread. Raises as `load_evaluation_data`.
    """
    found = load_data(config, reader=_reader(config, model))
    parts = in_memory(found.train, most), found.evaluation[1]
    train, evaluation = (_adapted(part, config, found, model) for part in parts)
    return train, evaluation


def with_dataset(
    config: TrainConfig, dataset: str | None = None, data: str | None = None, labels: str | None = None
) -> TrainConfig:
    """Return a config with another data set, or with the same in another place; None leaves it as it is."""
    if dataset is None and labels is None:
        return config if data is None else replace(config, data=data)
    config = replace(config, dataset=dataset or config.dataset, data=data, labels=labels)
    if is_class_folders(config.dataset):
        return config
    return replace(config, stream=False, size=None, channels=None, value_range=None)


def _reader(config: TrainConfig, model: Layer) -> PictureReader | None:
    return picture_reader(model) if is_class_folders(config.dataset) else None


def _adapted(split: Split, config: TrainConfig, found: Dataset | Data, model: Layer) -> Split:
    """Return images and labels of a data set as the model takes them."""
    images, labels = split
    if found.class_names:
        labels = _renamed(labels, found.class_names, model, config.dataset, found.own)
    if is_class_folders(config.dataset):
        images = scaled(images, model)
    return pad_images(images, config.model), labels


def _renamed(labels: np.ndarray, names: list[str], model: Layer, dataset: str, own: bool) -> np.ndarray:
    """Return labels as classes of the model, which has those of the same names.

    By their numbers they are the same if one of both has no names, or others for the same published set.
    """
    outputs = model.output_shape[-1]
    known = model.class_names or [str(number) for number in range(outputs)]
    by_number = len(names) == outputs and (model.class_names is None or not own)
    return labels if by_number and not {*names} <= {*known} else rename(labels, names, known, dataset)


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
