"""Images of any type, range and number of channels, as Matplotlib draws them."""

import numpy as np


def to_pixels(images: np.ndarray) -> np.ndarray:
    """Return images (..., H, W, C) as (..., H, W) if they are grey, or (..., H, W, 3): uint8, or from 0 to 1.

    Integers in [0, 255] and floats in [0, 1] keep their values, which are black to white; other values are
    spread from the lowest to the highest of all. Of four channels the first three are drawn, of any other
    number the mean.

    Examples
    --------
    >>> to_pixels(np.array([[[0, 51, 255]]], np.uint8)).tolist()
    [[[0, 51, 255]]]
    >>> to_pixels(np.array([[[-2.0]], [[2.0]]])).tolist()
    [[0.0], [1.0]]
    """
    channels = images.shape[-1]
    pixels = (
        images[..., :3] if channels in (3, 4) else images.mean(axis=-1) if channels > 1 else images[..., 0]
    )
    if images.dtype.kind in "iu" and images.min(initial=0) == 0 and images.max(initial=255) == 255:
        return pixels.astype(np.uint8)
    if pixels.min(initial=0.0) == 0.0 and pixels.max(initial=1.0) == 1.0:  # not if there are NaN
        return pixels
    low, high = np.nanmin(pixels), np.nanmax(pixels)
    return (pixels - low) / (high - low or 1)


def white(pixels: np.ndarray) -> int:
    """Return the value of white in what `to_pixels` returned."""
    return 255 if pixels.dtype == np.uint8 else 1
