"""The folder of a run: configuration, checkpoints, weights, history and result.

`config.json` holds the configuration and the shape of the data, `checkpoints/` the state to resume from,
`weights.safetensors` the weights, `history.csv` a line for each epoch, `result.json` the result. All of it is
checked when it is read, and none of it can name code to run.
"""

from __future__ import annotations

import csv
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minicnn.errors import FileFormatError
from minicnn.layers import Sequential
from minicnn.runs.config import TrainConfig
from minicnn.runs.data import Data, load_data
from minicnn.saving import load_weights
from minicnn.saving.files import check_schema, parse_json, write_atomically
from minicnn.training import History
from minicnn.validation import check_file, check_int

CONFIG, RESULT, HISTORY, WEIGHTS = "config.json", "result.json", "history.csv", "weights.safetensors"
CHECKPOINTS = "checkpoints"
_MAX_JSON = 1 << 16  # bytes; a configuration has about 500
_MAX_HISTORY, _MAX_COLUMNS = 1 << 21, 100  # bytes: 20,000 epochs of 5 columns


@dataclass(frozen=True)
class Run:
    """A folder with its configuration and its model: new after `create_run`, trained after `open_run`.

    `checkpoint_every` is the number of steps between checkpoints; None means one for each epoch.
    """

    folder: Path
    config: TrainConfig
    model: Sequential
    checkpoint_every: int | None = None


def create_run(
    config: TrainConfig,
    data: Data,
    folder: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
) -> Run:
    """Build the config's model for the data and make a folder for the run, with `config.json` in it.

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
    model = config.build_model(input_shape, num_classes)
    if folder is None:
        path = _next_folder(f"{config.model}-{Path(config.dataset).name}")
    else:
        path = Path(folder)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise FileExistsError(f"{path} is not an empty folder: choose a new one for the run")
        path.mkdir(parents=True, exist_ok=True)
    (path / CHECKPOINTS).mkdir()  # fails if another process has just taken the folder
    content = {
        "train": config.to_dict(),
        "input_shape": list(input_shape),
        "num_classes": num_classes,
        "checkpoint_every": checkpoint_every,
    }
    write_json(path / CONFIG, content)
    return Run(path, config, model, checkpoint_every)


def open_run(folder: str | os.PathLike[str]) -> Run:
    """Return a run with its trained model, from its folder.

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
    weights = path / WEIGHTS
    if not weights.exists():
        raise FileNotFoundError(
            f"{path} has no {WEIGHTS}, since its training has not finished: "
            f"continue it with `minicnn train --resume {path}`"
        )
    if weights.stat().st_size < config.min_bytes(sizes, classes):
        raise FileFormatError(f"{weights} is too small for a model of images {sizes} and {classes} classes")
    run = Run(path, config, _build(path, config, sizes, classes), every)
    load_weights(run.model, weights)
    return run


def open_unfinished_run(folder: str | os.PathLike[str]) -> Run:
    """Return a run to resume, with a new model as from `create_run`; raises as `open_run`."""
    path, config, sizes, classes, every = _read_config(folder)
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
        if file.is_symlink():  # a training would write to its target
            raise FileFormatError(f"{file} is a link: a run folder must hold its files itself")
    config = _read_json(path / CONFIG)
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


def _build(path: Path, config: TrainConfig, sizes: tuple[int, ...], classes: int) -> Sequential:
    try:
        return config.build_model(sizes, classes)
    except ValueError as error:
        raise FileFormatError(f"{path / CONFIG} is not the configuration of a run: {error}") from error


def is_finished(folder: str | os.PathLike[str]) -> bool:
    """Return whether a run was trained to the end and evaluated."""
    return (Path(folder) / RESULT).exists() and read_result(folder).get("interrupted") is False


def read_result(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the content of `result.json`, see `minicnn.runs.train`."""
    return _read_json(Path(folder) / RESULT)


def read_history(folder: str | os.PathLike[str]) -> History:
    """Return the history in a run's `history.csv`.

    Raises
    ------
    FileFormatError
        If it is anything but lines of numbers under a header that begins with "epoch".
    """
    path = check_file(Path(folder) / HISTORY, "the history of a run")
    history = History()
    try:
        if path.stat().st_size > _MAX_HISTORY:
            raise ValueError("the file is too long")
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file, strict=True)
            names = rows.fieldnames or ["epoch"]
            if len(names) > _MAX_COLUMNS:
                raise ValueError(f"there must be at most {_MAX_COLUMNS} columns, got {len(names)}")
            if names[0] != "epoch" or len(set(names)) < len(names):
                raise ValueError("the header must begin with `epoch`, and name each column once")
            for row in rows:
                if None in row or None in row.values():
                    raise ValueError(f"line {rows.line_num} must have {len(rows.fieldnames or ())} values")
                history.append(int(row.pop("epoch")), {name: float(value) for name, value in row.items()})
    except (ValueError, csv.Error) as error:
        raise FileFormatError(f"{path} is not the history of a run: {error}") from error
    return history


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object atomically; numbers that are not finite, which JSON lacks, become null."""
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in value.items()}
    write_atomically(path, (json.dumps(finite, indent=2, allow_nan=False) + "\n").encode())


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise FileNotFoundError(f"{path.parent} has no {path.name}")
    try:
        if check_file(path, "a file of JSON").stat().st_size > _MAX_JSON:
            raise ValueError("the file is too long")
        return parse_json(path.read_bytes().decode())
    except ValueError as error:
        raise FileFormatError(f"{path} is not valid JSON: {error}") from error


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
