"""The records of a run: JSON files and the history. They are checked when they are read."""

import csv
import json
import math
import os
from pathlib import Path
from typing import Any

from minicnn.errors import FileFormatError
from minicnn.plural import counted
from minicnn.saving.files import parse_json, write_atomically
from minicnn.training import History
from minicnn.validation import check_file

RESULT, HISTORY = "result.json", "history.csv"
_MAX_JSON = 1 << 16  # bytes; a configuration has about 500
_MAX_HISTORY, _MAX_COLUMNS = 1 << 21, 100  # bytes: 20,000 epochs of 5 columns


def is_finished(folder: str | os.PathLike[str], epochs: int = 0) -> bool:
    """Return whether a run was trained to the end, of at least this many epochs, and evaluated."""
    try:
        result = read_result(folder)
    except (FileNotFoundError, FileFormatError):  # damaged: the end of the training writes it again
        return False
    done = result.get("epochs")
    return result.get("interrupted") is False and (not isinstance(done, int) or done >= epochs)


def read_result(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the content of `result.json`, see `minicnn.runs.train`."""
    return read_json(Path(folder) / RESULT)


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
                raise ValueError(f"at most {_MAX_COLUMNS} columns are allowed, got {len(names)}")
            if names[0] != "epoch" or len(set(names)) < len(names):
                raise ValueError("the header must begin with `epoch`, and name each column once")
            for row in rows:
                if None in row or None in row.values():
                    values = counted(len(rows.fieldnames or ()), "value")
                    raise ValueError(f"line {rows.line_num} must have {values}")
                history.append(int(row.pop("epoch")), {name: float(value) for name, value in row.items()})
    except (ValueError, csv.Error) as error:
        raise FileFormatError(f"{path} is not the history of a run: {error}") from error
    return history


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object atomically; numbers that are not finite, which JSON lacks, become null."""
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in value.items()}
    write_atomically(path, (json.dumps(finite, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of a run."""
    if not path.exists():
        raise FileNotFoundError(f"{path.parent} has no {path.name}")
    try:
        if check_file(path, "a file of JSON").stat().st_size > _MAX_JSON:
            raise ValueError("the file is too long")
        return parse_json(path.read_bytes().decode())
    except ValueError as error:
        raise FileFormatError(f"{path} is not valid JSON: {error}") from error
