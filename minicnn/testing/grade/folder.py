"""Which files are graded, and the copy of a folder that each of them gets."""

import os
import re
import shutil
import stat
from collections.abc import Container, Iterator
from pathlib import Path

from minicnn.testing.grade.signatures import EXERCISES

_MAIN = re.compile(r"(\d+-)?main(_\d+)?\.py")  # of the course: programs that call a solution
_DEFINITION = re.compile(rf"^\s*def\s+({'|'.join(EXERCISES)})\s*\(".encode(), re.MULTILINE)
_LARGEST_FILE, _LARGEST_FOLDER, _MOST_FILES = 8 << 20, 32 << 20, 500


def solutions(path: str) -> list[Path]:
    """Return the files to grade: the file, or all `*.py` in a folder but the course's `0-main.py`.

    >>> [bool(_MAIN.fullmatch(name)) for name in ("0-main.py", "12-main.py", "0-conv_forward.py")]
    [True, True, False]
    """
    if not os.path.lexists(path):
        raise ValueError(f"no such file: {path}")
    if not Path(path).is_dir():
        return [Path(path)]
    found = sorted(each for each in Path(path).glob("*.py") if not _MAIN.fullmatch(each.name))
    if not found:
        raise ValueError(f"no Python file in {path}")
    return found


def unreadable(path: Path) -> str:
    """Return why a file cannot be graded; nothing if it can."""
    try:
        status = path.stat()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not stat.S_ISREG(status.st_mode):
        return "is a folder, not a file" if path.is_dir() else "is not a regular file"
    if status.st_size > _LARGEST_FILE:
        return f"is larger than {_LARGEST_FILE >> 20} MB"
    return "" if os.access(path, os.R_OK) else "cannot be read: Permission denied"


def rivals(path: Path) -> dict[Path, list[str]]:
    """Return the files beside a solution that define functions which it has to define, and their names.

    Those of a file that takes its functions from elsewhere may be any.
    """
    own = _defined(path) or set(EXERCISES)
    others = (each for each in sorted(path.parent.glob("*.py")) if each != path and not unreadable(each))
    found = {each: sorted(_defined(each) & own, key=EXERCISES.index) for each in others}
    return {each: names for each, names in found.items() if names}


def mentions(path: Path, other: Path) -> bool:
    """Return whether a file has the name of another, as it must to import it."""
    return other.stem.encode() in path.read_bytes()


def _defined(path: Path) -> set[str]:
    return {name.decode() for name in _DEFINITION.findall(path.read_bytes())}


def copy_folder(path: Path, target: Path, without: Container[Path] = ()) -> str:
    """Copy a file and what lies beside it, up to 500 files and 32 MB; return its name in the copy."""
    target.mkdir(parents=True)
    room, folder = _LARGEST_FOLDER, path.parent
    neighbours = (each for each in _neighbours(folder) if each[0] not in without)
    for count, (source, size) in enumerate(neighbours):
        room -= size
        if room < 0 or count == _MOST_FILES:
            break
        place = target / source.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        _copy(source, place)
    shutil.copyfile(path, target / path.name)
    return path.name


def _neighbours(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the regular files in a folder and below, with their sizes; no links, nothing hidden."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith((".", "__pycache__")) and not Path(where, name, "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            source = Path(where, name)
            status = source.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_size <= _LARGEST_FILE and not name.startswith("."):
                yield source, status.st_size


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError:  # a neighbour that cannot be read is missing in the copy
        target.unlink(missing_ok=True)
