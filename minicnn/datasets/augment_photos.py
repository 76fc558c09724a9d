"""Augmentation of colour pictures: random crops, mirror images, brightness, and squares cut out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minicnn.datasets.augment import Background, check_background, check_batch, surround
from minicnn.validation import check_int, check_real


@dataclass(frozen=True)
class AugmentPhotos:
    """Change each picture of a batch at random and independently; a callable ``(images, rng) -> images``.

    Nothing is interpolated, so pictures stay sharp.

    Parameters
    ----------
    crop : int
        Pixels: pictures get a margin of this width, and a part of the original size is cut out anywhere.
    flip : bool
        Whether to mirror each picture left to right with probability 1/2. Not for letters and digits.
    brightness : float
        0.2 multiplies all values of a picture by one factor from 0.8 to 1.2, and clips them to white.
    cutout : int
        Pixels: side of a square that is replaced by the background, its centre anywhere in the picture.
    background : float, sequence of float, or "edge"
        What margins and squares contain: a value for all channels, or one for each. "edge": the nearest pixel
        in margins, grey in squares.

    Raises
    ------
    TypeError, ValueError
        If an amount is not a number, or out of range; in a call, if floats are not in [0, 1] and `brightness`
        would clip them.

    Notes
    -----
    Crops and mirror images as He et al., "Deep residual learning for image recognition" (2015), and squares
    as DeVries and Taylor, "Improved regularization of convolutional neural networks with cutout" (2017).

    Examples
    --------
    >>> pictures = np.full((2, 4, 4, 3), 100, np.uint8)
    >>> AugmentPhotos(crop=0, brightness=0.5)(pictures, np.random.default_rng(0))[:, 0, 0]
    array([[114, 114, 114],
           [ 77,  77,  77]], dtype=uint8)
    """

    crop: int = 4
    flip: bool = False
    brightness: float = 0.2
    cutout: int = 0
    background: Background = "edge"

    def __post_init__(self) -> None:
        check_int(self.crop, "crop")
        check_int(self.cutout, "cutout")
        check_real(self.brightness, "brightness", high=1)
        if not isinstance(self.flip, bool):
            raise TypeError(f"`flip` must be True or False, got {self.flip!r}")
        check_background(self.background)

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return changed copies of `images`, uint8 or float (N, H, W, C), in the same shape and dtype."""
        check_batch(images, rng)
        result = self._cropped(images, rng)
        if self.flip:
            mirrored = rng.random(len(images)) < 0.5
            result[mirrored] = result[mirrored, :, ::-1]
        if self.brightness:
            _brighten(result, rng.uniform(1 - self.brightness, 1 + self.brightness, len(images)))
        if self.cutout:
            self._cut_out(result, rng)
        return result

    def _cropped(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if not self.crop:
            return np.array(images)
        n, height, width, _ = images.shape
        padded = surround(images, self.crop, self.crop, self.background, images.dtype)
        result = np.empty_like(images)
        for i, (top, left) in enumerate(rng.integers(0, 2 * self.crop + 1, (n, 2)).tolist()):
            result[i] = padded[i, top : top + height, left : left + width]
        return result

    def _cut_out(self, images: np.ndarray, rng: np.random.Generator) -> None:
        n, height, width, _ = images.shape
        grey = 127.5 if images.dtype == np.uint8 else 0.5
        fill = grey if self.background == "edge" else self.background
        centres = rng.integers(0, (height, width), (n, 2)).tolist()
        for image, (row, column) in zip(images, centres, strict=True):
            top, left = (max(centre - self.cutout // 2, 0) for centre in (row, column))
            bottom, right = (centre - self.cutout // 2 + self.cutout for centre in (row, column))
            image[top:bottom, left:right] = np.asarray(fill).astype(images.dtype)


def _brighten(images: np.ndarray, factors: np.ndarray) -> None:
    """Multiply each image by its factor in place, clipped to white."""
    if images.dtype == np.uint8:
        tables = np.rint(np.minimum(np.multiply.outer(factors, np.arange(256)), 255)).astype(np.uint8)
        for image, table in zip(images, tables, strict=True):
            image[...] = table[image]
        return
    if images.size and not 0 <= images.min() <= images.max() <= 1:
        raise ValueError(
            f"float `images` must be in [0, 1] for `brightness`, got {images.min():g} to {images.max():g}"
        )
    images *= factors[:, np.newaxis, np.newaxis, np.newaxis].astype(images.dtype)
    np.minimum(images, 1, out=images)
