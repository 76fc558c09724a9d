"""Folders of pictures as arrays."""

import os
import sys
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from minicnn.cores import available_threads
from minicnn.datasets.class_folders import Listing, list_images
from minicnn.datasets.image_reader import ImageReader, check_colour, check_size, is_colour
from minicnn.datasets.picture_files import quiet, shown
from minicnn.errors import FileFormatError
from minicnn.plural import counted

_MOST_SHOWN = 10  # sentences in one error
ROWS = 1024  # read at a time
_FLAT = 8  # of 255: a whole data set of so few levels shows nothing
_DARK = 32  # of 255: if no value of a whole data set reaches this, its range is hardly meant


class PictureReader(Protocol):
    """Reads a picture file as an array of a fixed size: an `ImageReader`, or one that does so for digits."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the arrays."""

    @property
    def channels(self) -> int:
        """Their channels."""

    def __call__(self, path: str | os.PathLike[str]) -> np.ndarray:
        """Return the picture, uint8 (H, W, C); raise FileFormatError or OSError if it cannot be read."""


def load_image_folder(
    path: str | os.PathLike[str],
    size: int | tuple[int, int] = (32, 32),
    channels: int | None = None,
    *,
    split: str | None = None,
    resize: str = "crop",
    background: str | int | tuple[int, int, int] = "white",
    value_range: tuple[float, float] | None = None,
    labels: str | os.PathLike[str] | None = None,
    skip_unreadable: bool = False,
    progress: bool = True,
) -> tuple[tuple[np.ndarray, np.ndarray], list[str]]:
    """Load pictures from a folder that has a folder for each class, as arrays of one size.

    Parameters
    ----------
    path : path
        The folder. It may be divided into ``train``, ``val`` (or ``valid``, ``validation``) and ``test``,
        each with class folders. Pictures may lie in folders inside a class folder. PNG, JPEG, GIF, BMP (not
        run-length encoded), PPM, WebP and TIFF files of at most 50 megapixels are read, recognised by their
        bytes; of several frames or pages the first. Hidden files and those of desktops (``Thumbs.db``) are
        passed over.
    size : int or (int, int)
        Height and width of the arrays; an int stands for both.
    channels : {1, 3, None}
        1 makes grey pictures, 3 colours. None: 1 if all files hold grey pictures, else 3.
    split : {"train", "val", "test"}, optional
        Which part to load of a folder that is divided; by default "train".
    resize : {"crop", "pad"}
        How a picture of other proportions gets this size: the centre is cut out, or the sides are filled with
        the background.
    background : str, int or (int, int, int)
        Colour behind transparent pixels and of padding: a name, a grey value, or red, green and blue.
    value_range : (float, float), optional
        Values that become black and white, of grey pictures: for microscopes and the like, which use a part
        of the range of their files. By default 0 and 65535 for 16 bits, 0 and 1 for floats.
    labels : path, optional
        A CSV table of file names inside `path` and classes, ``FILE,CLASS`` in each line, with or without a
        header; then folders do not matter.
    skip_unreadable : bool
        Leave out what cannot be read, with a warning, instead of raising an error.
    progress : bool
        Show a progress bar, if stderr is a terminal.

    Returns
    -------
    (x, y), names
        Pictures, uint8 (N, H, W, C), sorted by class and file name; their classes, intp (N,); and the
        names of the classes, sorted, the same for each `split`.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    FileNotFoundError
        If there is no such folder, or no such part of it.
    FileFormatError
        If there are no class folders or no pictures, or if pictures cannot be read: all of these are named.
        Nothing outside of the folder is read, so links that leave it count as such.

    Notes
    -----
    A picture is what Pillow makes of the file: `ImageOps.exif_transpose`, transparency pasted over the
    background, `convert` to "L" or "RGB" (16 bits are scaled, where `convert` would clip), then reduced or
    enlarged as by `ImageOps.fit` or `ImageOps.pad`, bilinear with antialiasing. One file takes about 16 bytes
    for each of its pixels while it is read, and there are as many at a time as cores.

    Examples
    --------
    >>> from PIL import Image
    >>> folder = getfixture("tmp_path")
    >>> for name, colour in (("night", "black"), ("day", "white")):
    ...     (folder / name).mkdir()
    ...     Image.new("L", (50, 40), colour).save(folder / name / "1.png")
    >>> (x, y), names = load_image_folder(folder, size=8)
    >>> x.shape, x[:, 0, 0, 0], y, names
    ((2, 8, 8, 1), array([255,   0], dtype=uint8), array([0, 1]), ['day', 'night'])
    """
    listing = list_images(path, split, labels)
    if channels is None:
        channels = find_channels(listing, background)
    reader = ImageReader(check_size(size), channels, resize, check_colour(background), value_range)
    return load_listing(listing, reader, skip_unreadable, progress), listing.names


def load_listing(
    listing: Listing, reader: PictureReader, skip_unreadable: bool, progress: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures of a listing and their classes, see `load_image_folder`."""
    x = np.empty((len(listing.files), *reader.size, reader.channels), np.uint8)
    filled = 0

    def append(rows: np.ndarray) -> None:
        nonlocal filled
        x[filled : filled + len(rows)] = rows
        filled += len(rows)

    sentences = read_pictures(listing, reader, append, progress)
    kept = report_refused(listing, sentences, skip_unreadable, stacklevel=4)
    check_brightness(x)
    return (x[kept], listing.labels[kept]) if sentences else (x, listing.labels)


def find_channels(listing: Listing, background: Any) -> int:
    """Return 1 if all pictures and the background are grey, else 3, whatever cannot be read."""
    if len(set(check_colour(background))) > 1:
        return 3
    with quiet():
        for path in listing.paths:
            try:
                if is_colour(path):
                    return 3
            except (FileFormatError, OSError):
                pass  # it is named when it is read
    return 1


def read_pictures(
    listing: Listing, reader: PictureReader, append: Callable[[np.ndarray], object], progress: bool
) -> dict[int, str]:
    """Read all pictures, and call `append` with some rows at a time; return by row why some are black.

    One function, since reading, the progress bar and the blocks of rows share its variables.
    """
    from concurrent.futures import ThreadPoolExecutor  # imported here to keep `import minicnn` fast

    from tqdm import tqdm

    black = np.zeros((*reader.size, reader.channels), np.uint8)

    def read(row: int) -> tuple[np.ndarray, str | None]:
        try:
            return reader(listing.folder / listing.files[row]), None
        except OSError as error:
            return black, f"{shown(listing.folder / listing.files[row])}: {error.strerror or error}"
        except FileFormatError as error:
            return black, str(error)

    count = len(listing.files)
    sentences: dict[int, str] = {}
    # `disable=None` hides the bar where stderr is no terminal.
    hidden = None if progress and sys.stderr is not None else True
    bar = tqdm(total=count, desc="pictures", unit=" pictures", disable=hidden, delay=0.5, dynamic_ncols=True)
    with quiet(), bar, ThreadPoolExecutor(available_threads()) as pool:
        for start in range(0, count, ROWS):
            rows = range(start, min(start + ROWS, count))
            pictures = []
            for row, (picture, sentence) in zip(rows, pool.map(read, rows), strict=True):
                pictures.append(picture)
                if sentence:
                    sentences[row] = sentence
                bar.update()
            append(np.stack(pictures))
    return sentences


def report_refused(
    listing: Listing, sentences: dict[int, str], skip: bool, stacklevel: int = 3
) -> np.ndarray:
    """Return which rows were read; raise FileFormatError with the sentences about all others, or warn."""
    kept = np.ones(len(listing.files), bool)
    kept[list(sentences)] = False
    refused = [*listing.refused, *sentences.values()]
    if not refused:
        return kept
    more = len(refused) - _MOST_SHOWN
    listed = "\n".join([*refused[:_MOST_SHOWN], *([f"and {more:,} more"] if more > 0 else [])])
    if not skip:
        raise FileFormatError(
            f"{counted(len(refused), 'file')} in {shown(listing.folder)} cannot be used; remove them, or "
            f"pass `skip_unreadable=True`:\n{listed}"
        )
    if not kept.any():
        raise FileFormatError(f"no picture in {shown(listing.folder)} can be read:\n{listed}")
    warnings.warn(f"{counted(len(refused), 'file')} left out:\n{listed}", stacklevel=stacklevel)
    return kept


def check_brightness(x: np.ndarray, stacklevel: int = 4) -> None:
    """Warn if all pictures are nearly black, or of one grey: their values use a small part of the range."""
    starts = range(0, len(x), ROWS)
    top = max(int(x[start : start + ROWS].max(initial=0)) for start in starts)
    span = top - min(int(x[start : start + ROWS].min(initial=255)) for start in starts)
    dark = 0 < top < _DARK
    if dark or 0 < span < _FLAT:
        what, used = ("nearly black", top) if dark else ("nearly of one brightness", span)
        warnings.warn(
            f"all pictures are {what}: their values use {100 * used / 255:.1f} % of the range of their "
            f"files. Pass `value_range=(black, white)`, such as 0 and 4095 for 12 bits in files of 16.",
            stacklevel=stacklevel,
        )
