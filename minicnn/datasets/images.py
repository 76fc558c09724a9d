"""Image files of single digits."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from minicnn.datasets.digits import WORK_SIZE, digit_from_pixels
from minicnn.datasets.picture_files import opened_picture, quiet, shown

if TYPE_CHECKING:
    from PIL.Image import Image

_LIGHT = 240  # grey values from here on are hardly ink on white paper


def load_digit_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an image file of one handwritten digit and convert it by `digit_from_pixels`.

    Parameters
    ----------
    path : path
        A PNG, JPEG, GIF, BMP (not run-length encoded), PPM, WebP or TIFF file of at most 50 megapixels. The
        orientation in its metadata is applied; of several frames the first is read. Transparent pixels become
        white, or black if white would hide a light digit.

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
        If the file is not a valid image of these formats, or too large.
    ValueError
        If no digit is found in the image.
    """
    with quiet(), opened_picture(path) as image:
        pixels, transparent = _grey(image)
    try:
        return digit_from_pixels(pixels)
    except ValueError as error:
        hint = "; its transparent pixels became white" if transparent else ""
        raise ValueError(f"{shown(path)}: {error}{hint}") from error


def _grey(image: Image) -> tuple[np.ndarray, bool]:
    """Return the grey values of the image, uint8 or uint16 (H, W), and whether some were transparent."""
    from PIL import Image, ImageOps

    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I"):  # 16 bits, held in 16 or 32
        return np.asarray(image).clip(0, 65535).astype(np.uint16), False
    if not image.has_transparency_data:
        return _reduced(image.convert("L")), False
    coloured = image.convert("RGBA")
    ink, alpha = coloured.convert("L"), coloured.getchannel("A")
    grey = Image.new("L", image.size, 255)
    grey.paste(ink, mask=alpha)
    if np.asarray(grey).min() >= _LIGHT:  # light ink, which white paper would hide
        grey = Image.new("L", image.size, 0)
        grey.paste(ink, mask=alpha)
    return _reduced(grey), True


def _reduced(grey: Image) -> np.ndarray:
    return np.asarray(grey.reduce(max(1, max(grey.size) // WORK_SIZE)))
