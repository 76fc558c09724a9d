"""Pictures of digits from files: the only place of the data sets that needs Pillow.

Files may be broken or made to harm: few formats, a limit on the size before anything is decoded, one error.
"""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np

from minicnn.datasets.digits import WORK_SIZE, digit_from_pixels
from minicnn.errors import FileFormatError
from minicnn.validation import check_file

# A closed list: for some other formats, Pillow starts programs, or takes memory while it opens a file.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "PPM")
_MAX_PIXELS = 50_000_000
_MAX_BYTES = 8 * _MAX_PIXELS
# For each of Pillow's decoders that is used, the values in one byte of a file compressed as far as it can be:
# single bits by deflate, blocks of 64 in three colours by one bit, strings of 4096 by 12. (Not that of runs
# in a BMP, which takes memory for whatever they promise.)
_VALUES = {"zip": 8 * 1032, "jpeg": 8 * 64 * 3, "gif": 8 * 4096 // 12, "raw": 8, "ppm": 1, "ppm_plain": 1}
_PNG = b"\x89PNG\r\n\x1a\n"
_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND")


def load_digit_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a picture of one handwritten digit from a file, and make it what `digit_from_pixels` describes.

    Parameters
    ----------
    path : path
        A PNG, JPEG, GIF, BMP (not run-length encoded) or PPM file of at most 50 megapixels. It is turned as
        the camera noted; what is transparent becomes white; of several pictures in it the first is taken.

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
        raise ImportError('reading pictures needs Pillow: pip install "minicnn-numpy[plot]"') from error
    path = check_file(path, "a picture")
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
    # Pillow would import the last two of these when a picture asks for them: no file is to decide that.
    from PIL import Image, ImageOps, MpoImagePlugin, TiffImagePlugin  # noqa: F401

    if path.stat().st_size > _MAX_BYTES:
        raise FileFormatError(f"it must have at most {_MAX_BYTES} bytes, got {path.stat().st_size}")
    data = path.read_bytes()
    if data.startswith(_PNG):
        data = _essential(data)
    # For each colour that a BMP promises, Pillow takes memory before it looks whether it is there.
    if data.startswith(b"BM") and len(data) >= 50 and struct.unpack_from("<I", data, 46)[0] > 256:
        raise FileFormatError("it must have at most 256 colours in its table")
    with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        promised, count = f"{image.width} x {image.height} pixels", image.width * image.height
        decoder = image.tile[0][0] if image.tile else "nothing"
        if decoder not in _VALUES:
            raise FileFormatError(
                f"it must be in the usual form of its format, not for a decoder {decoder!r}"
            )
        if count > _MAX_PIXELS:
            raise FileFormatError(f"it must have at most {_MAX_PIXELS} pixels, got {promised}")
        if count * len(image.getbands()) > _VALUES[decoder] * len(data):
            raise FileFormatError(f"it promises {promised}, more than it can hold")
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


def _essential(png: bytes) -> bytes:
    """Return a PNG with nothing in it but the first picture; compare the checksums, which Pillow does not.

    Texts and colour profiles may be compressed, a thousandfold.
    """
    kept, place, kind = bytearray(_PNG), len(_PNG), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", png, place)
        end = place + 8 + length
        if struct.unpack_from(">I", png, end)[0] != zlib.crc32(memoryview(png)[place + 4 : end]):
            raise FileFormatError(f"the checksum of its part at byte {place} must be right")
        if kind in _CHUNKS:
            kept += memoryview(png)[place : end + 4]
        place = end + 4
    return bytes(kept)
