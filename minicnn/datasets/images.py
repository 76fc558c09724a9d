"""Pictures of digits from files: the only place of the data sets that needs Pillow.

Files may be broken or made to harm: few formats, a limit on the size before anything is decoded, one error.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np

from minicnn.datasets.digits import WORK_SIZE, digit_from_pixels
from minicnn.errors import FileFormatError

# A closed list: for some other formats, Pillow starts programs.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "PPM", "WEBP")
_MAX_PIXELS = 50_000_000
_MAX_RATIO = 8 * 1032  # values in one byte of a file: single bits, compressed by deflate as far as it can


def load_digit_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a picture of one handwritten digit from a file, and make it what `digit_from_pixels` describes.

    Parameters
    ----------
    path : path
        A PNG, JPEG, GIF, BMP, PPM or WebP file of at most 50 megapixels. It is turned as the camera noted;
        what is transparent becomes white.

    Returns
    -------
    ndarray, uint8 (28, 28, 1)
        White (255) on black (0).

    Raises
    ------
    ImportError
        If Pillow is not installed.
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is no such picture, or broken, or too large.
    ValueError
        If the picture shows nothing.
    """
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise ImportError('reading pictures needs Pillow: pip install "minicnn[plot]"') from error
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there must be a picture at {path}, but nothing is there")
    if not path.is_file():
        raise FileFormatError(f"{path} must be a file, but it is a folder or a device")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about oddities in files
            pixels = _read(path)
    except Exception as error:  # Pillow raises almost anything for broken files
        raise FileFormatError(f"{path} must be a whole picture ({', '.join(_FORMATS)}): {error}") from error
    try:
        return digit_from_pixels(pixels)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read(path: Path) -> np.ndarray:
    """Return the picture's grey values, uint8 or uint16 (H, W)."""
    from PIL import Image, ImageOps

    with Image.open(path, formats=_FORMATS) as image:
        count = image.width * image.height
        if count > _MAX_PIXELS:
            raise FileFormatError(
                f"it must have at most {_MAX_PIXELS} pixels, got {image.width} x {image.height}"
            )
        if count * len(image.getbands()) > _MAX_RATIO * path.stat().st_size:
            raise FileFormatError(f"it promises {image.width} x {image.height} pixels, more than it can hold")
        image.verify()  # the checksums of a PNG, which decoding ignores; the file must be opened anew
    with Image.open(path, formats=_FORMATS) as image:
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode.startswith("I"):  # 16 bits, held in 16 or 32
            return np.asarray(image).clip(0, 65535).astype(np.uint16)
        if image.has_transparency_data:
            coloured = image.convert("RGBA")
            grey = Image.new("L", image.size, 255)  # white paper
            grey.paste(coloured.convert("L"), mask=coloured.getchannel("A"))
        else:
            grey = image.convert("L")
        return np.asarray(grey.reduce(max(1, max(grey.size) // WORK_SIZE)))
