"""A folder of checkpoints: the last few states of one fit, the newest of which can always be loaded.

A checkpoint is one file, `step-00000120.safetensors`: named arrays and a JSON object, under one SHA-256 (see
`minicnn.saving.tensors`). `minicnn.training.resume.checkpointer` defines their content.
"""

import contextlib
import errno
import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from minicnn.errors import FileFormatError
from minicnn.saving.files import explain_os_errors, locked, parse_json, to_json
from minicnn.saving.tensors import read_tensors, write_tensors
from minicnn.validation import check_int

KEPT = 3
_NAME = re.compile(r"step-(\d{8,})\.safetensors")


@dataclass(frozen=True)
class Snapshot:
    """The content of one checkpoint: the state of a fit, read from `path`."""

    path: Path
    arrays: dict[str, np.ndarray]
    state: dict[str, Any]


class CheckpointFolder:
    """The checkpoints of one fit; a context manager that locks the folder.

    Parameters
    ----------
    folder : path
        Is created if it does not exist. It belongs to one fit.
    every : int, optional
        Steps from one checkpoint to the next. None: one at the end of each epoch.

    Raises
    ------
    BlockingIOError
        On entering, if another process is training into the folder.
    """

    def __init__(self, folder: str | os.PathLike[str], every: int | None = None) -> None:
        self.folder = Path(folder)
        self.every = None if every is None else check_int(every, "checkpoint_every", low=1)
        self._lock = contextlib.ExitStack()
        self._require_folder: Callable[[], None] | None = None  # while it is locked

    def __enter__(self) -> Self:
        with explain_os_errors(self.folder):
            if self.folder.is_file():
                raise FileExistsError(errno.EEXIST, "a file stands where a folder must be", str(self.folder))
            self.folder.mkdir(parents=True, exist_ok=True)
        self._require_folder = self._lock.enter_context(locked(self.folder / ".lock"))
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.close()
        self._require_folder = None

    def save(self, step: int, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> None:
        """Write a checkpoint, then remove all but the last few.

        Raises
        ------
        OSError
            With a message that says what to do. The earlier checkpoints are unchanged.
        """
        path = self.folder / f"step-{step:08}.safetensors"
        try:
            if self._require_folder:
                self._require_folder()
            write_tensors(path, arrays, to_json(state, _plain))
            self._prune(step)
        except OSError as error:
            advice = "to resume from the last checkpoint, call fit again or run `minicnn train --resume`"
            raise OSError(error.errno, f"{error.strerror}; {advice}", os.fspath(path)) from error

    def latest(self) -> Snapshot | None:
        """Return the newest checkpoint that can be read, or None if there is none; warn about damaged ones.

        Raises
        ------
        FileFormatError
            If there are checkpoints, but all of them are damaged.
        """
        damaged = []
        for _, path in self._newest_first():
            try:
                found = _read(path)
            except (FileFormatError, OSError) as error:
                if isinstance(error, OSError) and error.errno != errno.EIO:
                    raise  # the file itself is not damaged
                damaged.append(str(error))
            else:
                for reason in damaged:
                    warnings.warn(f"{reason}; resuming from {path.name}, the one before", stacklevel=2)
                return found
        if damaged:
            advice = "to start from the beginning, remove the folder"
            raise FileFormatError(f"no readable checkpoint in {self.folder}: {'; '.join(damaged)}; {advice}")
        return None

    def _newest_first(self) -> list[tuple[int, Path]]:
        """Return the steps and files of the checkpoints."""
        matches = [(_NAME.fullmatch(path.name), path) for path in self.folder.iterdir()]
        return sorted(((int(match[1]), path) for match, path in matches if match), reverse=True)

    def _prune(self, step: int) -> None:
        """Keep the checkpoint of `step` and the two before it.

        Later files are damaged: otherwise the fit would have resumed from them.
        """
        files = self._newest_first()
        kept = [path for other, path in files if other <= step][:KEPT]
        for _, path in files:
            if path not in kept and not path.is_dir():  # a folder is the user's
                path.unlink(missing_ok=True)


def _read(path: Path) -> Snapshot:
    """Return the content of a checkpoint; raise FileFormatError if it is damaged."""
    if path.is_symlink():
        raise FileFormatError(f"{path} is a symbolic link: a checkpoint must be a file of its own")
    arrays, text = read_tensors(path)
    try:
        return Snapshot(path, arrays, parse_json(text or ""))
    except ValueError as error:
        raise FileFormatError(f"{path} is not a checkpoint: {error}") from error


def _plain(value: Any) -> Any:
    """Return a small array, such as the state of a random generator, as lists and numbers for JSON."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a checkpoint can hold only arrays and JSON values, got {value!r}")
