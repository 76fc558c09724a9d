"""The folder of a run: what was asked for, what came out, and the way back to the trained model.

`config.json` holds the config and the shape of the data, `checkpoints/` what it takes to go on with a
training that was stopped, `weights.safetensors` the weights, `history.csv` a line for each epoch,
`result.json` the outcome. Nothing in them is believed before it was checked, and none of them can name code
to be run.
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
from minicnn.saving.files import check_schema, parse_json, write_atomically
from minicnn.training import History, load_weights
from minicnn.validation import check_file, check_int

CONFIG, RESULT, HISTORY, WEIGHTS = "config.json", "result.json", "history.csv", "weights.safetensors"
CHECKPOINTS = "checkpoints"
_MAX_JSON = 1 << 16  # bytes; ours have about 500
_MAX_HISTORY, _MAX_COLUMNS = 1 << 21, 100  # bytes: 20,000 epochs; ours have 5 columns
_BYTES_OF_PIXEL, _BYTES_OF_CLASS = 150, 4 * 84  # of the weights' file, at least, for each model of the table


@dataclass(frozen=True)
class Run:
    """A folder, the config that it stands for, and the model: fresh at first, trained when it was opened.

    `checkpoint_every` is the number of steps from one checkpoint to the next; None, one for each epoch.
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
    """Build the config's model for the data, and make a folder for the run, with `config.json` in it.

    Parameters
    ----------
    folder : path, optional
        New, or empty. By default the next free one of ``runs/MODEL-DATASET-1``, ``-2``, ...

    Raises
    ------
    FileExistsError
        If there is something in the folder already.
    ValueError
        If the images do not suit the model.
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
            raise FileExistsError(f"a run must get a new or empty folder, but there is something at {path}")
        path.mkdir(parents=True, exist_ok=True)
    (path / CHECKPOINTS).mkdir()  # fails if another process has just taken the same folder
    content = {
        "config": config.to_dict(),
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
        If there is no such folder, or a file is missing in it.
    FileFormatError
        If a file is not what this package writes.
    ValueError
        If the weights do not fit the model.
    """
    path, config, sizes, classes, every = _read_config(folder)
    weights = path / WEIGHTS
    if not weights.exists():
        raise FileNotFoundError(
            f"{path} holds no {WEIGHTS}: its training did not come to an end; "
            f"`minicnn train --resume {path}` goes on with it"
        )
    if weights.stat().st_size < _least_bytes(sizes, classes):
        raise FileFormatError(f"{weights} is too small for the model of images {sizes} and {classes} classes")
    run = Run(path, config, _built(path, config, sizes, classes), every)
    load_weights(run.model, weights)
    return run


def open_unfinished_run(folder: str | os.PathLike[str]) -> Run:
    """Return a run with its model fresh, as `create_run` did, to be trained on; raises as `open_run`."""
    path, config, sizes, classes, every = _read_config(folder)
    checkpoints = [file.stat().st_size for file in (path / CHECKPOINTS).glob("step-*")]
    if max(checkpoints, default=0) < _least_bytes(sizes, classes):  # else the data must be a reason for it
        data = load_data(config)
        if (data.train[0].shape[1:], data.num_classes) != (sizes, classes):
            raise FileFormatError(
                f"{path / CONFIG} must tell the shape of the images and the number of classes, as they are "
                f"in {config.dataset!r:.100}: {data.train[0].shape[1:]}, {data.num_classes}"
            )
    return Run(path, config, _built(path, config, sizes, classes), every)


def _read_config(
    folder: str | os.PathLike[str],
) -> tuple[Path, TrainConfig, tuple[int, ...], int, int | None]:
    """Return what a run's configuration says: the config, the images' shape, their classes, checkpoints."""
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f"a run must be a folder that `minicnn train` wrote, but {path} is none")
    for file in (*path.iterdir(), *(path / CHECKPOINTS).glob("*")):
        if file.is_symlink():  # a training would write where it leads
            raise FileFormatError(f"a run must hold its files itself, but {file} is a link")
    config = _read_json(path / CONFIG)
    try:
        every = config.get("checkpoint_every")
        if every is not None:
            check_schema(every, int, "`checkpoint_every`")
            check_int(every, "checkpoint_every", low=1)
        if unknown := config.keys() - {"config", "input_shape", "num_classes", "checkpoint_every"}:
            raise ValueError(f"there must be nothing unknown in it, got {', '.join(sorted(unknown))!r:.100}")
        for name, form in {"config": {str: object}, "input_shape": [int], "num_classes": int}.items():
            check_schema(config.get(name), form, f"`{name}`")
        sizes = tuple(config["input_shape"])
        return path, TrainConfig.from_dict(config["config"]), sizes, config["num_classes"], every
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"{path / CONFIG} must be the configuration of a run: {error}") from error


def _least_bytes(sizes: tuple[int, ...], classes: int) -> int:
    """Return how many bytes the weights of a model have at least: a short file is no reason for more."""
    return _BYTES_OF_PIXEL * math.prod(sizes[:2]) + _BYTES_OF_CLASS * classes


def _built(path: Path, config: TrainConfig, sizes: tuple[int, ...], classes: int) -> Sequential:
    try:
        return config.build_model(sizes, classes)
    except ValueError as error:
        raise FileFormatError(f"{path / CONFIG} must be the configuration of a run: {error}") from error


def is_finished(folder: str | os.PathLike[str]) -> bool:
    """Return whether a run came to its end: it was trained, judged and written down."""
    return (Path(folder) / RESULT).exists() and read_result(folder).get("interrupted") is False


def read_result(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what `result.json` holds, see `minicnn.runs.train`."""
    return _read_json(Path(folder) / RESULT)


def read_history(folder: str | os.PathLike[str]) -> History:
    """Return the history of a run, from its `history.csv`.

    Raises
    ------
    FileFormatError
        If it is anything but lines of numbers under a header that begins with "epoch".
    """
    path = check_file(Path(folder) / HISTORY, "the history of a run")
    history = History()
    try:
        if path.stat().st_size > _MAX_HISTORY:
            raise ValueError("it is far too long")
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
        raise FileFormatError(f"{path} must be the history of a run: {error}") from error
    return history


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object, atomically; numbers that are not finite, which JSON does not know, become null."""
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in value.items()}
    write_atomically(path, (json.dumps(finite, indent=2, allow_nan=False) + "\n").encode())


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise FileNotFoundError(f"a run must hold {path.name}, but there is none in {path.parent}")
    try:
        if check_file(path, "a file of JSON").stat().st_size > _MAX_JSON:
            raise ValueError("it is far too long")
        return parse_json(path.read_bytes().decode())
    except ValueError as error:
        raise FileFormatError(f"{path} must be JSON: {error}") from error


def _next_folder(name: str) -> Path:
    """Make and return the first of runs/NAME-1, runs/NAME-2, ... that does not exist."""
    Path("runs").mkdir(exist_ok=True)
    number = 1
    while True:
        path = Path("runs", f"{name}-{number}")
        try:
            path.mkdir()
        except FileExistsError:  # also where another process was faster just now
            number += 1
        else:
            return path
