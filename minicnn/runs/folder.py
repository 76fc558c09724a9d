"""The folder of a run, and the way back from it to the model; `create` makes it.

`config.json` holds the configuration and the shape of the data, `checkpoints/` the state to resume from,
`model.safetensors` the model, `history.csv` a line for each epoch, `result.json` the result. A model that is
not one of the registry has its first state in `initial.safetensors`. All of it is checked when it is read,
and none of it makes the reader run code.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from minicnn.datasets import DATASETS
from minicnn.errors import FileFormatError
from minicnn.layers import Layer, Sequential
from minicnn.models import MODELS
from minicnn.runs.config import TrainConfig
from minicnn.runs.data import class_names, load_data
from minicnn.runs.records import read_json
from minicnn.saving import load_model, load_weights
from minicnn.saving.files import check_schema
from minicnn.saving.model_files import read_model
from minicnn.validation import check_int

CONFIG, MODEL, CHECKPOINTS = "config.json", "model.safetensors", "checkpoints"
INITIAL = "initial.safetensors"
_WEIGHTS = "weights.safetensors"  # in place of MODEL in folders of earlier versions
_SUFFIXES = (".json", ".csv", ".safetensors", ".html", ".png", ".lock")


@dataclass(frozen=True)
class Run:
    """A folder with its configuration and its model: new after `create_run`, trained after `open_run`.

    `checkpoint_every` is the number of steps between checkpoints; None means one for each epoch. For a model
    file alone, `folder` is that file.
    """

    folder: Path
    config: TrainConfig
    model: Sequential
    checkpoint_every: int | None = None

    @property
    def class_names(self) -> list[str]:
        """The names of the classes; their numbers if they have no names."""
        return self.model.class_names or [str(number) for number in range(self.model.output_shape[-1])]

    @property
    def title(self) -> str:
        """What the model is called in messages."""
        return self.folder.name if self.folder.is_file() else self.config.model.rpartition(":")[2]


def open_run(folder: str | os.PathLike[str], custom_layers: Iterable[type[Layer]] = ()) -> Run:
    """Return a run with its trained model, from its folder.

    Parameters
    ----------
    custom_layers : iterable of class
        The classes of those layers of its model that are not minicnn's.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or if it lacks a file.
    FileFormatError
        If a file is not as this package writes it.
    ValueError
        If the weights do not fit the model.
    """
    path, config, sizes, classes, every = _read_config(folder)
    if (path / MODEL).exists():
        model = load_model(path / MODEL, custom_layers)
        if (model.input_shape, model.output_shape) != (sizes, (classes,)):
            raise FileFormatError(f"{path / MODEL} is not a model of images {sizes} and {classes} classes")
        return Run(path, config, model, every)
    weights = path / _WEIGHTS
    if not weights.exists() or config.model not in MODELS:
        raise FileNotFoundError(
            f"{path} has no {MODEL}, since its training has not finished: "
            f"continue it with `minicnn train --resume {path}`"
        )
    if weights.stat().st_size < config.min_bytes(sizes, classes):
        raise FileFormatError(f"{weights} is too small for a model of images {sizes} and {classes} classes")
    run = Run(path, config, _build(path, config, sizes, classes), every)
    load_weights(run.model, weights)
    run.model.class_names = class_names(config.dataset, classes)
    return run


def open_unfinished_run(
    folder: str | os.PathLike[str],
    custom_layers: Iterable[type[Layer]] = (),
    dataset: str | None = None,
    data: str | None = None,
    labels: str | None = None,
) -> Run:
    """Return a run to resume, with a new model as from `create_run`; raises as `open_run`.

    `dataset`, `data` and `labels` are where its data set is now, if that was moved.
    """
    path, config, sizes, classes, every = _read_config(folder)
    if dataset not in (None, config.dataset) and {dataset, config.dataset} & DATASETS.keys():
        raise ValueError(
            f"`dataset` must be {config.dataset}, as in the resumed run, or omitted, got {dataset}"
        )
    config = replace(
        config,
        dataset=dataset or config.dataset,
        data=data or config.data,
        labels=labels or config.labels,
    )
    if config.model not in MODELS:
        return Run(path, config, read_model(path / INITIAL, custom_layers, config.seed), every)
    checkpoints = [file.stat().st_size for file in (path / CHECKPOINTS).glob("step-*")]
    if max(checkpoints, default=0) < config.min_bytes(sizes, classes):  # the data must justify the size
        found = load_data(config)
        if (found.train[0].shape[1:], found.num_classes) != (sizes, classes):
            raise FileFormatError(
                f"{path / CONFIG} must have the image shape and the number of classes of "
                f"{config.dataset!r:.100}: {found.train[0].shape[1:]}, {found.num_classes}"
            )
    return Run(path, config, _build(path, config, sizes, classes), every)


def _read_config(
    folder: str | os.PathLike[str],
) -> tuple[Path, TrainConfig, tuple[int, ...], int, int | None]:
    """Return the path, config, image shape, number of classes and `checkpoint_every` of a run."""
    path = Path(folder)
    if not path.is_dir() or not os.path.lexists(path / CONFIG):
        raise FileNotFoundError(f"'{path}' is not a run folder: `minicnn train` creates those")
    for file in (*path.iterdir(), *(path / CHECKPOINTS).glob("*")):
        _check_kind(file)
    config = read_json(path / CONFIG)
    try:
        every = config.get("checkpoint_every")
        if every is not None:
            check_schema(every, int, "`checkpoint_every`")
            check_int(every, "checkpoint_every", low=1)
        if unknown := config.keys() - {"train", "input_shape", "num_classes", "checkpoint_every"}:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))!r:.100}")
        for name, form in {"train": {str: object}, "input_shape": [int], "num_classes": int}.items():
            check_schema(config.get(name), form, f"`{name}`")
        sizes = tuple(config["input_shape"])
        settings = TrainConfig.from_dict(config["train"])
        if None in (settings.epochs, settings.batch_size, settings.lr):
            raise ValueError("epochs, batch size and learning rate must be numbers, got null")
        return path, settings, sizes, config["num_classes"], every
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"{path / CONFIG} is not the configuration of a run: {error}") from error


def _check_kind(file: Path) -> None:
    """Raise FileFormatError for what is not to be opened in a run folder, or stands in place of a file."""
    if file.is_symlink():  # a training would write to its target
        raise FileFormatError(f"{file} is a link: a run folder must hold its files itself")
    is_folder = file.is_dir()
    if file.name == CHECKPOINTS and file.is_file():
        raise FileFormatError(f"{file} is a file in place of a folder: rename or remove it")
    if is_folder and file.suffix in _SUFFIXES:
        raise FileFormatError(f"{file} is a folder in place of a file: rename or remove it")
    if not is_folder and not file.is_file() and file.exists():  # opening a pipe waits for another process
        raise FileFormatError(f"{file} is a pipe or a device, not a file of a run: remove it")


def _build(path: Path, config: TrainConfig, sizes: tuple[int, ...], classes: int) -> Sequential:
    try:
        return config.build_model(sizes, classes)
    except ValueError as error:
        raise FileFormatError(f"{path / CONFIG} is not the configuration of a run: {error}") from error
