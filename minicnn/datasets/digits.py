"""A picture of one handwritten digit, of any size, made into what MNIST's authors would have made of it.

They cropped the digit, fitted it into 20x20 pixels, keeping its proportions, and put it into 28x28 pixels
with its centre of mass in the middle, white on black. A net that learned from MNIST needs digits like that.
"""

from __future__ import annotations

import numpy as np

WORK_SIZE = 400  # longer sides are reduced to this first: it averages noise and dust away, and 20 are wanted

_WHITE = {"uint8": 255, "uint16": 65535, "bool": 1, "float16": 1, "float32": 1, "float64": 1}
_FAINTEST = 0.06  # of the range from black to white: less contrast is no ink
_CUTOFF = 0.1  # of the strongest ink: less is none
_SPECKS = 0.001  # of all the ink: as much may lie beyond each side of the digit


def digit_from_pixels(pixels: np.ndarray) -> np.ndarray:
    """Return the digit in a picture as MNIST's authors would have drawn it.

    Parameters
    ----------
    pixels : ndarray (H, W), or (H, W, C) with 1, 3 or 4 channels: grey, RGB, RGBA
        uint8, uint16, bool, or floats in [0, 1]. The digit may be darker or lighter than its background. What
        is transparent becomes white.

    Returns
    -------
    ndarray, uint8 (28, 28, 1)
        White (255) on black (0).

    Raises
    ------
    TypeError, ValueError
        If `pixels` has another dtype, shape or range, or shows nothing.

    Notes
    -----
    The border of the picture is taken for background and continued inwards as a smooth surface, since no
    light is even. Ink is what deviates from it, to the side with the stronger deviations, by more than the
    border's noise and a tenth of the strongest ink. The rest follows http://yann.lecun.com/exdb/mnist/, where
    row and column of the centre of mass are in [13.5, 14.5) in all images but two of 70,000.

    Examples
    --------
    >>> paper = np.full((300, 200), 230, np.uint8)
    >>> paper[50:250, 95:105] = 20  # a one
    >>> digit_from_pixels(paper)[2:28:3, 14, 0].tolist()
    [0, 255, 255, 255, 255, 255, 255, 255, 0]
    """
    grey = _grey(pixels)
    if max(grey.shape) > WORK_SIZE:
        grey = _fit(grey, WORK_SIZE)
    ink = _crop(_ink(grey))
    digit = _fit(ink, 20)
    digit *= 255 / digit.max()
    corner = []
    for axis, size in enumerate(digit.shape):
        centre = np.arange(size) @ digit.sum(axis=1 - axis) / digit.sum()
        # A centre just between two pixels goes up and left, as in MNIST; no ink is lost beyond the edge.
        corner.append(min(max(round(13.999 - float(centre)), 0), 28 - size))
    (top, left), (height, width) = corner, digit.shape
    image = np.zeros((28, 28, 1), np.uint8)
    image[top : top + height, left : left + width, 0] = np.rint(digit)
    return image


def _grey(pixels: np.ndarray) -> np.ndarray:
    """Return the brightness of `pixels`, float32 (H, W) in [0, 1]."""
    white = _WHITE.get(pixels.dtype.name) if isinstance(pixels, np.ndarray) else None
    if white is None:
        got = getattr(pixels, "dtype", type(pixels).__name__)
        raise TypeError(f"`pixels` must be an array of uint8, uint16, bool or float, got {got}")
    if not pixels.size or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4))):
        raise ValueError(f"`pixels` must be (H, W) or (H, W, C) with 1, 3 or 4 channels, got {pixels.shape}")
    if not (pixels.min() >= 0 and pixels.max() <= white):  # not true of NaN either
        raise ValueError(f"float `pixels` must be in [0, 1], got {pixels.min()} to {pixels.max()}")
    grey = pixels.astype(np.float32)
    grey /= white
    if pixels.ndim == 2:
        return grey
    if pixels.shape[2] == 1:
        return grey[..., 0]
    luma = grey[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's "L"
    return luma if pixels.shape[2] == 3 else 1 - (1 - luma) * grey[..., 3]


def _ink(grey: np.ndarray) -> np.ndarray:
    """Return how much ink is where (H, W): 0 on the background, 1 in the strongest stroke."""
    surface, noise = _background(grey)
    deviation = grey - surface
    if (deviation * deviation * deviation).sum() < 0:  # the cube lets the strong deviations decide
        deviation = -deviation
    strongest = float(deviation.max())
    if strongest < max(_FAINTEST, 8 * noise):
        raise ValueError("no ink found: the picture must show a digit that stands out from its background")
    deviation[deviation < max(_CUTOFF * strongest, 4 * noise)] = 0
    return deviation / strongest


def _background(grey: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the surface of second degree (H, W) that fits the border best, and the border's noise."""
    row = np.linspace(-1, 1, grey.shape[0])[:, np.newaxis]
    column = np.linspace(-1, 1, grey.shape[1])
    # The constant is large, so that it is used alone if the border is too short to tell the terms apart.
    terms = [np.array(100.0), row, column, row * row, column * column, row * column]
    border = np.zeros(grey.shape, bool)
    border[[0, -1]] = border[:, [0, -1]] = True
    # Strokes may run over the border: what is far from the usual brightness there is not background.
    usual = np.quantile(grey[border], 0.5, method="higher")  # in doubt, paper is light
    border &= abs(grey - usual) <= 0.25 * np.ptp(grey)
    known = np.stack([np.broadcast_to(term, grey.shape)[border] for term in terms], axis=1)
    level = grey[border]
    factors = np.linalg.lstsq(known, level, rcond=None)[0]
    noise = 1.4826 * np.median(abs(known @ factors - level))  # the standard deviation, if it is normal
    return sum(factor * term for factor, term in zip(factors, terms, strict=True)), float(noise)


def _crop(ink: np.ndarray) -> np.ndarray:
    """Return the part of the picture in which the digit lies, whatever specks lie around it."""
    box = []
    for axis in (0, 1):
        part = ink.sum(axis=1 - axis).cumsum()
        first, last = np.searchsorted(part, np.array([_SPECKS, 1 - _SPECKS]) * part[-1])
        box.append(slice(int(first), int(last) + 1))
    return ink[tuple(box)]


def _fit(picture: np.ndarray, longest: int) -> np.ndarray:
    """Resize the picture, keeping its proportions, so that its longer side has `longest` pixels."""
    height, width = (max(1, round(size * longest / max(picture.shape))) for size in picture.shape)
    return _resize(_resize(picture, height).T, width).T


def _resize(picture: np.ndarray, new_size: int) -> np.ndarray:
    """Return the picture with so many rows.

    Each new row averages a window of old ones, of which those at its ends count as far as they lie in it.
    This is the mean over the area when the picture shrinks, linear interpolation when it grows.
    """
    size = len(picture)
    step = size / new_size
    window = max(step, 1.0)
    start = (np.arange(new_size) + 0.5) * step - window / 2
    above = np.pad(picture, ((1, 0), (0, 0))).cumsum(axis=0, dtype=np.float64)

    def sum_above(place: np.ndarray) -> np.ndarray:
        place = place.clip(0, size)
        row = np.minimum(place.astype(int), size - 1)
        return above[row] + (place - row)[:, np.newaxis] * picture[row]

    return ((sum_above(start + window) - sum_above(start)) / window).astype(picture.dtype)
