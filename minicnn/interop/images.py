"""The image sizes that LeNet-5 takes, in all frameworks."""

from collections.abc import Iterable
from typing import Any


def image_shape(sizes: Iterable[Any]) -> tuple[int, int, int]:
    """Return the shape of one image; ValueError if LeNet-5 cannot take it.

    >>> image_shape([20, 49, 1])
    (20, 49, 1)
    """
    shape = tuple(sizes)
    if len(shape) != 3 or None in shape or min(shape) < 1 or min(shape[:2]) < 12:
        raise ValueError(f"images must have a fixed shape (h, w, c) of 12x12 or more, got {shape}")
    return shape
