"""Picture files as inputs of a model, prepared as those that it was trained on."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.datasets import ImageReader, load_digit_image
from minicnn.errors import FileFormatError
from minicnn.layers import Layer
from minicnn.saving.preprocessing import DIGIT

Reader = Callable[[str | os.PathLike[str]], np.ndarray]
_READER_KEYS = ("resize", "background", "value_range")


@dataclass(frozen=True)
class DigitReader:
    """Reads a picture file as one of MNIST's digits, padded to a size: uint8 (H, W, 1)."""

    size: tuple[int, int] = (28, 28)
    channels: int = 1

    def __call__(self, path: str | os.PathLike[str]) -> np.ndarray:
        """Return the digit; raise FileFormatError if the file cannot be read, or there is none in it."""
        try:
            digit = load_digit_image(path)
        except ValueError as error:
            raise FileFormatError(str(error)) from error
        return pad_to(digit[np.newaxis], self.size)[0]


def input_reader(model: Layer) -> Reader:
    """Return a function that reads a picture file as an input of the model: (H, W, C), uint8 or float32.

    A model that does not say how pictures become its inputs gets them cropped to its size.

    Raises
    ------
    ValueError
        If the model does not take grey or colour images.

    Examples
    --------
    >>> from PIL import Image
    >>> from minicnn import Flatten
    >>> folder = getfixture("tmp_path")
    >>> Image.new("RGB", (60, 40), "red").save(folder / "red.png")
    >>> input_reader(Flatten().build((1, 2, 3)))(folder / "red.png").tolist()
    [[[255, 0, 0], [255, 0, 0]]]
    """
    reader = picture_reader(model)
    return lambda path: scaled(reader(path), model)


def picture_reader(model: Layer) -> ImageReader | DigitReader:
    """Return what reads pictures as those that a model was trained on, before they are `scaled`."""
    if model.preprocessing == DIGIT:
        height, width, _ = model.input_shape or ()
        return DigitReader((height, width))
    return image_reader(model)


def image_reader(model: Layer) -> ImageReader:
    """Return what reads pictures in the size of a model's inputs, as those that it was trained on.

    Raises
    ------
    ValueError
        If the model does not take grey or colour images.
    """
    shape = model.input_shape or ()
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise ValueError(f"pictures have 1 or 3 channels, but this model takes inputs of shape {shape}")
    given = _settings(model)
    settings = {key: _tuple(given[key]) for key in _READER_KEYS if key in given}
    return ImageReader((shape[0], shape[1]), shape[2], **settings)


def scaled(pixels: np.ndarray, model: Layer) -> np.ndarray:
    """Return pixels, uint8, as the model wants them: as they are, or in floats by its scale and offset."""
    given = _settings(model)
    if not {"scale", "offset"} & given.keys():
        return pixels
    scale, offset = (
        np.asarray(given.get(name, usual)) for name, usual in (("scale", 1 / 255), ("offset", 0))
    )
    result = np.empty(pixels.shape, model.dtype)
    for row, part in zip(result, pixels, strict=True):  # one at a time, since float64 takes much memory
        row[...] = part * scale + offset
    return result


def _settings(model: Layer) -> dict[str, Any]:
    return model.preprocessing if isinstance(model.preprocessing, dict) else {}


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def pad_to(images: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Pad (N, H, W, C) images evenly with zeros to at least this height and width."""
    missing = [max(least - size, 0) for least, size in zip(size, images.shape[1:3], strict=True)]
    if not any(missing):
        return images
    return np.pad(images, [(0, 0), *((size // 2, size - size // 2) for size in missing), (0, 0)])
