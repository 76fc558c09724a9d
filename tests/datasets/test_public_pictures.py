"""Collections of pictures of all kinds: each is read as Pillow reads it, or refused with its name.

    MINICNN_PICTURES=pillow-13.0.0/Tests/images pytest -n 0 -m campaign tests/datasets/test_public_pictures.py

Pillow's source distribution has such a collection (`pip download --no-deps --no-binary :all: pillow`).
"""

import collections
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from minicnn import FileFormatError
from minicnn.datasets import ImageReader

FOLDER = os.environ.get("MINICNN_PICTURES")
PAPER = (200, 100, 50)
LARGEST = 4096  # side that a reader gives
DEEP = ("I", "F")  # first letters of modes that `convert` clips at 255


def expected(path, mode):
    """Return the upright picture over a colour; None if Pillow cannot read it, or clips its values."""
    try:
        with Image.open(path) as file:
            if file.mode.startswith(DEEP):
                return None
            image = ImageOps.exif_transpose(file)
        if image.has_transparency_data:
            paper = Image.new("RGBA", image.size, (*PAPER, 255))
            image = Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")
        return np.asarray(image.convert(mode))
    except Exception:  # of Pillow, which raises almost anything for broken files
        return None


def read(path, channels):
    """Return the picture in its own size, or the message of the refusal."""
    try:
        with Image.open(path) as file:
            size = ImageOps.exif_transpose(file).size
    except Exception:
        size = (32, 32)
    try:
        height, width = (min(side, LARGEST) for side in size[::-1])
        return ImageReader((height, width), channels, background=PAPER)(path)
    except FileFormatError as error:
        return str(error)


@pytest.mark.campaign
@pytest.mark.skipif(FOLDER is None, reason="set MINICNN_PICTURES to a folder of pictures")
def test_each_picture_is_read_as_pillow_reads_it_or_refused_with_its_name():
    counts = collections.Counter()
    wrong = []
    for path in sorted(path for path in Path(FOLDER).rglob("*") if path.is_file()):
        for channels, mode in ((1, "L"), (3, "RGB")):
            with warnings.catch_warnings(action="ignore"):
                found, right = read(path, channels), expected(path, mode)
            if isinstance(found, str):
                kind = "refused, as by Pillow" if right is None else "refused"
                counts[kind] += 1
                if not found.startswith(str(path)):
                    wrong.append(f"{path} has no name in {found!r}")
                elif right is not None:
                    print(found)
            elif right is None:
                counts["read, with more than 8 bits, or not by Pillow"] += 1
                print(path.name, found.shape, found.min(), found.max())
            elif max(right.shape) > LARGEST:
                counts["read, and made smaller"] += 1
            elif found.size != right.size:
                wrong.append(f"{path} {mode}: its shape is {found.shape}, not {right.shape}")
            else:
                counts["equal"] += 1
                # Transparency is rounded once more or less, at most; and once more in grey.
                error = np.abs(found.reshape(right.shape).astype(int) - right).max()
                if error > 2:
                    wrong.append(f"{path} {mode}: differs by {error}")
    print(dict(counts))
    assert wrong == []
    assert counts["equal"] > 0
