"""The folder of a run: making it, and the way back to the model.

`config.json` holds the configuration and the shape of the data, `checkpoints/` the state to resume from,
`model.safetensors` the model, `history.csv` a line for each epoch, `result.json` the result. A model that is
not one of the registry has its first state in `initial.safetensors`. All of it is checked when it is read,
and none of it makes the reader run code.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from minicnn.errors import FileFormatError
from minicnn.layers import Layer, Sequential
from minicnn.layers._registry import custom_classes
from minicnn.models import MODELS
from minicnn.runs.config import TrainConfig
from minicnn.runs.data import Data, class_names, load_data
from minicnn.runs.records import HISTORY, read_history, read_json, write_json
from minicnn.runs.user_code import own_model
from minicnn.saving import load_model, load_weights, save_model
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


def create_run(
    config: TrainConfig,
    data: Data,
    folder: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
) -> Run:
    """Build the config's model for the data and make a folder for the run, with `config.json` in it.

    A model of FILE.py:NAME is made by executing that file, here and never again.

    Parameters
    ----------
    folder : path, optional
        A new or empty folder; by default the next free one of ``runs/MODEL-DATASET-1``, ``-2``, ...

    Raises
    ------
    FileExistsError
        If the folder is not empty.
    ValueError
        If the images do not fit the model.
    """
    if checkpoint_every is not None:
        check_int(checkpoint_every, "checkpoint_every", low=1)
    input_shape, num_classes = data.train[0].shape[1:], data.num_classes
    if config.model in MODELS:
        model = config.build_model(input_shape, num_classes)
    else:
        own = own_model(config, input_shape, num_classes)
    if folder is None:
        path = _next_folder(
            f"{config.model.rpartition(':')[2]}-{Path(config.dataset).name.removesuffix('.npz')}"
        )
    else:
        path = Path(folder)
        if path.exists() and not _is_unused(path):
            raise FileExistsError(f"{path} is not an empty folder: choose a new one for the run")
        path.mkdir(parents=True, exist_ok=True)
        if (path / CHECKPOINTS).is_dir():  # of a run that was killed before it had a configuration
            (path / CHECKPOINTS).rmdir()
    content = {
        "train": config.to_dict(),
        "input_shape": list(input_shape),
        "num_classes": num_classes,
        "checkpoint_every": checkpoint_every,
    }
    with _removed_on_error(path):
        if config.model not in MODELS:  # from its file from the start: a resumed run has the same model
            save_model(own, path / INITIAL, data.class_names)
            model = read_model(path / INITIAL, custom_classes(own), config.seed)
        write_json(path / CONFIG, content)
    return Run(path, config, model, checkpoint_every)


@contextlib.contextmanager
def _removed_on_error(path: Path) -> Iterator[None]:
    """Take a folder; on an error, such as a full disk, remove it: the same command must work afterwards."""
    (path / CHECKPOINTS).mkdir()  # fails if another process has just taken the folder
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for name in (INITIAL, CONFIG):
                (path / name).unlink(missing_ok=True)
            (path / CHECKPOINTS).rmdir()
            path.rmdir()
        raise


def prolong(run: Run, epochs: int) -> Run:
    """Return a run with more epochs, also in its folder.

    Raises
    ------
    ValueError
        If it has made more epochs than these.
    """
    done = len(read_history(run.folder).epoch) if (run.folder / HISTORY).exists() else 0
    if epochs < done:
        raise ValueError(f"`epochs` must be at least {done}, which the run has made, got {epochs}")
    config = replace(run.config, epochs=epochs)
    content = read_json(run.folder / CONFIG)
    write_json(run.folder / CONFIG, content | {"train": config.to_dict()})
    return replace(run, config=config)


def _is_unused(path: Path) -> bool:
    """Return whether a folder is empty, but for what a run leaves that could not write its configuration."""
    if not path.is_dir() or any((path / CHECKPOINTS).glob("*")):
        return False
    left = [entry.name for entry in path.iterdir() if not entry.name.startswith(f".{CONFIG}")]
    return not {*left} - {CHECKPOINTS, INITIAL}


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


def open_unfinished_run(folder: str | os.PathLike[str], custom_layers: Iterable[type[Layer]] = ()) -> Run:
    """Return a run to resume, with a new model as from `create_run`; raises as `open_run`."""
    path, config, sizes, classes, every = _read_config(folder)
    if config.model not in MODELS:
        return Run(path, config, read_model(path / INITIAL, custom_layers, config.seed), every)
    checkpoints = [file.stat().st_size for file in (path / CHECKPOINTS).glob("step-*")]
    if max(checkpoints, default=0) < config.min_bytes(sizes, classes):  # the data must justify the size
        data = load_data(config)
        if (data.train[0].shape[1:], data.num_classes) != (sizes, classes):
            raise FileFormatError(
                f"{path / CONFIG} must have the image shape and the number of classes of "
                f"{config.dataset!r:.100}: {data.train[0].shape[1:]}, {data.num_classes}"
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
        return path, TrainConfig.from_dict(config["train"]), sizes, config["num_classes"], every
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"{path / CONFIG} is not the configuration of a run: {error}") from error


def _check_kind(file: Path) -> None:
    """Raise FileFormatError for what is not to be opened in a run folder, or stands in place of a file."""
    if file.is_symlink():  # a training would write to its target
        raise FileFormatError(f"{file} is a link: a run folder must hold its files itself")
    is_folder = file.is_dir()
    if is_folder and file.suffix in _SUFFIXES:
        raise FileFormatError(f"{file} is a folder in place of a file: rename or remove it")
    if not is_folder and not file.is_file() and file.exists():  # opening a pipe waits for another process
        raise FileFormatError(f"{file} is a pipe or a device, not a file of a run: remove it")


def _build(path: Path, config: TrainConfig, sizes: tuple[int, ...], classes: int) -> Sequential:
    try:
        return config.build_model(sizes, classes)
    except ValueError as error:
        raise FileFormatError(f"{path / CONFIG} is not the configuration of a run: {error}") from error


def _next_folder(name: str) -> Path:
    """Make the first of runs/NAME-1, runs/NAME-2, ... that does not exist, and return it."""
    Path("runs").mkdir(exist_ok=True)
    number = 1
    while True:
        path = Path("runs", f"{name}-{number}")
        try:
            path.mkdir()
        except FileExistsError:  # or another process has just made it
            number += 1
        else:
            return path
