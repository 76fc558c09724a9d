"""Picture files of unknown origin, opened with Pillow.

Files may be broken or malicious: only a few formats are accepted, sizes are limited before anything is
decoded, and all problems raise one error, which says what the file is and what to do.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from minicnn.errors import FileFormatError
from minicnn.validation import check_file

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

# No others: for some formats, Pillow starts programs, or allocates memory while it opens a file.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "PPM", "WEBP", "TIFF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".pbm", ".pgm", ".ppm", ".webp", ".tif", ".tiff")
MAX_PIXELS = 50_000_000
_MAX_BYTES = 8 * MAX_PIXELS
# For each accepted decoder of Pillow, the largest number of values per byte of a file: single bits (deflate),
# blocks of 64 in three colours by one bit, strings of 4096 by 12. (Run-length encoded BMPs are not accepted:
# their decoder allocates whatever the runs declare.) Without a number: the pixels alone are limited, since a
# uniform picture may need a few bytes only.
_VALUES = {"zip": 8 * 1032, "jpeg": 8 * 64 * 3, "gif": 8 * 4096 // 12, "raw": 8, "ppm": 1, "ppm_plain": 1}
_UNBOUNDED = {"libtiff", "webp"}
_TIFF_TILE, _TIFF_STRIP = (322, 323), 278  # tags: width and length of a tile, rows of a strip
_PNG = b"\x89PNG\r\n\x1a\n"
_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND")
# Texts that may hold the orientation; Pillow expands a text to a megabyte at most.
_ORIENTATION_TEXTS = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
# First bytes of what people take for pictures, with the name of the format; "...." are any four bytes.
_OTHERS = {
    b"....ftypavif": "an AVIF picture",
    b"....ftyphei": "a HEIC picture, as phones write them",
    b"....ftypmif1": "a HEIF picture",
    b"....ftyp": "a video",
    b"....jP  ": "a JPEG 2000 picture",
    b"\xff\x0a": "a JPEG XL picture",
    b"....JXL ": "a JPEG XL picture",
    b"8BPS": "a file of Photoshop",
    b"\0\0\1\0": "an icon",
    b"%PDF": "a PDF document",
    b"%!PS": "a PostScript document",
    b"<svg": "an SVG drawing",
    b"<?xml": "an XML file, perhaps an SVG drawing",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
    b"PK\3\4": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"version https://git-lfs": "a pointer of Git LFS: fetch the file itself by `git lfs pull`",
}


@contextlib.contextmanager
def opened_picture(path: str | os.PathLike[str]) -> Iterator[Image]:
    """Open a picture file, to be decoded inside the block; several threads may do so at once.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is not a valid picture of these formats, or too large; also for errors in the block.
    """
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise ImportError('reading image files needs Pillow: pip install "minicnn-numpy[images]"') from error
    path = check_file(path, "an image")
    try:
        with _open(path) as image:
            yield image
    except OSError as error:
        if error.errno is not None:  # of the file system, with a message of its own
            raise
        raise _refusal(path, _reason(error)) from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises almost anything for broken files
        raise _refusal(path, _reason(error)) from error


def quiet() -> warnings.catch_warnings:
    """Return a block without Pillow's warnings about irregular files; it is not for several threads."""
    return warnings.catch_warnings(action="ignore")


def shown(path: str | os.PathLike[str]) -> str:
    r"""Return a path for a message: what a terminal might take for a command is escaped.

    >>> shown("cats/a.png"), shown("a\x1b[2J.png")
    ('cats/a.png', 'a\\x1b[2J.png')
    """
    text = os.fspath(path)
    return text if text.isprintable() else repr(text)[1:-1]


def _refusal(path: Path, reason: str) -> FileFormatError:
    return FileFormatError(f"{shown(path)} is not a valid image ({', '.join(FORMATS)}): {reason}")


def _reason(error: Exception) -> str:
    """Return what is wrong with a file; most of Pillow's errors are about its own insides."""
    text = str(error)
    if isinstance(error, FileFormatError):
        return text
    if isinstance(error, EOFError) or "runcat" in text:  # "truncated", in either case of the letter
        return "it ends too early"
    if "exceeds limit" in text:
        return text
    inside = not text or " at 0x" in text or text.startswith("decoder error")
    if inside or not isinstance(error, OSError | ValueError | SyntaxError):
        return "its content is damaged"
    return f"its content is damaged ({text})"


def _open(path: Path) -> ImageFile:
    """Return the picture, whose size has been checked; nothing is decoded yet.

    A third of the function names the plugins of Pillow that may be used.
    """
    # Pillow would import the plugins when a file needs them: no file may decide that.
    from PIL import (  # noqa: F401
        BmpImagePlugin,
        GifImagePlugin,
        Image,
        JpegImagePlugin,
        MpoImagePlugin,
        PngImagePlugin,
        PpmImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    if path.stat().st_size > _MAX_BYTES:
        raise FileFormatError(f"it has {path.stat().st_size} bytes, more than the limit of {_MAX_BYTES}")
    data = path.read_bytes()
    if not data:
        raise FileFormatError("it is empty")
    if data.startswith(_PNG):
        data = _essential(data)
    if data.startswith(b"BM"):
        _check_colour_table(data)
    if data.startswith(b"RIFF"):
        _check_size(*_webp_size(data))
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.UnidentifiedImageError:
        raise FileFormatError(_what_else(data)) from None
    try:
        _check_declared(image, len(data))
    except BaseException:
        image.close()
        raise
    return image


def _check_declared(image: ImageFile, size: int) -> None:
    """Raise unless a file of `size` bytes can contain the picture that it declares."""
    decoder = image.tile[0][0] if image.tile else "webp" if image.format == "WEBP" else "none"
    if decoder == "bmp_rle":
        raise FileFormatError("it is a run-length encoded BMP; convert it to PNG or JPEG")
    if decoder not in _VALUES and decoder not in _UNBOUNDED:
        raise FileFormatError(f"unsupported variant of its format (decoder {decoder!r})")
    _check_size(*image.size)
    if decoder == "libtiff":  # which allocates a whole tile or strip
        tags = image.tag_v2  # type: ignore[attr-defined]
        width, length = (tags.get(tag, 1) for tag in _TIFF_TILE)
        _check_size(width, length)
        _check_size(image.width, min(tags.get(_TIFF_STRIP, 1), image.height))
    elif decoder in _VALUES and image.width * image.height * len(image.getbands()) > _VALUES[decoder] * size:
        raise FileFormatError(f"it declares {image.width} x {image.height} pixels, more than it can contain")


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise FileFormatError(
            f"it has {width} x {height} pixels, more than the limit of {MAX_PIXELS}: scale it down first"
        )


def _check_colour_table(bmp: bytes) -> None:
    """Raise if a BMP declares more colours than it has: Pillow allocates memory before it reads them."""
    header = int.from_bytes(bmp[14:18], "little")  # its size; that of OS/2, of 12 bytes, declares no number
    colours = int.from_bytes(bmp[46:50], "little") if header > 12 else 0
    if 4 * colours > len(bmp):
        raise FileFormatError(f"it declares a table of {colours} colours, more than it can contain")


def _essential(png: bytes) -> bytes:
    """Return a PNG with only the chunks of the first image; check the checksums, which Pillow does not.

    Texts and colour profiles may be compressed a thousandfold.
    """
    kept, place, kind = bytearray(_PNG), len(_PNG), b""
    while kind != b"IEND":
        if place + 8 > len(png):
            raise EOFError
        length, kind = struct.unpack_from(">I4s", png, place)
        end = place + 8 + length
        if end + 4 > len(png):
            raise EOFError
        if struct.unpack_from(">I", png, end)[0] != zlib.crc32(memoryview(png)[place + 4 : end]):
            raise FileFormatError(f"wrong checksum of its chunk at byte {place}")
        if kind in _CHUNKS or png[place + 8 : end].startswith(_ORIENTATION_TEXTS):
            kept += memoryview(png)[place : end + 4]
        place = end + 4
    return bytes(kept)


def _webp_size(data: bytes) -> tuple[int, int]:
    """Return width and height of a WebP, for which Pillow allocates memory when it opens the file."""
    kind, place = data[12:16], 20  # of the first chunk, after its length
    if len(data) < place + 10:
        raise EOFError
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _what_else(data: bytes) -> str:
    """Say what a file is that Pillow cannot identify."""
    for start, name in _OTHERS.items():
        offset = 4 if start.startswith(b"....") else 0
        if data[offset:].lower().startswith(start[offset:].lower()):
            return f"it is {name}" + ("" if ":" in name else "; convert it to PNG or JPEG")
    known = data.startswith((_PNG, b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*"))
    return "its header is damaged or ends too early" if known else "it is of none of these formats"
