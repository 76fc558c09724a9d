"""Picture files as inputs of a model, prepared as those that it was trained on."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.datasets import ImageReader, load_digit_image
from minicnn.layers import Layer
from minicnn.runs.data import pad_to
from minicnn.saving.preprocessing import DIGIT

Reader = Callable[[str | os.PathLike[str]], np.ndarray]
_READER_KEYS = ("resize", "background", "value_range")


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
    shape = model.input_shape or ()
    if model.preprocessing == DIGIT:
        return lambda path: pad_to(load_digit_image(path)[np.newaxis], shape[:2])[0]
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise ValueError(f"pictures have 1 or 3 channels, but this model takes inputs of shape {shape}")
    given: Any = model.preprocessing or {}
    settings = {key: _tuple(given[key]) for key in _READER_KEYS if key in given}
    reader = ImageReader((shape[0], shape[1]), shape[2], **settings)
    if not {"scale", "offset"} & given.keys():
        return reader
    scale, offset = (
        np.asarray(given.get(name, usual)) for name, usual in (("scale", 1 / 255), ("offset", 0))
    )
    return lambda path: (reader(path) * scale + offset).astype(model.dtype)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
