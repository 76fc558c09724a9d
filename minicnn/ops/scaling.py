"""Conversion of uint8 images to floats."""

import numpy as np
from numpy.typing import DTypeLike

from minicnn.ops.windows import batch_first, batch_last, prefers_batch_last
from minicnn.validation import check_numbers


def to_float(images: np.ndarray, dtype: DTypeLike = np.float32) -> np.ndarray:
    """Return a batch as floats: uint8 images are scaled to [0, 1], other arrays only cast.

    >>> to_float(np.array([0, 51, 255], np.uint8))
    array([0. , 0.2, 1. ], dtype=float32)
    """
    images = np.asarray(check_numbers(images, "x"))
    if images.dtype == np.uint8:
        if images.ndim == 4 and prefers_batch_last(images.shape):  # transposing bytes is cheaper than floats
            images = batch_first(batch_last(images))
        return np.divide(images, 255, dtype=dtype)
    return images.astype(dtype, copy=False)
