"""Write a folder of letters, drawn in Matplotlib's fonts, with train/ and test/: pictures to try a net on."""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONTS = sorted(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("DejaVuS*.ttf"))
CLASSES = "ABCDEFGHIJ"


def letter(text, rng):
    """Return a letter in a random font, size, place and colours, as a picture of 48x48 pixels."""
    ground, ink = (tuple(rng.integers(*ends, 3).tolist()) for ends in ((120, 256), (0, 110)))
    picture = Image.new("RGB", (48, 48), ground)
    font = ImageFont.truetype(str(FONTS[rng.integers(len(FONTS))]), int(rng.uniform(26, 40)))
    ImageDraw.Draw(picture).text(rng.uniform(19, 29, 2).tolist(), text, ink, font, anchor="mm")
    return picture.rotate(rng.uniform(-15, 15), fillcolor=ground, resample=Image.Resampling.BILINEAR)


def main(argv=None):
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument(
        "--count", type=int, default=40, help="pictures of a class in each part (default: 40)"
    )
    args = parser.parse_args(argv)
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in CLASSES:
            (args.folder / part / name).mkdir(parents=True)
            for number in range(args.count):
                letter(name, rng).save(args.folder / part / name / f"{number:03}.png")


if __name__ == "__main__":
    main()
