"""Making the folder of a run, and changing what it records: more epochs, another place of the data."""

import contextlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from minicnn.config.registry import custom_classes
from minicnn.models import MODELS
from minicnn.runs.config import TrainConfig
from minicnn.runs.data import Data
from minicnn.runs.folder import CHECKPOINTS, CONFIG, INITIAL, Run
from minicnn.runs.records import HISTORY, read_history, read_json, write_json
from minicnn.runs.user_code import own_model
from minicnn.saving import save_model
from minicnn.saving.model_files import read_model
from minicnn.validation import check_int

_LISTED = 10  # names of classes in a message


def create_run(
    config: TrainConfig,
    data: Data,
    folder: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
) -> Run:
    """Build the config's model for the data and make a folder for the run, with `config.json` in it.

    The run's config has the default epochs, batch size and rate for the number of training images, where
    `config` has none. A model of FILE.py:NAME is made by executing that file, here and never again.

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
    config = config.for_images(len(data.train[1]))
    input_shape, num_classes = data.train[0].shape[1:], data.num_classes
    builtin = config.model in MODELS
    if builtin:
        try:
            model = config.build_model(input_shape, num_classes)
        except ValueError as error:
            raise ValueError(f"{config.model} cannot be built for images {input_shape}: {error}") from error
    else:
        model = own_model(config, input_shape, num_classes)
    if data.own and (unseen := data.unseen_classes):
        more = f" and {len(unseen) - _LISTED} more" if len(unseen) > _LISTED else ""
        warnings.warn(
            f"{config.dataset} has no training images of these classes, so that the model cannot learn them: "
            f"{', '.join(map(repr, unseen[:_LISTED]))}{more}",
            stacklevel=2,
        )
    path = _make_folder(config, folder)
    content = {
        "train": config.to_dict(),
        "input_shape": list(input_shape),
        "num_classes": num_classes,
        "checkpoint_every": checkpoint_every,
    }
    with _removed_on_error(path):
        if not builtin:  # from its file from the start: a resumed run has the same model
            save_model(model, path / INITIAL, data.class_names)
            model = read_model(path / INITIAL, custom_classes(model), config.seed)
        write_json(path / CONFIG, content)
    return Run(path, config, model, checkpoint_every)


def _make_folder(config: TrainConfig, folder: str | os.PathLike[str] | None) -> Path:
    """Make the folder, or the next free one for the model and the data set."""
    if folder is None:
        dataset = Path(config.dataset).name.removesuffix(".npz")
        return _next_folder(f"{config.model.rpartition(':')[2]}-{dataset}")
    path = Path(folder)
    if path.exists() and not _is_unused(path):
        raise FileExistsError(f"{path} is not an empty folder: choose a new one for the run")
    path.mkdir(parents=True, exist_ok=True)
    if (path / CHECKPOINTS).is_dir():  # of a run that was killed before it had a configuration
        (path / CHECKPOINTS).rmdir()
    return path


def _is_unused(path: Path) -> bool:
    """Return whether a folder is empty, but for what a run leaves that could not write its configuration."""
    if not path.is_dir() or any((path / CHECKPOINTS).glob("*")):
        return False
    left = [entry.name for entry in path.iterdir() if not entry.name.startswith(f".{CONFIG}")]
    return not {*left} - {CHECKPOINTS, INITIAL}


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
        raise ValueError(f"`epochs` must be at least {done}, which the run has already, got {epochs}")
    run = replace(run, config=replace(run.config, epochs=epochs))
    _record(run)
    return run


def relocate(run: Run, data: Data) -> None:
    """Record in a run's folder the place of its data set, which the run has and from which it was loaded.

    Raises
    ------
    ValueError
        If the images or classes are not like those of the run.
    """
    found = data.train[0].shape[1:], data.num_classes
    wanted = run.model.input_shape, run.model.output_shape[-1]
    if found != wanted:
        raise ValueError(
            f"`dataset` must be that of the run, images {wanted[0]} of {wanted[1]} classes, got images "
            f"{found[0]} of {found[1]} classes"
        )
    _record(run)


def _record(run: Run) -> None:
    """Write a run's configuration into its folder, in place of the one there."""
    content = read_json(run.folder / CONFIG)
    write_json(run.folder / CONFIG, content | {"train": run.config.to_dict()})
