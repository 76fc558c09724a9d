"""The folder of a run: what was asked for, what came out, and the way back to the trained model.

`config.json` holds the recipe and the shape of the data, `checkpoints/` what it takes to go on with a
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

from minicnn.arguments import integer
from minicnn.errors import FileFormatError
from minicnn.layers import Sequential
from minicnn.runs.data import Data
from minicnn.runs.recipe import Recipe
from minicnn.training import History, load_weights
from minicnn.training.files import write_atomically

CONFIG, RESULT, HISTORY, WEIGHTS = "config.json", "result.json", "history.csv", "weights.safetensors"
CHECKPOINTS = "checkpoints"
_MAX_JSON = 1 << 20  # bytes; ours have about 500


@dataclass(frozen=True)
class Run:
    """A folder, the recipe that it stands for, and the model: fresh at first, trained when it was opened.

    `checkpoint_every` is the number of steps from one checkpoint to the next; None, one for each epoch.
    """

    folder: Path
    recipe: Recipe
    model: Sequential
    checkpoint_every: int | None = None


def create_run(
    recipe: Recipe,
    data: Data,
    folder: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
) -> Run:
    """Build the recipe's model for the data, and make a folder for the run, with `config.json` in it.

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
        integer(checkpoint_every, "checkpoint_every", low=1)
    input_shape, num_classes = data.train[0].shape[1:], data.num_classes
    model = recipe.build_model(input_shape, num_classes)
    if folder is None:
        path = _next_folder(f"{recipe.model}-{Path(recipe.dataset).name}")
    else:
        path = Path(folder)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise FileExistsError(f"a run must get a new or empty folder, but there is something at {path}")
        path.mkdir(parents=True, exist_ok=True)
    (path / CHECKPOINTS).mkdir()  # fails if another process has just taken the same folder
    config = {
        "recipe": recipe.to_dict(),
        "input_shape": list(input_shape),
        "num_classes": num_classes,
        "checkpoint_every": checkpoint_every,
    }
    write_json(path / CONFIG, config)
    return Run(path, recipe, model, checkpoint_every)


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
    run = open_unfinished_run(folder)
    if not (run.folder / WEIGHTS).is_file():
        raise FileNotFoundError(
            f"{run.folder} holds no {WEIGHTS}: its training did not come to an end; "
            f"`minicnn train --resume {run.folder}` goes on with it"
        )
    load_weights(run.model, run.folder / WEIGHTS)
    return run


def open_unfinished_run(folder: str | os.PathLike[str]) -> Run:
    """Return a run with its model fresh, as `create_run` did, to be trained on; raises as `open_run`."""
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f"a run must be a folder that `minicnn train` wrote, but {path} is none")
    config = _read_json(path / CONFIG)
    try:
        recipe = Recipe.from_dict(_typed(config, "recipe", dict))
        sizes = _typed(config, "input_shape", list)
        if not all(type(size) is int for size in sizes):
            raise TypeError(f"`input_shape` must be a list of integers, got {sizes}")
        every = config.get("checkpoint_every")
        if every is not None:
            integer(_typed(config, "checkpoint_every", int), "checkpoint_every", low=1)
        model = recipe.build_model(tuple(sizes), _typed(config, "num_classes", int))
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"{path / CONFIG} must be the configuration of a run: {error}") from error
    return Run(path, recipe, model, every)


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
    path = Path(folder) / HISTORY
    history = History()
    try:
        with path.open(newline="") as file:
            rows = csv.DictReader(file, strict=True)
            if (rows.fieldnames or ["epoch"])[0] != "epoch":
                raise ValueError("the header must begin with `epoch`")
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
    if not path.is_file():
        raise FileNotFoundError(f"a run must hold {path.name}, but there is none in {path.parent}")
    with path.open("rb") as file:
        data = file.read(_MAX_JSON + 1)
    try:
        if len(data) > _MAX_JSON:
            raise ValueError("it is far too long")
        value = json.loads(data, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} must be JSON: {error}") from error
    if not isinstance(value, dict):
        raise FileFormatError(f"{path} must be a JSON object, got {type(value).__name__}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key occurs twice in one object")
    return value


def _typed(config: dict[str, Any], name: str, kind: type) -> Any:
    if type(config.get(name)) is not kind:
        raise TypeError(f"`{name}` must be {kind.__name__}, got {config.get(name)!r}")
    return config[name]


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
