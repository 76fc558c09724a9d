import contextlib
import json
import os
import struct
import unicodedata
import warnings
import zlib

import numpy as np
import pytest
from datasets.letters import write_letters
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin

from minicnn import FileFormatError
from minicnn.datasets import ImageReader, load_image_folder

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)


def write(folder, name, image, **options):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def classes(folder, **files):
    """Write a picture of one grey value for each `class_file=value`."""
    for name, value in files.items():
        write(folder, f"{name.replace('_', '/', 1)}.png", Image.new("L", (4, 4), value))
    return folder


def by_pillow(path, mode, background=(255, 255, 255)):
    """What the issue of pictures is: Pillow's upright picture, over a colour, converted."""
    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file)
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, (*background, 255))
        return np.asarray(Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB").convert(mode))
    return np.asarray(image.convert(mode))


def palette(mode="P"):
    return Image.fromarray(PIXELS).quantize(16).convert(mode)


def with_alpha(mode):
    image = Image.fromarray(PIXELS).convert(mode)
    image.putalpha(Image.fromarray(RNG.integers(0, 256, (6, 9), dtype=np.uint8)))
    return image


def exif(orientation):
    noted = Image.Exif()
    noted[0x0112] = orientation
    return {"exif": noted}


COLOUR = Image.fromarray(PIXELS)
XMP = PngImagePlugin.PngInfo()
XMP.add_itxt("XML:com.adobe.xmp", '<x xmlns:tiff="" tiff:Orientation="6"/>')
FILES = {
    "bits.png": (COLOUR.convert("1"), {}),
    "grey.png": (COLOUR.convert("L"), {}),
    "grey-alpha.png": (with_alpha("L"), {}),
    "palette.png": (palette(), {}),
    "palette-transparent.png": (palette(), {"transparency": 3}),
    "palette-alpha.png": (palette(), {"transparency": bytes(range(0, 256, 16))}),
    "colour.png": (COLOUR, {}),
    "colour-key.png": (COLOUR, {"transparency": tuple(map(int, PIXELS[0, 0]))}),
    "colour-alpha.png": (with_alpha("RGB"), {}),
    "turned.png": (COLOUR, exif(6)),
    "turned-by-xmp.png": (COLOUR, {"pnginfo": XMP}),
    "turned.jpg": (COLOUR, exif(8)),
    "mirrored.tif": (COLOUR, exif(5)),
    "grey.jpg": (COLOUR.convert("L"), {}),
    "print.jpg": (COLOUR.convert("CMYK"), {}),
    "progressive.jpg": (COLOUR, {"progressive": True}),
    "palette.gif": (palette(), {}),
    "transparent.gif": (palette(), {"transparency": 2}),
    "moving.gif": (palette(), {"save_all": True, "append_images": [COLOUR.rotate(180).convert("P")]}),
    "palette.bmp": (palette(), {}),
    "colour.bmp": (COLOUR, {}),
    "colour.ppm": (COLOUR, {}),
    "lossy.webp": (COLOUR, {}),
    "alpha.webp": (with_alpha("RGB"), {"lossless": True}),
    "moving.webp": (COLOUR, {"save_all": True, "append_images": [COLOUR.rotate(180)]}),
    "raw.tif": (COLOUR, {}),
    "alpha.tif": (with_alpha("RGB"), {"compression": "tiff_lzw"}),
    "fax.tif": (COLOUR.convert("1"), {"compression": "group4"}),
    "deflated.tif": (palette(), {"compression": "tiff_adobe_deflate"}),
    "lossy.tif": (COLOUR.convert("YCbCr"), {"compression": "jpeg"}),
    "pages.tif": (COLOUR, {"save_all": True, "append_images": [COLOUR.rotate(180)]}),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_what_pillow_makes_of_it(tmp_path, name, channels):
    image, options = FILES[name]
    path = write(tmp_path, name, image, **options)
    mode, background = ("L", (90, 90, 90)) if channels == 1 else ("RGB", (20, 90, 250))
    expected = by_pillow(path, mode, background).reshape(*by_pillow(path, mode).shape[:2], channels)
    found = ImageReader(expected.shape[:2], channels, background=background)(path)
    assert found.dtype == np.uint8
    # Over a colour, two formulas round differently.
    assert abs(found.astype(int) - expected).max() <= 2 * ("alpha" in name or "transparent" in name)


def bmp(colours, header=40):
    """Return a BMP of 2x2 pixels in 24 bits with a table, which it needs not, or one of OS/2 with 8 bits."""
    if header == 12:
        table = b"".join(bytes([255 - i, i, i // 2]) for i in range(256))
        info = struct.pack("<IHHHH", 12, 2, 2, 1, 8)
        rows = bytes([0, 200, 0, 0, 100, 255, 0, 0])
    else:
        table = bytes(4 * min(colours, 300))
        info = struct.pack("<IiiHHIIiiII", 40, 2, 2, 1, 24, 0, 0, 0, 0, colours, 0)
        rows = bytes([9, 8, 7, 6, 5, 4, 0, 0, 30, 20, 10, 3, 2, 1, 0, 0])
    start = 14 + len(info) + len(table)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + info + table + rows


@pytest.mark.parametrize("data", [bmp(0), bmp(300), bmp(0, header=12)], ids=["none", "large", "OS/2"])
def test_a_bmp_with_any_table_of_colours_is_read(tmp_path, data):
    (tmp_path / "a.bmp").write_bytes(data)
    found = ImageReader((2, 2), 3)(tmp_path / "a.bmp")
    assert np.array_equal(found, by_pillow(tmp_path / "a.bmp", "RGB"))
    assert len(np.unique(found)) > 4


def test_a_bmp_that_declares_more_colours_than_it_has_is_refused(tmp_path):
    (tmp_path / "a.bmp").write_bytes(bmp(1 << 29))
    with pytest.raises(
        FileFormatError, match="declares a table of 536870912 colours, more than it can contain"
    ):
        ImageReader((2, 2), 3)(tmp_path / "a.bmp")


@pytest.mark.parametrize("name", ["deep.png", "deep.tif", "deep.pgm"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, name):
    values = np.array([[0, 128, 129, 255, 256], [32768, 40000, 65278, 65407, 65535]], np.uint16)
    path = write(tmp_path, name, Image.fromarray(values))
    expected = [[0, 0, 1, 1, 1], [128, 156, 254, 255, 255]]  # a 257th, rounded
    assert ImageReader((2, 5), 1)(path)[..., 0].tolist() == expected
    assert ImageReader((2, 5), 3)(path)[..., 2].tolist() == expected


def test_values_of_microscopes_are_scaled_by_the_range_that_is_asked_for(tmp_path):
    values = np.array([[0, 100, 1123, 4000, 60000]], np.uint16)
    path = write(tmp_path, "cells.tif", Image.fromarray(values))
    reader = ImageReader((1, 5), 1, value_range=(100, 4195))
    assert reader(path).ravel().tolist() == [0, 0, 64, 243, 255]
    path = write(tmp_path, "floats.tif", Image.fromarray(np.array([[-3.0, 0.5, 11.0]], np.float32)))
    assert ImageReader((1, 3), 1, value_range=(-3, 11))(path).ravel().tolist() == [0, 64, 255]
    with pytest.raises(
        FileFormatError, match=r"floats\.tif .* floats from -3 to 11, .*`value_range=\(black, white\)`"
    ):
        ImageReader((1, 3), 1)(path)
    path = write(tmp_path, "unit.tif", Image.fromarray(np.array([[0, 0.5, 1]], np.float32)))
    assert ImageReader((1, 3), 1)(path).ravel().tolist() == [0, 128, 255]
    path = write(tmp_path, "nan.tif", Image.fromarray(np.array([[0, np.nan, 1]], np.float32)))
    with pytest.raises(FileFormatError, match="floats from 0 to 1, "):
        ImageReader((1, 3), 1)(path)
    path = write(tmp_path, "whole.tif", Image.fromarray(np.array([[0, 70000]], np.int32)))
    with pytest.raises(FileFormatError, match="whole numbers from 0 to 70000, "):
        ImageReader((1, 2), 1)(path)


@pytest.mark.parametrize(("dtype", "top"), [(np.uint16, 4095), (np.float32, 0.06), (np.uint8, 9)])
def test_a_set_that_uses_a_small_part_of_its_range_is_found_out(tmp_path, dtype, top):
    for name in "ab":
        write(tmp_path, f"{name}/1.tif", Image.fromarray(np.full((3, 3), top, dtype)))
    with pytest.warns(UserWarning, match=r"nearly black: .* Pass `value_range=\(black, white\)`"):
        (x, _), _ = load_image_folder(tmp_path)
    with warnings.catch_warnings(action="error"):
        (x, _), _ = load_image_folder(tmp_path, value_range=(0, top))
    assert x.min() == 255


def test_a_set_that_uses_a_small_part_in_the_middle_of_its_range_is_found_out(tmp_path):
    for name, values in {"a": [30_000, 30_200], "b": [30_100, 30_900]}.items():
        write(tmp_path, f"{name}/1.png", Image.fromarray(np.array([values], np.uint16)))
    with pytest.warns(UserWarning, match=r"nearly of one brightness: their values use 1\.\d % of the range"):
        load_image_folder(tmp_path)
    with warnings.catch_warnings(action="error"):
        load_image_folder(tmp_path, value_range=(30_000, 31_000))


@settings(max_examples=30)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 20), st.integers(1, 20))
def test_sizes_are_those_of_pillow(tmp_path_factory, width, height, new_width, new_height):
    image = Image.fromarray(np.random.default_rng(width).integers(0, 256, (height, width), dtype=np.uint8))
    path = tmp_path_factory.getbasetemp() / "size.png"
    image.save(path)
    size = new_width, new_height
    cropped = ImageOps.fit(image, size, Image.Resampling.BILINEAR)
    found = ImageReader((new_height, new_width), 1)(path)[..., 0]
    assert abs(found.astype(int) - np.asarray(cropped)).max() <= 1
    padded = ImageReader((new_height, new_width), 1, "pad", (7, 7, 7))(path)[..., 0]
    with contextlib.suppress(ValueError):  # Pillow reduces narrow pictures to nothing
        inner = ImageOps.contain(image, size, Image.Resampling.BILINEAR)
        if not min(inner.size):
            raise ValueError
        top, left = (new_height - inner.height) // 2, (new_width - inner.width) // 2
        expected = np.full((new_height, new_width), 7, np.uint8)
        expected[top : top + inner.height, left : left + inner.width] = inner
        assert np.array_equal(padded, expected)


def test_letters_are_loaded_in_order(tmp_path):
    write_letters(tmp_path, "CAB", count=3)
    (x, y), names = load_image_folder(tmp_path, size=(20, 16))
    assert (x.shape, x.dtype, y.dtype, names) == ((9, 20, 16, 3), np.uint8, np.intp, ["A", "B", "C"])
    assert y.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for k, path in enumerate(sorted(tmp_path.glob("*/*.png"))):
        with Image.open(path) as image:
            expected = ImageOps.fit(image, (16, 20), Image.Resampling.BILINEAR)
        assert abs(x[k].astype(int) - np.asarray(expected)).max() <= 1


KINDS = {"L.png": 1, "1.png": 1, "LA.png": 1, "L.gif": 1, "L.jpg": 1, "P.png": 3, "RGB.webp": 3}


@pytest.mark.parametrize("kind", KINDS)
def test_channels_follow_from_what_the_files_can_hold(tmp_path, kind):
    channels, (mode, suffix) = KINDS[kind], kind.split(".")
    write_letters(tmp_path, "AB", 2, mode, suffix)
    assert load_image_folder(tmp_path, 8)[0][0].shape[3] == channels
    assert load_image_folder(tmp_path, 8, channels=1)[0][0].shape[3] == 1
    assert load_image_folder(tmp_path, 8, background="red")[0][0].shape[3] == 3
    write(tmp_path, "A/last.png", Image.new("RGB", (9, 9), "red"))
    assert load_image_folder(tmp_path, 8)[0][0].shape[3] == 3


def test_splits_have_the_same_classes(tmp_path):
    classes(tmp_path / "train", a_1=110, b_1=120, c_1=130)
    classes(tmp_path / "valid", b_1=140)
    classes(tmp_path / "test", c_1=150, d_1=160)
    (x, y), names = load_image_folder(tmp_path)
    assert (x[:, 0, 0, 0].tolist(), y.tolist(), names) == ([110, 120, 130], [0, 1, 2], ["a", "b", "c", "d"])
    (x, y), names = load_image_folder(tmp_path, split="val")
    assert (x[:, 0, 0, 0].tolist(), y.tolist(), names) == ([140], [1], ["a", "b", "c", "d"])
    (x, y), names = load_image_folder(tmp_path, split="test")
    assert (x[:, 0, 0, 0].tolist(), y.tolist(), names) == ([150, 160], [2, 3], ["a", "b", "c", "d"])
    (tmp_path / "val").mkdir()
    with pytest.raises(ValueError, match="must have either val/ or valid/, not both"):
        load_image_folder(tmp_path)


def test_a_class_may_be_called_train(tmp_path):
    classes(tmp_path, train_1=110, bus_1=120)
    assert load_image_folder(tmp_path)[1] == ["bus", "train"]
    with pytest.raises(FileNotFoundError, match="has no part 'test': it has class folders, undivided"):
        load_image_folder(tmp_path, split="test")
    with pytest.raises(ValueError, match="`split` must be one of train, val, test, got 'dev'"):
        load_image_folder(tmp_path, split="dev")


def test_pictures_in_deeper_folders_belong_to_the_class(tmp_path):
    classes(tmp_path, a_1=110, b_1=120)
    write(tmp_path, "a/2020/may/0.png", Image.new("L", (4, 4), 130))
    (x, y), _ = load_image_folder(tmp_path)
    assert (x[:, 0, 0, 0].tolist(), y.tolist()) == ([110, 130, 120], [0, 0, 1])


def test_what_desktops_leave_behind_is_passed_over(tmp_path):
    classes(tmp_path, a_1=110, b_1=120)
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "README.txt").touch()
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._1.png"):
        (tmp_path / "a" / name).write_bytes(b"x")
    (x, _), names = load_image_folder(tmp_path)
    assert (len(x), names) == (2, ["a", "b"])


def test_all_files_that_cannot_be_read_are_named(tmp_path):
    classes(tmp_path, a_1=110, b_1=120)
    (tmp_path / "a" / "notes.txt").write_text("hello")
    (tmp_path / "b" / "empty.png").touch()
    with pytest.raises(FileFormatError, match=r"2 files in \S+ cannot be used; remove them") as caught:
        load_image_folder(tmp_path)
    assert "a/notes.txt is not a valid image" in str(caught.value)
    assert "b/empty.png is not a valid image (PNG, JPEG, GIF, BMP, PPM, WEBP, TIFF): it is empty" in str(
        caught.value
    )
    with pytest.warns(UserWarning, match=r"2 files left out:\n\S+notes.txt is not .*\n\S+empty.png is not"):
        (x, y), _ = load_image_folder(tmp_path, skip_unreadable=True)
    assert (x[:, 0, 0, 0].tolist(), y.tolist()) == ([110, 120], [0, 1])
    (tmp_path / "a" / "1.png").unlink()
    (tmp_path / "b" / "1.png").unlink()
    with pytest.raises(FileFormatError, match=r"no picture in .* can be read"):
        load_image_folder(tmp_path, skip_unreadable=True)
    for k in range(30):
        (tmp_path / "a" / f"{k}.png").touch()
    with pytest.raises(FileFormatError, match=r"and 22 more$"):
        load_image_folder(tmp_path)


def refused(folder, message):
    with pytest.raises(FileFormatError, match=message):
        load_image_folder(folder)
    with pytest.warns(UserWarning, match=message):
        (x, _), _ = load_image_folder(folder, skip_unreadable=True)
    return x[:, 0, 0, 0].tolist()


def test_links_that_leave_the_folder_are_refused(tmp_path):
    folder = classes(tmp_path / "set", a_1=110, b_1=120)
    outside = write(tmp_path, "private.png", Image.new("L", (4, 4), 99))
    (folder / "a" / "2.png").symlink_to("1.png")
    assert len(load_image_folder(folder)[0][0]) == 3
    (folder / "a" / "3.png").symlink_to(outside)
    assert refused(folder, r"a/3\.png is a link to a file outside") == [110, 110, 120]
    (folder / "a" / "3.png").unlink()
    (folder / "a" / "loop").symlink_to(folder)
    assert refused(folder, "a/loop is a link to a folder") == [110, 110, 120]
    (folder / "a" / "loop").unlink()
    (folder / "a" / "4.png").symlink_to("nothing.png")
    assert refused(folder, r"a/4\.png is a broken link") == [110, 110, 120]
    (folder / "a" / "4.png").unlink()
    (folder / "a" / "5.png").symlink_to("5.png")
    assert refused(folder, r"a/5\.png is a broken link") == [110, 110, 120]
    (folder / "a" / "5.png").unlink()
    (folder / "c").symlink_to(folder / "a")
    assert refused(folder, "c is a link to a folder") == [110, 110, 120]
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "train").symlink_to(folder)
    with pytest.raises(FileFormatError, match="parts/train is a link to a folder"):
        load_image_folder(parts)


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="everybody may read everything here")
def test_what_must_not_be_read_is_named(tmp_path):
    folder = classes(tmp_path, a_1=110, a_2=115, b_1=120)
    (folder / "a" / "1.png").chmod(0)
    assert refused(folder, r"a/1\.png: Permission denied$") == [115, 120]
    (folder / "a").chmod(0)
    try:
        assert refused(folder, "/a: Permission denied$") == [120]
    finally:
        (folder / "a").chmod(0o700)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_a_pipe_is_refused_not_waited_for(tmp_path):
    classes(tmp_path, a_1=110, b_1=120)
    os.mkfifo(tmp_path / "a" / "0.png")
    assert refused(tmp_path, r"a/0\.png is a pipe or a device") == [110, 120]


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path):
    classes(tmp_path, a_1=110, b_1=120)
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 10_000, 5_001, 1, 0, 0, 0, 0))
    end = png_chunk(b"IDAT", bytes(999)) + png_chunk(b"IEND", b"")
    (tmp_path / "a" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + end)
    bits = (7_999 | 6_399 << 14).to_bytes(4, "little")
    (tmp_path / "a" / "3.webp").write_bytes(b"RIFF\x20\0\0\0WEBPVP8L\x14\0\0\0\x2f" + bits + bytes(20))
    (tmp_path / "a" / "4.tif").write_bytes(tiff({256: 64, 257: 64, 322: 100_000, 323: 100_000}))
    (tmp_path / "a" / "5.tif").write_bytes(tiff({256: 64, 257: 64, 322: 32, 323: 32}))
    message = r"2\.png .* 10000 x 5001 pixels, more than the limit of 50000000: scale it down first\n"
    message += r".*3\.webp .* 8000 x 6400 .*\n.*4\.tif .* 100000 x 100000 .*\n.*5\.tif .* is damaged$"
    assert refused(tmp_path, message) == [110, 120]


def png_chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def tiff(tags):
    """Return a TIFF of grey pixels, compressed by LZW, with these tags and no pixels."""
    tags = {258: 8, 259: 5, 262: 1, 277: 1, 324: 8, 325: 1} | tags
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


def test_names_of_classes_are_text(tmp_path):
    classes(tmp_path, **{"<b>_1": 110, "a b_1": 120, "ß_1": 130})
    assert load_image_folder(tmp_path)[1] == ["<b>", "a b", "ß"]
    classes(tmp_path, **{"\x1b[2J_1": 110})
    with pytest.raises(FileFormatError, match=r"class names must be printable, got '\\x1b\[2J'"):
        load_image_folder(tmp_path)


def test_accents_are_one_class_however_they_are_stored(tmp_path):
    composed, split = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    classes(tmp_path, **{f"{composed}_2": 110, "z_1": 120})
    if len(os.listdir(tmp_path)) == 2:
        with contextlib.suppress(FileExistsError):
            classes(tmp_path, **{f"{split}_1": 130})
    (_, y), names = load_image_folder(tmp_path)
    assert names == ["z", composed]
    assert y.tolist() == [0, 1, 1]


def test_folders_without_classes_or_pictures_are_refused(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="nowhere does not exist; it must be a folder of class folders"
    ):
        load_image_folder(tmp_path / "nowhere")
    with pytest.raises(FileFormatError, match="has no class folders: make a folder for each class"):
        load_image_folder(tmp_path)
    classes(tmp_path, a_1=110)
    assert load_image_folder(tmp_path)[1] == ["a"]
    (tmp_path / "b").mkdir()
    with pytest.raises(FileFormatError, match=r"no pictures in these class folders of \S+: 'b'; remove them"):
        load_image_folder(tmp_path)
    write(tmp_path, "stray.jpg", Image.new("L", (4, 4)))
    with pytest.raises(FileFormatError, match=r"stray\.jpg is in no class folder"):
        load_image_folder(tmp_path)


def test_a_table_names_the_classes(tmp_path):
    folder = classes(tmp_path / "all", x_1=110, x_2=120, y_3=130)
    table = tmp_path / "labels.csv"
    table.write_bytes(b'\xef\xbb\xbffile,label\r\ny/3.png,cat\r\nx/1.png,"dog, big"\r\n\r\n')
    (folder / "x" / "loop.png").symlink_to("loop.png")
    for _ in range(2):
        (x, y), names = load_image_folder(folder, labels=table)
        assert (x[:, 0, 0, 0].tolist(), y.tolist(), names) == ([130, 110], [0, 1], ["cat", "dog, big"])
        table.write_bytes(table.read_bytes().replace(b"/", b"\\"))  # as written by Windows
    for row, message in {
        "../all/x/1.png,a": "is outside the picture folder",
        "/etc/passwd,a": "is outside the picture folder",
        "x/9.png,a": "no such file in",
        "x/1.png": "a line must be FILE,CLASS, got 'x/1.png'",
        "x/1.png;a": "a line must be FILE,CLASS, got 'x/1.png;a'; it must be divided by a comma, not by ';'",
        "x/1.png,a\nx/1.png,b": "line 2: 'x/1.png' is listed twice",
        'x/1.png,"a': "unexpected end of data",
        "": "names no pictures",
        "x,a": "names no pictures",
        "x/1.png,a\nx,a": "is a pipe or a device, not a picture",
        "x/loop.png,a": "is a broken link",
        "x\\..\\..\\1.png,a": "is outside the picture folder",
    }.items():
        table.write_text(row)
        with pytest.raises(FileFormatError, match=message):
            load_image_folder(folder, labels=table)
    table.write_bytes(b"x/1.png,\xff")
    with pytest.raises(FileFormatError, match=r"labels\.csv is not text in UTF-8: save it as such"):
        load_image_folder(folder, labels=table)
    with pytest.raises(ValueError, match="`split` is for class folders, not for `labels`"):
        load_image_folder(folder, labels=table, split="train")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"size": 0}, ValueError, "`size` must be at least 1"),
        ({"size": (1, 2, 3)}, ValueError, r"`size` must be \(height, width\)"),
        ({"size": 5000}, ValueError, "`size` must be at most 4096"),
        ({"size": "32"}, TypeError, "`size` must be an integer"),
        ({"channels": 2}, ValueError, "`channels` must be 1 or 3, got 2"),
        ({"resize": "stretch"}, ValueError, "`resize` must be 'crop' or 'pad', got 'stretch'"),
        ({"background": "whit"}, ValueError, "`background` must be a colour such as 'white', got 'whit'"),
        ({"background": (1, 2, 300)}, ValueError, "`background` must be a name, 0 to 255"),
        ({"value_range": (3, 3)}, ValueError, "with low < high"),
        ({"value_range": 9}, ValueError, r"`value_range` must be \(low, high\)"),
    ],
)  # fmt: skip
def test_arguments_are_checked(tmp_path, arguments, error, message):
    classes(tmp_path, a_1=110, b_1=120)
    with pytest.raises(error, match=message):
        load_image_folder(tmp_path, **arguments)


def test_a_reader_comes_back_from_json():
    reader = ImageReader((8, 9), 1, "pad", (1, 2, 3), (0, 4095))
    assert ImageReader(**json.loads(json.dumps(reader.to_dict()))) == reader


def test_there_is_no_progress_bar_without_a_terminal(tmp_path, capsys):
    load_image_folder(classes(tmp_path, a_1=110, b_1=120))
    assert capsys.readouterr() == ("", "")
