"""Rescaling: a fixed scale and offset."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.layers._building import Size
from minicnn.layers.base import Layer
from minicnn.validation import check_dy, check_real

_BYTE_SCALE = 1 / 16  # between 1 / 255 and the scales of values in [0, 1]


class Rescaling(Layer):
    """x * scale + offset, with numbers that are not learned (as Keras).

    `Trainer` and `predict` scale uint8 images to [0, 1] before any layer sees them, unless a model begins
    with a `Rescaling` that does so itself, such as `Rescaling(1 / 255)` of many Keras models: then they are
    only cast. All scales of at most 1/16 count as such; `Rescaling(1 / std, -mean / std)` with statistics of
    values in [0, 1] does not.

    Parameters
    ----------
    scale, offset : float, or sequence of float
        For all values, or one for each channel.

    Examples
    --------
    >>> Rescaling(2.0, offset=-1.0).build((3,))(np.array([[0.0, 0.5, 1.0]]))
    array([[-1.,  0.,  1.]])
    """

    def __init__(self, scale: float | Sequence[float], offset: float | Sequence[float] = 0.0) -> None:
        self.scale, self.offset = _numbers(scale, "scale"), _numbers(offset, "offset")

    @property
    def takes_bytes(self) -> bool:
        """Whether the input is meant to be from 0 to 255."""
        scales = self.scale if isinstance(self.scale, tuple) else (self.scale,)
        return max(map(abs, scales), default=1.0) <= _BYTE_SCALE

    def _check_channels(self, shape: tuple[int, ...]) -> None:
        for name in ("scale", "offset"):
            numbers = getattr(self, name)
            if isinstance(numbers, tuple) and len(numbers) != shape[-1]:
                raise ValueError(
                    f"Rescaling has {len(numbers)} numbers in `{name}`, so x must have as many channels, "
                    f"got {shape}"
                )

    def _size_for(self, input_shape: tuple[int, ...]) -> Size:
        self._check_channels(input_shape)
        return Size(input_shape)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the scaled and shifted values."""
        self._check_channels(x.shape)
        self.cache = x.shape
        return x * np.asarray(self.scale, x.dtype) + np.asarray(self.offset, x.dtype)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dy * scale."""
        return check_dy(dy, self.cache) * np.asarray(self.scale, dy.dtype)


def _numbers(value: Any, name: str) -> float | tuple[float, ...]:
    """Return a finite number, or a tuple of them; raise otherwise."""
    if isinstance(value, str) or not np.iterable(value):
        return check_real(value, name, low=-math.inf)
    return tuple(check_real(number, name, low=-math.inf) for number in value)
