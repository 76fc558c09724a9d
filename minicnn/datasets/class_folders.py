"""Which pictures a folder has, and of which class: by class folders, or by a table of file names.

Names come from strangers: no file outside the folder is read, and the order is the same on every machine.
"""

import csv
import os
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from minicnn.datasets.picture_files import SUFFIXES, shown
from minicnn.errors import FileFormatError
from minicnn.validation import check_file

# The first of each is the value of `split`.
SPLITS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
_FOLDERS = {folder: split for split, folders in SPLITS.items() for folder in folders}
_LITTER = {"thumbs.db", "desktop.ini", "__macosx", "icon\r"}  # what desktops leave behind; and hidden files
_MAX_TABLE = 1 << 28  # bytes


@dataclass(frozen=True)
class Listing:
    """The pictures of a data set.

    Attributes
    ----------
    folder : Path
        The folder that holds them.
    files : list of str
        Their paths inside the folder, with slashes, sorted by class and path.
    labels : ndarray, intp (N,)
        Their classes, as indices of `names`.
    names : list of str
        The classes' names, sorted.
    refused : list of str
        A sentence for each entry that cannot be a picture of a class.
    """

    folder: Path
    files: list[str]
    labels: np.ndarray
    names: list[str]
    refused: list[str]

    @property
    def paths(self) -> list[Path]:
        """The paths of the files."""
        return [self.folder / file for file in self.files]


def find_splits(folder: Path) -> dict[str, Path]:
    """Return the folders of the parts of a data set, by split; empty if there are only class folders.

    It is divided if it has a folder "train", and beside it only folders of other parts.
    """
    if not (folder / "train").is_dir():
        return {}
    inside = [entry for entry in folder.iterdir() if entry.is_dir() and not is_litter(entry.name)]
    if any(entry.name not in _FOLDERS for entry in inside):
        return {}
    splits: dict[str, Path] = {}
    for entry in sorted(inside):
        split = _FOLDERS[entry.name]
        if entry.is_symlink():
            raise FileFormatError(f"{shown(entry)} is a link to a folder: copy the folder itself")
        if split in splits:
            both = f"{splits[split].name}/ or {entry.name}/, not both"
            raise ValueError(f"{shown(folder)} must have either {both}")
        splits[split] = entry
    return splits


def list_images(
    path: str | os.PathLike[str],
    split: str | None = None,
    labels: str | os.PathLike[str] | None = None,
) -> Listing:
    """Return the pictures of a folder, see `load_image_folder`.

    One function, since each step looks at what those before have found.
    """
    folder = Path(path)
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise FileNotFoundError(f"{shown(folder)} {problem}; it must be a folder of class folders")
    if split is not None and split not in SPLITS:
        raise ValueError(f"`split` must be one of {', '.join(SPLITS)}, got {split!r}")
    if labels is not None:
        if split is not None:
            raise ValueError(f"`split` is for class folders, not for `labels`, got {split!r}")
        return _listing(folder, _table(folder, labels), set(), [])
    splits = find_splits(folder)
    if split is not None and split not in splits:
        has = f"only {', '.join(f'{part}/' for part in splits)}" if splits else "class folders, undivided"
        raise FileNotFoundError(f"{shown(folder)} has no part {split!r}: it has {has}")
    # All parts have the same classes, also where one of them lacks pictures of some.
    classes = {_normal(name) for place in splits.values() or [folder] for name in _class_folders(place)}
    where = splits[split or "train"] if splits else folder
    if not classes:
        hint = "make a folder for each class, or name the classes in a table by `labels`"
        raise FileFormatError(f"{shown(where)} has no class folders: {hint}")
    prefix = f"{where.name}/" if splits else ""
    refused = [] if splits else _without_class(folder)
    found = (
        (file, _normal(name))
        for name in _class_folders(where)
        for file in _files(folder, f"{prefix}{name}", refused)
    )
    pairs = [*_counted_aloud(found, folder)]
    empty = [] if splits or refused else sorted(classes - {name for _, name in pairs})
    if empty:
        listed = ", ".join(map(repr, empty))
        raise FileFormatError(f"no pictures in these class folders of {shown(folder)}: {listed}; remove them")
    if splits and not pairs and not refused:
        raise FileFormatError(f"{shown(where)} has no pictures")
    return _listing(folder, pairs, classes, refused)


def _listing(folder: Path, pairs: list[tuple[str, str]], classes: set[str], refused: list[str]) -> Listing:
    names = sorted({*classes, *(name for _, name in pairs)})
    odd = [name for name in names if not name.isprintable()]
    if odd:
        raise FileFormatError(f"class names must be printable, got {', '.join(map(ascii, odd))}")
    if not pairs and not refused:
        raise FileFormatError(f"{shown(folder)} has no pictures")
    index = {name: number for number, name in enumerate(names)}
    # By characters, not by the rules of a language; accents may be stored in two ways.
    pairs = sorted(pairs, key=lambda pair: (index[pair[1]], _normal(pair[0]), pair[0]))
    labels = np.array([index[name] for _, name in pairs], np.intp)
    return Listing(folder, [file for file, _ in pairs], labels, names, refused)


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def is_litter(name: str) -> bool:
    """Return whether a file or folder is hidden, or one that desktops leave behind."""
    return name.startswith(".") or name.lower() in _LITTER


def _class_folders(place: Path) -> list[str]:
    with os.scandir(place) as entries:
        return [
            entry.name for entry in entries if not is_litter(entry.name) and (place / entry.name).is_dir()
        ]


def _without_class(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        lost = [entry.name for entry in entries if os.path.splitext(entry.name)[1].lower() in SUFFIXES]
    return [
        f"{shown(folder / name)} is in no class folder"
        for name in sorted(lost)
        if not is_litter(name) and not (folder / name).is_dir()
    ]


def _files(root: Path, place: str, refused: list[str]) -> Iterator[str]:
    """Yield the paths, inside `root`, of all files below a class folder, also in folders inside it."""
    if (root / place).is_symlink():
        refused.append(f"{shown(root / place)} is a link to a folder: copy the folder itself")
        return
    try:
        with os.scandir(root / place) as entries:
            inside = [entry for entry in entries if not is_litter(entry.name)]
    except OSError as error:  # it must not be read
        refused.append(f"{shown(root / place)}: {error.strerror}")
        return
    for entry in inside:
        path = f"{place}/{entry.name}"
        if entry.is_file(follow_symlinks=False):  # asks for nothing, of thousands
            yield path
        elif (root / path).is_dir():
            yield from _files(root, path, refused)
        elif problem := _problem(root, root / path):
            refused.append(f"{shown(root / path)} {problem}")
        else:
            yield path


def _counted_aloud(files: Iterator[tuple[str, str]], folder: Path) -> Iterator[tuple[str, str]]:
    """Count files on the terminal, if they are so many that it takes time: perhaps it is the wrong folder."""
    from tqdm import tqdm  # here, since most folders need none

    hidden = None if sys.stderr is not None else True
    name = f"looking through {shown(folder)}"
    return iter(tqdm(files, name, unit=" files", disable=hidden, delay=1, leave=False, dynamic_ncols=True))


def _problem(root: Path, path: Path) -> str | None:
    """Return why a path is no file of this folder; None if it is one."""
    if not path.exists():  # or leads back to itself
        return "is a broken link"
    if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
        return "is a link to a file outside the folder: copy the file itself"
    return None if path.is_file() else "is a pipe or a device, not a picture"


def _table(folder: Path, path: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """Return the file names and classes in a CSV table."""
    table = check_file(path, "a table")
    if table.stat().st_size > _MAX_TABLE:
        raise FileFormatError(f"{shown(table)} is too large for a table of names")
    pairs: dict[str, str] = {}
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file, strict=True)
            for row in rows:
                if not row or (rows.line_num == 1 and not {".", "/"} & {*row[0]}):  # a header
                    continue
                name, label = _row(folder, row)
                if name in pairs:
                    raise ValueError(f"{name!a} is listed twice")
                pairs[name] = label
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{shown(table)} is not text in UTF-8: save it as such") from error
    except (ValueError, csv.Error) as error:
        line = f", line {rows.line_num}" if "rows" in locals() else ""
        raise FileFormatError(f"{shown(table)}{line}: {error}") from error
    if not pairs:
        raise FileFormatError(f"{shown(table)} names no pictures: its lines must be FILE,CLASS")
    return list(pairs.items())


def _row(folder: Path, row: list[str]) -> tuple[str, str]:
    if len(row) < 2 or not row[0].strip() or not row[1].strip():
        other = [mark for mark in ";\t|" if len(row) == 1 and mark in row[0]]
        hint = f"; it must be divided by a comma, not by {other[0]!r}" if other else ""
        raise ValueError(f"a line must be FILE,CLASS, got {','.join(row)!a:.100}{hint}")
    name, label = row[0].strip(), _normal(row[1].strip())
    written_elsewhere = "\\" in name and not os.path.lexists(folder / name)  # a name may have a backslash
    place = PurePosixPath(name.replace("\\", "/") if os.sep == "\\" or written_elsewhere else name)
    if place.is_absolute() or ".." in place.parts or "\0" in name:
        raise ValueError(f"{name!a:.100} is outside the picture folder")
    if not os.path.lexists(folder / place):
        raise ValueError(f"no such file in {shown(folder)}: {name!a:.100}")
    if problem := _problem(folder, folder / place):
        raise ValueError(f"{name!a:.100} {problem}")
    if not (folder / place).resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{name!a:.100} leads out of the picture folder by a link")
    return place.as_posix(), label
