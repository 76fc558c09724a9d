"""A folder of checkpoints: the last few states of one fit, of which the newest can always be loaded.

A checkpoint is one file, `step-00000120.safetensors`: arrays by name, and a JSON object beside them, both
under one SHA-256 (see `minicnn.saving.tensors`). What is in them is the business of `training.resume`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from minicnn.errors import FileFormatError
from minicnn.saving.files import explain_os_errors, locked, parse_json, remove_temporaries, to_json
from minicnn.saving.tensors import read_tensors, write_tensors
from minicnn.validation import check_int

KEPT = 3
_NAME = re.compile(r"step-(\d{8,})\.safetensors")


@dataclass(frozen=True)
class Snapshot:
    """One state of a fit: what was in the file at `path`."""

    path: Path
    arrays: dict[str, np.ndarray]
    state: dict[str, Any]


class CheckpointFolder:
    """The checkpoints of one fit; a context manager, that holds the folder for this process alone.

    Parameters
    ----------
    folder : path
        Is made where it does not exist. It belongs to one fit.
    every : int, optional
        Steps from one checkpoint to the next; None: one at the end of each epoch.

    Raises
    ------
    BlockingIOError
        On entering, if somebody else trains into the folder.
    """

    def __init__(self, folder: str | os.PathLike[str], every: int | None = None) -> None:
        self.folder = Path(folder)
        self.every = None if every is None else check_int(every, "every", low=1)

    def __enter__(self) -> Self:
        with explain_os_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            stack.enter_context(locked(self.folder / ".lock"))
            remove_temporaries(self.folder)
            self._held = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._held.close()

    def save(self, step: int, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> None:
        """Write a checkpoint, and then remove all but the last few.

        Raises
        ------
        OSError
            With a message that says what to do. The checkpoints that were there are there still.
        """
        path = self.folder / f"step-{step:08}.safetensors"
        try:
            write_tensors(path, arrays, to_json(state, _plain))
            self._prune(step)
        except OSError as error:
            advice = "to go on from the last checkpoint, call fit again, or `minicnn train --resume`"
            raise OSError(error.errno, f"{error.strerror}; {advice}", os.fspath(path)) from error

    def latest(self) -> Snapshot | None:
        """Return the newest checkpoint that can be read, None if there is none; warn about broken ones.

        Raises
        ------
        FileFormatError
            If there are checkpoints, and every one is broken.
        """
        broken = []
        for _, path in self._newest_first():
            try:
                found = _read(path)
            except (FileFormatError, OSError) as error:
                if isinstance(error, OSError) and error.errno != errno.EIO:
                    raise  # it is not the file that is broken
                broken.append(str(error))
            else:
                for reason in broken:
                    warnings.warn(f"{reason}; going on from {path.name}, the one before", stacklevel=2)
                return found
        if broken:
            raise FileFormatError(
                f"{self.folder} must hold a whole checkpoint, but: {'; '.join(broken)}; "
                f"remove the folder to start anew"
            )
        return None

    def _newest_first(self) -> list[tuple[int, Path]]:
        """Return the checkpoints' steps and files."""
        matches = [(_NAME.fullmatch(path.name), path) for path in self.folder.iterdir()]
        return sorted(((int(match[1]), path) for match, path in matches if match), reverse=True)

    def _prune(self, step: int) -> None:
        """Keep that of `step` and a few before it; a later one is broken, else the fit had begun there."""
        files = self._newest_first()
        kept = [path for other, path in files if other <= step][:KEPT]
        for _, path in files:
            if path not in kept and not path.is_dir():  # that is not ours
                path.unlink(missing_ok=True)


def _read(path: Path) -> Snapshot:
    if path.is_symlink():
        raise FileFormatError(f"{path} must be a file of its folder, but it is a link")
    arrays, text = read_tensors(path)
    try:
        return Snapshot(path, arrays, parse_json(text or ""))
    except ValueError as error:
        raise FileFormatError(f"{path} must be a checkpoint: {error}") from error


def _plain(value: Any) -> Any:
    """Return the numbers of a small array, such as the state of a random stream, as JSON can hold them."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a checkpoint must hold arrays and what JSON can hold, got {value!r}")
