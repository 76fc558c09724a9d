"""Image files of digits, read with Pillow.

Files may be broken or malicious: only a few formats are accepted, sizes are limited before anything is
decoded, and all problems raise one error.
"""

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

# No others: for some formats, Pillow starts programs, or allocates memory while it opens a file.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "PPM")
_MAX_PIXELS = 50_000_000
_MAX_BYTES = 8 * _MAX_PIXELS
# For each accepted decoder of Pillow, the largest number of values per byte of a file: single bits (deflate),
# blocks of 64 in three colours by one bit, strings of 4096 by 12. (Run-length encoded BMPs are not accepted:
# their decoder allocates whatever the runs declare.)
_VALUES = {"zip": 8 * 1032, "jpeg": 8 * 64 * 3, "gif": 8 * 4096 // 12, "raw": 8, "ppm": 1, "ppm_plain": 1}
_PNG = b"\x89PNG\r\n\x1a\n"
_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND")


def load_digit_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an image file of one handwritten digit and convert it by `digit_from_pixels`.

    Parameters
    ----------
    path : path
        A PNG, JPEG, GIF, BMP (not run-length encoded) or PPM file of at most 50 megapixels. The orientation
        in its metadata is applied; transparent pixels become white; of several frames the first is read.

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
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise ImportError('reading image files needs Pillow: pip install "minicnn-numpy[images]"') from error
    path = check_file(path, "an image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about irregular files
            pixels = _read(path)
    except Exception as error:  # Pillow raises almost anything for broken files
        raise FileFormatError(f"{path} is not a valid image ({', '.join(_FORMATS)}): {error}") from error
    try:
        return digit_from_pixels(pixels)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read(path: Path) -> np.ndarray:
    """Return the grey values of the image, uint8 or uint16 (H, W)."""
    # Pillow would import the last two when a file needs them: no file may decide that.
    from PIL import Image, ImageOps, MpoImagePlugin, TiffImagePlugin  # noqa: F401

    if path.stat().st_size > _MAX_BYTES:
        raise FileFormatError(f"it has {path.stat().st_size} bytes, more than the limit of {_MAX_BYTES}")
    data = path.read_bytes()
    if data.startswith(_PNG):
        data = _essential(data)
    # Pillow allocates memory for each colour that a BMP declares, before it reads them.
    if data.startswith(b"BM") and len(data) >= 50 and struct.unpack_from("<I", data, 46)[0] > 256:
        raise FileFormatError("its colour table has more than 256 entries")
    with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        declared, count = f"{image.width} x {image.height} pixels", image.width * image.height
        decoder = image.tile[0][0] if image.tile else "none"
        if decoder not in _VALUES:
            raise FileFormatError(f"unsupported variant of its format (decoder {decoder!r})")
        if count > _MAX_PIXELS:
            raise FileFormatError(f"it has {declared}, more than the limit of {_MAX_PIXELS}")
        if count * len(image.getbands()) > _VALUES[decoder] * len(data):
            raise FileFormatError(f"it declares {declared}, more than it can contain")
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
    """Return a PNG with only the chunks of the first image; check the checksums, which Pillow does not.

    Texts and colour profiles may be compressed a thousandfold.
    """
    kept, place, kind = bytearray(_PNG), len(_PNG), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", png, place)
        end = place + 8 + length
        if struct.unpack_from(">I", png, end)[0] != zlib.crc32(memoryview(png)[place + 4 : end]):
            raise FileFormatError(f"wrong checksum of its chunk at byte {place}")
        if kind in _CHUNKS:
            kept += memoryview(png)[place : end + 4]
        place = end + 4
    return bytes(kept)
