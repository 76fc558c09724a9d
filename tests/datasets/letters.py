"""Folders of letters, rendered from Matplotlib's fonts, as test data that looks like a user's own."""

from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONTS = Path(matplotlib.get_data_path(), "fonts", "ttf")
FACES = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono-Oblique")


def letter(text, rng, size=(40, 40), face="DejaVuSans"):
    """Return a dark letter on a light coloured ground, at a random place, as a picture in mode RGB."""
    ground, ink = rng.integers(170, 256, 3), rng.integers(0, 90, 3)
    image = Image.new("RGB", size, tuple(map(int, ground)))
    font = ImageFont.truetype(str(FONTS / f"{face}.ttf"), int(min(size) * rng.uniform(0.6, 0.8)))
    centre = [side * rng.uniform(0.42, 0.58) for side in size]
    ImageDraw.Draw(image).text(centre, text, tuple(map(int, ink)), font, anchor="mm")
    return image


def write_letters(folder, classes="ABC", count=8, mode="RGB", suffix="png", seed=0, size=(40, 40)):
    """Write `count` pictures of each letter into class folders."""
    rng = np.random.default_rng(seed)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(count):
            image = letter(name, rng, size, FACES[i % len(FACES)]).convert(mode)
            image.save(folder / name / f"{i:03}.{suffix}")
    return folder
