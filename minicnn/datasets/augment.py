"""Augmentation of training images: random shifts, rotations, shears, scalings and elastic distortions.

Each pixel of a new image is interpolated at a position in the old one. The positions follow from a random
affine map per image and a smooth random displacement field; one bilinear lookup computes all images.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.datasets.ground import warn_of_ground
from minicnn.validation import check_real

Background = float | Sequence[float] | str  # a str is "edge"
_BLOCK = 1 << 14  # values distorted at a time: temporary arrays stay in the cache and reuse memory


@dataclass(frozen=True)
class Augment:
    """Distort each image of a batch at random and independently; a callable ``(images, rng) -> images``.

    All amounts are limits of uniform distributions, symmetric around "unchanged". `AugmentPhotos` is for
    colour pictures.

    Parameters
    ----------
    shift : float
        Pixels, in both directions.
    rotation : float
        Degrees.
    shear : float
        Tangent of the angle between the vertical and its image; 0.2 is about 11 degrees.
    scale : float
        0.1 scales height and width, independently, by factors from 0.9 to 1.1.
    elastic : float
        Pixels: the standard deviation of the elastic displacement of a pixel, along each axis.
    elastic_sigma : float
        Pixels: the sigma of the Gaussian that smooths the noise of the elastic field.
    flip : bool
        Whether to mirror each image left to right with probability 1/2. Not for digits.
    background : float, sequence of float, or "edge"
        What is outside an image: a value for all channels, one for each, or its nearest pixel. The default,
        0, is for images on a dark ground, as MNIST's.

    Raises
    ------
    TypeError, ValueError
        If an amount is not a number, or out of range.

    Notes
    -----
    The elastic field is that of Simard, Steinkraus and Platt, "Best practices for convolutional neural
    networks applied to visual document analysis" (2003), except that its strength is in pixels for any sigma.

    Examples
    --------
    >>> image = np.zeros((1, 28, 28, 1), np.uint8)
    >>> image[0, 10:18, 14] = 255
    >>> augment = Augment(shift=2, rotation=15, elastic=0.5)
    >>> augment(image, np.random.default_rng(0)).shape
    (1, 28, 28, 1)
    """

    shift: float = 2.0
    rotation: float = 10.0
    shear: float = 0.1
    scale: float = 0.1
    elastic: float = 0.0
    elastic_sigma: float = 4.0
    flip: bool = False
    background: Background = 0.0

    def __post_init__(self) -> None:
        for name in ("shift", "rotation", "shear", "elastic"):
            check_real(getattr(self, name), name, high=1e6)
        check_real(self.scale, "scale", high=1)
        check_real(self.elastic_sigma, "elastic_sigma", low=0.1, high=1e6)
        if not isinstance(self.flip, bool):
            raise TypeError(f"`flip` must be True or False, got {self.flip!r}")
        check_background(self.background)

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return distorted copies of `images`, uint8 or float (N, H, W, C), in the same shape and dtype."""
        check_batch(images, rng)
        amounts = (self.shift, self.rotation, self.shear, self.scale, self.elastic, self.flip)
        if not any(amounts) or not images.size:
            return np.array(images)
        warn_of_ground(images, self.background)
        result = np.empty(images.shape, images.dtype)
        block = max(1, _BLOCK // math.prod(images.shape[1:]))
        for start in range(0, len(images), block):
            result[start : start + block] = self._distort(images[start : start + block], rng)
        return result

    def _distort(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Distort one block of images."""
        n, height, width, _ = images.shape
        angle, shear, *stretch_and_shift = rng.uniform(-1.0, 1.0, (6, n))
        maps = affine_maps(
            angle=angle * math.radians(self.rotation),
            shear=shear * self.shear,
            stretch=1.0 + self.scale * np.stack(stretch_and_shift[:2]),
            shift=self.shift * np.stack(stretch_and_shift[2:]),
        )
        if self.flip:
            maps[rng.random(n) < 0.5, 1] *= -1.0
        rows, columns = positions(maps, height, width)
        if self.elastic:
            bend_rows, bend_columns = elastic_field(n, height, width, self.elastic_sigma, rng)
            rows += self.elastic * bend_rows
            columns += self.elastic * bend_columns
        return warp(images, rows, columns, self.background)


def affine_maps(angle: np.ndarray, shear: np.ndarray, stretch: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Return the matrices (N, 2, 3) that map pixels of a new image to positions in the old one.

    Each maps (row, column, 1), relative to the centre of the new image, to (row, column) relative to the
    centre of the old one. The old image is shifted by `shift` (2, N) pixels, down and to the right, then
    scaled by `stretch` (2, N), sheared by `shear` (N,), and rotated counter-clockwise by `angle` (N,), in
    radians.
    """
    cos, sin = np.cos(angle), np.sin(angle)
    to_row = np.stack([cos, sin, np.zeros_like(cos)]) / stretch[0]
    to_column = np.stack([shear * cos - sin, shear * sin + cos, np.zeros_like(cos)]) / stretch[1]
    to_row[2], to_column[2] = -shift
    return np.stack([to_row, to_column]).transpose(2, 0, 1).astype(np.float32)  # (N, 2, 3)


def elastic_field(n: int, height: int, width: int, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Return smooth random displacements, float32 (2, N, H, W), of mean 0 and variance 1 at each pixel."""
    # Rows are the first axis, so each direction is smoothed by one product of two large matrices.
    noise = np.frombuffer(rng.bytes(height * 2 * n * width), np.uint8).reshape(height, -1).astype(np.float32)
    noise -= 127.5  # mean and standard deviation of uniform bytes, which are cheaper than floats
    noise /= math.sqrt((256**2 - 1) / 12)
    field = (_smoothing(height, sigma) @ noise).reshape(-1, width) @ _smoothing(width, sigma).T
    return field.reshape(height, 2, n, width).transpose(1, 2, 0, 3)


@functools.lru_cache(maxsize=16)
def _smoothing(size: int, sigma: float) -> np.ndarray:
    """Return the matrix (size, size) of Gaussian smoothing; rows of norm 1 preserve the variance of noise."""
    distance = np.subtract.outer(np.arange(size), np.arange(size)) / sigma
    gaussian = np.exp(-0.5 * distance**2)
    return (gaussian / np.linalg.norm(gaussian, axis=1, keepdims=True)).astype(np.float32)


def positions(maps: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and columns, float32 (N, H, W) each, of the positions of the new images' pixels."""
    centre = np.array([(height - 1) / 2, (width - 1) / 2], np.float32)[:, np.newaxis]  # (2, 1)
    grid = np.indices((height, width), np.float32).reshape(2, -1) - centre
    found = maps @ np.vstack([grid, np.ones_like(grid[:1])]) + centre  # (N, 2, H*W)
    rows, columns = found.reshape(-1, 2, height, width).swapaxes(0, 1)
    return rows, columns


def warp(
    images: np.ndarray, rows: np.ndarray, columns: np.ndarray, background: Background = 0.0
) -> np.ndarray:
    """Interpolate `images` (N, H, W, C) bilinearly at real positions; outside is the background.

    Parameters
    ----------
    images : ndarray, uint8 or float (N, H, W, C)
        Not empty.
    rows, columns : ndarray, float (N, OH, OW)
        Positions of the pixels of the result; finite.

    Returns
    -------
    ndarray (N, OH, OW, C)
        In the dtype of `images`; rounded if it is uint8.
    """
    n, height, width, channels = images.shape
    # One line of background before and two after: positions clipped to the border have all four neighbours.
    dtype = np.result_type(images.dtype, np.float32)
    padded = surround(images, 1, 2, background, dtype)
    rows, columns = np.clip(rows + 1.0, 0.0, height + 1.0), np.clip(columns + 1.0, 0.0, width + 1.0)
    top, left = np.floor(rows), np.floor(columns)
    rows -= top
    columns -= left
    down, right = rows[..., np.newaxis], columns[..., np.newaxis]

    # In place, since new memory costs more than the arithmetic. `corner` indexes the upper left neighbours in
    # all lines of all images; for the three others, the start of the array is moved instead.
    stride = width + 3
    corner = top.astype(np.intp)
    corner += np.arange(0, n * (height + 3), height + 3)[:, np.newaxis, np.newaxis]
    corner *= stride
    corner += left.astype(np.intp)
    pixels = padded.reshape(-1, channels)
    upper = _blend(pixels.take(corner, axis=0), pixels[1:].take(corner, axis=0), right)
    lower = _blend(pixels[stride:].take(corner, axis=0), pixels[stride + 1 :].take(corner, axis=0), right)
    result = _blend(upper, lower, down)
    if images.dtype == np.uint8:
        np.rint(result, out=result)
    return result.astype(images.dtype, copy=False)


def surround(
    images: np.ndarray, before: int, after: int, background: Background, dtype: np.dtype
) -> np.ndarray:
    """Return `images` (N, H, W, C) in a dtype, with lines of background before and after rows and columns."""
    n, height, width, channels = images.shape
    if background == "edge":
        margin = (before, after)
        return np.pad(images.astype(dtype, copy=False), [(0, 0), margin, margin, (0, 0)], mode="edge")
    padded = np.full((n, before + height + after, before + width + after, channels), background, dtype)
    padded[:, before : before + height, before : before + width] = images
    return padded


def _blend(start: np.ndarray, end: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Return start + part * (end - start); overwrites `end`."""
    end -= start
    end *= part
    end += start
    return end


def check_background(background: Any) -> None:
    """Raise unless this is a number, a sequence of numbers for the channels, or "edge"."""
    if background != "edge":
        several = isinstance(background, Sequence) and not isinstance(background, str)
        for value in background if several else (background,):
            check_real(value, "background", low=-math.inf)


def check_batch(images: np.ndarray, rng: np.random.Generator) -> None:
    """Raise unless these are a batch of images, and a generator."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"`rng` must be a np.random.Generator, got {type(rng).__name__}")
    dtype = getattr(images, "dtype", np.dtype(object))
    if not isinstance(images, np.ndarray) or (dtype != np.uint8 and dtype.kind != "f"):
        raise TypeError(
            f"`images` must be an array of uint8 or float, got {type(images).__name__} of {dtype}"
        )
    if images.ndim != 4:
        raise ValueError(f"`images` must have shape (N, H, W, C), got {images.shape}")
