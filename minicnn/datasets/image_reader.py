"""Pictures of any kind as arrays of one size: orientation, 16 bits, transparency, colours, cropping."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.datasets.picture_files import opened_picture, quiet
from minicnn.errors import FileFormatError
from minicnn.validation import check_int, check_real

if TYPE_CHECKING:
    from PIL.Image import Image

Colour = tuple[int, int, int]
RESIZES = ("crop", "pad")
_MAX_SIDE = 4096
_SIZE_SAMPLE = 200
_BLOCK = 1 << 20  # pixels scaled at a time
_GREY = ("1", "L", "LA", "La")
_DEEP = ("I", "F")  # first letters of modes with more than 8 bits, which have one channel


@dataclass(frozen=True)
class ImageReader:
    """Reads a picture file as an array of a fixed size; `load_image_folder` describes the parameters.

    Calling it with a path returns the picture, uint8 (H, W, C). Its fields are plain values, for JSON.

    Examples
    --------
    >>> from PIL import Image
    >>> folder = getfixture("tmp_path")
    >>> Image.new("RGB", (60, 40), "red").save(folder / "red.png")
    >>> ImageReader(size=(2, 2), channels=3)(folder / "red.png").tolist()
    [[[255, 0, 0], [255, 0, 0]], [[255, 0, 0], [255, 0, 0]]]
    """

    size: tuple[int, int] = (32, 32)
    channels: int = 3
    resize: str = "crop"
    background: Colour = (255, 255, 255)
    value_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        # A frozen dataclass can set itself only this way.
        for name, value in (
            ("size", check_size(self.size)),
            ("background", check_colour(self.background)),
            ("value_range", _check_range(self.value_range)),
        ):
            object.__setattr__(self, name, value)
        if self.channels not in (1, 3):
            raise ValueError(f"`channels` must be 1 or 3, got {self.channels!r}")
        if self.resize not in RESIZES:
            raise ValueError(f"`resize` must be 'crop' or 'pad', got {self.resize!r}")

    def __call__(self, path: str | os.PathLike[str]) -> np.ndarray:
        """Return the picture in a file, uint8 (H, W, C).

        Raises
        ------
        ImportError
            If Pillow is not installed.
        FileNotFoundError, FileFormatError
            If there is no such file, or it is not a picture that can be read; the message names it.
        """
        with opened_picture(path) as image:
            fitted = self._fit(self._flat(image))
            return np.asarray(fitted).reshape(*self.size, self.channels)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, for JSON: `ImageReader(**fields)` is the same reader."""
        return dataclasses.asdict(self)

    def _flat(self, image: Image) -> Image:
        """Return the upright picture in mode L or RGB, without transparency."""
        from PIL import Image, ImageOps

        mode = "L" if self.channels == 1 else "RGB"
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode.startswith(_DEEP) or (self.value_range and image.mode == "L"):
            image = self._eight_bits(image)
        if not image.has_transparency_data:
            return image.convert(mode)
        image = image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
        paper = Image.new("RGB", image.size, self.background).convert(mode)
        paper.paste(image.convert(mode), mask=image.getchannel("A"))
        return paper

    def _eight_bits(self, image: Image) -> Image:
        """Return a grey picture of more bits in 8, scaled, not clipped; transparency stays."""
        from PIL import Image

        values = np.asarray(image)
        low, high = self.value_range or _natural_range(image, values)
        scaled = np.empty(values.shape, np.uint8)
        for start in range(0, len(values), rows := max(1, _BLOCK // values.shape[1])):
            part = (values[start : start + rows] - np.float64(low)) * (255 / (high - low))
            scaled[start : start + rows] = np.rint(np.clip(part, 0, 255))
        grey = Image.fromarray(scaled)
        clear = image.info.get("transparency")
        if isinstance(clear, int):
            grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
        return grey

    def _fit(self, image: Image) -> Image:
        """Return the picture in the reader's size: its centre cropped, or its sides padded."""
        from PIL import Image

        height, width = self.size
        if image.size == (width, height):
            return image
        by_width, by_height = width / image.width, height / image.height
        if self.resize == "crop":
            scale = max(by_width, by_height)
            left, top = (image.width - width / scale) / 2, (image.height - height / scale) / 2
            box = (max(left, 0.0), max(top, 0.0), image.width - max(left, 0.0), image.height - max(top, 0.0))
            return image.resize((width, height), Image.Resampling.BILINEAR, box)
        scale = min(by_width, by_height)
        inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        paper = Image.new("RGB", (width, height), self.background).convert(image.mode)
        paper.paste(
            image.resize(inner, Image.Resampling.BILINEAR),
            ((width - inner[0]) // 2, (height - inner[1]) // 2),
        )
        return paper


def is_colour(path: str | os.PathLike[str]) -> bool:
    """Return whether a picture file can hold colours, by its header: nothing is decoded; raises as a reader.

    A palette counts by its colours.
    """
    with opened_picture(path) as image:
        if image.mode.startswith(("P", *_DEEP, *_GREY)):
            colours = image.getpalette("RGB") if image.mode.startswith("P") else None
            return colours is not None and not colours[::3] == colours[1::3] == colours[2::3]
        return True


def check_size(size: int | Sequence[int]) -> tuple[int, int]:
    """Return a size as (height, width)."""
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2:
        raise ValueError(f"`size` must be (height, width), got {size!r}")
    height, width = (check_int(side, "size", low=1) for side in sides)
    if max(height, width) > _MAX_SIDE:
        raise ValueError(f"`size` must be at most {_MAX_SIDE} in each direction, got {height, width}")
    return height, width


def check_colour(colour: Any) -> Colour:
    """Return a colour, given as a name, a grey value or (red, green, blue), as the latter.

    >>> check_colour("white"), check_colour(0)
    ((255, 255, 255), (0, 0, 0))
    """
    if isinstance(colour, str):
        from PIL import ImageColor  # only pictures need a background, and Pillow too

        try:
            return ImageColor.getrgb(colour)[:3]
        except ValueError:
            raise ValueError(f"`background` must be a colour such as 'white', got {colour!r}") from None
    values = (colour,) * 3 if isinstance(colour, int) else tuple(colour)
    if len(values) != 3 or not all(isinstance(value, int) and 0 <= value <= 255 for value in values):
        raise ValueError(f"`background` must be a name, 0 to 255, or three of these, got {colour!r}")
    return values


def _check_range(value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    if not isinstance(value, Sequence) or len(value) != 2:
        raise ValueError(f"`value_range` must be (low, high), got {value!r}")
    low, high = (check_real(end, "value_range", low=-float("inf")) for end in value)
    if not low < high:
        raise ValueError(f"`value_range` must be (low, high) with low < high, got {value!r}")
    return low, high


def _natural_range(image: Image, values: np.ndarray) -> tuple[float, float]:
    """Return the values of black and white in a deep picture that has whole numbers or floats."""
    found = f"{np.nanmin(values):g} to {np.nanmax(values):g}" if not np.isnan(values).all() else "NaN"
    top = 1 if image.mode == "F" else 65535
    if not (values.min() >= 0 and values.max() <= top):  # also for NaN
        kind = "floats" if image.mode == "F" else "whole numbers"
        raise FileFormatError(
            f"it has {kind} from {found}, which could mean any brightness: say by "
            f"`value_range=(black, white)` which values are black and white"
        )
    bits = image.tag_v2.get(258, (16,)) if image.format == "TIFF" else (16,)  # type: ignore[attr-defined]
    return 0.0, top if image.mode == "F" else float(2 ** min(bits[0] if bits[0] > 8 else 16, 16) - 1)


def picture_sizes(paths: Sequence[os.PathLike[str]]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the smallest and the largest (width, height), by area, of some of these files."""
    sizes = []
    with quiet():
        for path in paths[:: max(1, len(paths) // _SIZE_SAMPLE)]:
            try:
                with opened_picture(path) as image:
                    sizes.append(image.size)
            except (FileFormatError, OSError):
                pass  # it is named when it is read
    area = math.prod
    return min(sizes, key=area, default=(0, 0)), max(sizes, key=area, default=(0, 0))
