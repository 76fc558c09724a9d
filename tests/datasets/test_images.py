import io
import re
import struct
import sys
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from minicnn.datasets import digit_from_pixels, load_digit_image
from minicnn.errors import FileFormatError


def drawing(size=(90, 120)):
    """A seven in black on white, drawn as in a paint program; Pillow's grey image."""
    image = Image.new("L", size, 255)
    ImageDraw.Draw(image).line([(20, 20), (70, 22), (40, 95)], fill=0, width=9, joint="curve")
    return image


SEVEN = digit_from_pixels(np.asarray(drawing()))


def saved(folder, image, name, **options):
    image.save(folder / name, **options)
    return folder / name


def encoded(image, form="PNG", **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def assert_is_the_seven(found, tolerance=0):
    assert found.dtype == np.uint8
    assert found.shape == (28, 28, 1)
    assert abs(found.astype(int) - SEVEN).mean() <= tolerance


@pytest.mark.parametrize(
    ("name", "mode", "tolerance"),
    [
        ("seven.png", "1", 0),
        ("seven.png", "L", 0),
        ("seven.png", "LA", 0),
        ("seven.png", "P", 0),
        ("seven.png", "RGB", 0),
        ("seven.png", "RGBA", 0),
        ("seven.png", "I;16", 0),
        ("seven.jpg", "L", 1),
        ("seven.jpg", "RGB", 1),
        ("seven.jpg", "CMYK", 1),
        ("seven.gif", "P", 0),
        ("seven.bmp", "RGB", 0),
        ("seven.pgm", "L", 0),
        ("seven.pgm", "I;16", 0),
        ("seven.webp", "RGB", 2),
        ("seven.tif", "L", 0),
        ("seven.tif", "I;16", 0),
    ],
)
def test_load_digit_image_reads_the_usual_formats(tmp_path, name, mode, tolerance):
    if mode == "I;16":
        image = Image.fromarray(np.asarray(drawing()).astype(np.uint16) * 257)
    else:
        image = drawing().convert(mode)
    assert_is_the_seven(load_digit_image(saved(tmp_path, image, name, quality=95)), tolerance)


def test_the_bytes_tell_the_format_not_the_name(tmp_path):
    assert_is_the_seven(load_digit_image(saved(tmp_path, drawing(), "seven.jpg", format="PNG")))


def test_what_is_transparent_is_white(tmp_path):
    ink = Image.new("RGBA", drawing().size, (0, 0, 0, 0))  # black everywhere, but seen only where it is drawn
    ink.putalpha(drawing().point(lambda value: 255 - value))
    assert_is_the_seven(load_digit_image(saved(tmp_path, ink, "ink.png")))
    palette = (
        drawing().point(lambda value: value // 255).convert("P")
    )  # paper is colour 1: black, but transparent
    palette.putpalette([0, 0, 0, 0, 0, 0])
    assert_is_the_seven(load_digit_image(saved(tmp_path, palette, "palette.png", transparency=1)))
    assert_is_the_seven(load_digit_image(saved(tmp_path, palette, "palette.gif", transparency=1)))


@pytest.mark.parametrize("name", ["ink.png", "ink.webp", "ink.tif"])
@pytest.mark.parametrize("level", [0, 255, 250])
def test_ink_on_a_transparent_ground_is_found_whatever_its_brightness(tmp_path, name, level):
    ink = Image.new("RGBA", drawing().size, (level, level, level, 0))
    ink.putalpha(drawing().point(lambda value: 255 - value))
    assert_is_the_seven(
        load_digit_image(saved(tmp_path, ink, name, **({"lossless": True} if "webp" in name else {}))), 1
    )
    assert_is_the_seven(digit_from_pixels(np.asarray(ink)), 1)


def test_a_picture_without_ink_says_that_it_was_transparent(tmp_path):
    path = saved(tmp_path, Image.new("LA", (60, 60), (255, 0)), "nothing.png")
    with pytest.raises(ValueError, match=r"no digit found.*its transparent pixels became white"):
        load_digit_image(path)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_cameras_use_the_lower_bits_of_sixteen(tmp_path, bits):
    values = np.rint(np.asarray(drawing()) / 255 * (2**bits - 1)).astype(np.uint16)
    assert_is_the_seven(load_digit_image(saved(tmp_path, Image.fromarray(values), "camera.png")), 1)
    assert_is_the_seven(digit_from_pixels(values), 1)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_low_contrast_is_named_as_the_reason(dtype):
    pixels = (np.asarray(drawing()) / 255 * (0.04 if dtype == np.float32 else 10)).astype(dtype)
    with pytest.raises(ValueError, match=r"no digit found.*contrast is 0\.0[34]\d* of the range"):
        digit_from_pixels(pixels)


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, None),
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (6, Image.Transpose.ROTATE_90),
        (8, Image.Transpose.ROTATE_270),
    ],
)
@pytest.mark.parametrize("name", ["seven.jpg", "seven.png"])
def test_the_way_the_camera_was_held_is_honoured(tmp_path, name, orientation, turned):
    image = drawing() if turned is None else drawing().transpose(turned)
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert_is_the_seven(load_digit_image(saved(tmp_path, image, name, exif=exif, quality=95)), 1)


def test_a_large_photograph_is_reduced(tmp_path):
    photo = drawing().resize((90 * 40, 120 * 40), Image.Resampling.BICUBIC)
    found = load_digit_image(saved(tmp_path, photo, "photo.jpg", quality=60))
    assert_is_the_seven(found, 3)


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_jpeg_artefacts_hardly_matter(tmp_path, quality):
    assert_is_the_seven(load_digit_image(saved(tmp_path, drawing(), "seven.jpg", quality=quality)), 2)


def test_a_blank_picture_has_no_ink(tmp_path):
    path = saved(tmp_path, Image.new("RGB", (300, 200), "ivory"), "blank.png")
    with pytest.raises(ValueError, match=r"blank\.png: no digit found"):
        load_digit_image(path)


def png_chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def lying_png(width, height, content=b"", bits=8, colour=0):
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(content)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


SOUND = encoded(drawing())
BROKEN = {
    "empty": (b"", "it is empty"),
    "text": (b"seven", "it is of none of these formats"),
    "PostScript": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "it is a PostScript document; convert it to PNG or JPEG",
    ),
    "HEIC": (
        b"\0\0\0\x24ftypheic\0\0\0\0",
        "it is a HEIC picture, as phones write them; convert it to PNG or JPEG",
    ),
    "an icon": (encoded(drawing(), "ICO"), "it is an icon"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
    "cut off": (SOUND[: len(SOUND) // 2], "it ends too early"),
    "end cut off": (SOUND[:-12], "it ends too early"),
    "WebP cut off": (encoded(drawing(), "WEBP")[:25], "it ends too early"),
    "TIFF cut off": (encoded(drawing(), "TIFF")[:100], "more than it can contain"),
    "GIF cut off": (encoded(drawing(), "GIF")[:10], "its header is damaged or ends too early"),
    "wrong checksum": (SOUND[:60] + bytes([SOUND[60] ^ 1]) + SOUND[61:], ""),
    "JPEG cut off": (encoded(drawing(), "JPEG")[:600], "it ends too early"),
    "50 megapixels and one row": (
        encoded(Image.new("1", (10_000, 5_001))),
        "10000 x 5001 pixels, more than the limit of 50000000",
    ),
    "more than Pillow takes": (lying_png(20_000, 20_000), "exceeds limit"),
    "promises too much": (
        lying_png(5_000, 5_000, colour=6),
        "declares 5000 x 5000 pixels, more than it can contain",
    ),
    "holds less": (lying_png(100, 100, bytes(100)), ""),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_load_digit_image_refuses_a_broken_file(tmp_path, kind):
    content, message = BROKEN[kind]
    path = tmp_path / "picture"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"picture is not a valid image \(PNG, JPEG, ") as caught:
        load_digit_image(path)
    assert message in str(caught.value)
    assert not re.search("BytesIO|unpack|0x|object", str(caught.value))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("images")


@settings(max_examples=5 * settings.default.max_examples)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(SOUND) - 1), st.binary(max_size=6), st.integers(0, 6)), max_size=3
    )
)
@example(changes=[])
def test_a_mutated_png_gives_the_same_digit_or_is_refused(folder, changes):
    content = bytearray(SOUND)
    for start, new, count in changes:
        content[start : start + count] = new
    path = folder / "mutated.png"
    path.write_bytes(content)
    try:
        found = load_digit_image(path)
    except FileFormatError:
        return
    assert_is_the_seven(found)


@settings(max_examples=5 * settings.default.max_examples)
@given(
    form=st.sampled_from(["JPEG", "GIF", "BMP", "PPM"]),
    changes=st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=6), st.integers(0, 6)), max_size=3),
)
def test_a_mutated_picture_without_checksum_gives_some_digit_or_one_of_two_errors(folder, form, changes):
    content = bytearray(encoded(drawing(), form))
    for start, new, count in changes:
        content[start : start + count] = new
    path = folder / "mutated"
    path.write_bytes(content)
    try:
        assert load_digit_image(path).max() == 255
    except FileFormatError:
        pass
    except ValueError as error:
        if "no digit found" not in str(error):
            raise


def test_load_digit_image_says_that_there_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such file: \S+nowhere"):
        load_digit_image(tmp_path / "nowhere")
    with pytest.raises(FileFormatError, match="is a folder or a device, not an image"):
        load_digit_image(tmp_path)


def test_load_digit_image_says_how_to_get_pillow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r'needs Pillow: pip install "minicnn-numpy\[images\]"'):
        load_digit_image(tmp_path)


def test_load_digit_image_leaves_the_filters_of_warnings_alone(tmp_path):
    before = list(warnings.filters)
    load_digit_image(saved(tmp_path, drawing(), "seven.png"))
    assert warnings.filters == before
