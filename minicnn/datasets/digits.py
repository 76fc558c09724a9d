"""Conversion of an image of one handwritten digit, of any size, to the format of MNIST.

MNIST's digits were cropped, scaled to fit into 20x20 pixels with their proportions kept, and placed in 28x28
pixels with the centre of mass in the middle, white on black. A net trained on MNIST needs such images.
"""

import numpy as np

WORK_SIZE = 400  # pixels; longer sides are first reduced to this, which averages noise away

_WHITE = {"uint8": 255, "uint16": 65535, "bool": 1, "float16": 1, "float32": 1, "float64": 1}
_MIN_CONTRAST = 0.06  # of ink, as a fraction of the range from black to white
_CUTOFF = 0.1  # fraction of the strongest ink below which a pixel is background
_SPECKS = 0.001  # fraction of all ink that is cropped on each side


def digit_from_pixels(pixels: np.ndarray) -> np.ndarray:
    """Return the digit in an image in the format of MNIST.

    Parameters
    ----------
    pixels : ndarray (H, W), or (H, W, C) with 1, 3 or 4 channels: grey, RGB, RGBA
        uint8, uint16 (also if only the lower 10, 12 or 14 bits are used), bool, or floats in [0, 1]. The
        digit may be darker or lighter than its background.
        Transparent pixels become white, or black if white would hide a light digit.

    Returns
    -------
    ndarray, uint8 (28, 28, 1)
        White (255) on black (0).

    Raises
    ------
    TypeError, ValueError
        If `pixels` has another dtype, shape or range, or no digit is found.

    Notes
    -----
    The border of the image is assumed to be background and is extrapolated as a smooth surface, since light
    is rarely even. Ink is the deviation from it, in the direction of the stronger deviations, where it
    exceeds the noise of the border and a tenth of the strongest ink. The rest follows
    http://yann.lecun.com/exdb/mnist/, where row and column of the centre of mass are in [13.5, 14.5) in all
    images but two of 70,000.

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
        # A centre halfway between two pixels is rounded up and left, as in MNIST; no ink leaves the image.
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
    if not (pixels.min() >= 0 and pixels.max() <= white):  # also False for NaN
        raise ValueError(f"float `pixels` must be in [0, 1], got {pixels.min()} to {pixels.max()}")
    grey = pixels.astype(np.float32)
    grey /= _used_white(pixels) if pixels.dtype == np.uint16 else white
    if pixels.ndim == 2:
        return grey
    if pixels.shape[2] == 1:
        return grey[..., 0]
    luma = grey[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's "L"
    if pixels.shape[2] == 3:
        return luma
    on_white = 1 - (1 - luma) * grey[..., 3]
    # Light ink, which white paper would hide, is put on black.
    return on_white if on_white.min() < 1 - _MIN_CONTRAST else luma * grey[..., 3]


def _used_white(pixels: np.ndarray) -> int:
    """Return the white of uint16 pixels: cameras with 10, 12 or 14 bits use the lower part of the range."""
    return next(white for bits in (10, 12, 14, 16) if pixels.max() <= (white := (1 << bits) - 1))


def _ink(grey: np.ndarray) -> np.ndarray:
    """Return the amount of ink (H, W): 0 on the background, 1 in the strongest stroke."""
    surface, noise = _background(grey)
    deviation = grey - surface
    if (deviation * deviation * deviation).sum() < 0:  # the cube gives weight to strong deviations
        deviation = -deviation
    strongest = float(deviation.max())
    if strongest < max(_MIN_CONTRAST, 8 * noise):
        hint = ""
        if 8 * noise <= strongest and strongest:
            hint = f"; its contrast is {strongest:.2g} of the range from black to white, so scale the values"
        raise ValueError(f"no digit found: it must stand out from its background{hint}")
    deviation[deviation < max(_CUTOFF * strongest, 4 * noise)] = 0
    return deviation / strongest


def _background(grey: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the quadratic surface (H, W) that fits the border best, and the noise of the border."""
    row = np.linspace(-1, 1, grey.shape[0])[:, np.newaxis]
    column = np.linspace(-1, 1, grey.shape[1])
    # The large constant is preferred if the border is too short to distinguish the terms.
    terms = [np.array(100.0), row, column, row * row, column * column, row * column]
    border = np.zeros(grey.shape, bool)
    border[[0, -1]] = border[:, [0, -1]] = True
    # Strokes may cross the border: pixels far from its median brightness are not background.
    median = np.quantile(grey[border], 0.5, method="higher")  # in doubt, the background is light
    border &= abs(grey - median) <= 0.25 * np.ptp(grey)
    known = np.stack([np.broadcast_to(term, grey.shape)[border] for term in terms], axis=1)
    level = grey[border]
    factors = np.linalg.lstsq(known, level, rcond=None)[0]
    noise = 1.4826 * np.median(abs(known @ factors - level))  # the standard deviation, for normal noise
    return sum(factor * term for factor, term in zip(factors, terms, strict=True)), float(noise)


def _crop(ink: np.ndarray) -> np.ndarray:
    """Return the part of the image that contains the digit, without specks around it."""
    box = []
    for axis in (0, 1):
        part = ink.sum(axis=1 - axis).cumsum()
        first, last = np.searchsorted(part, np.array([_SPECKS, 1 - _SPECKS]) * part[-1])
        box.append(slice(int(first), int(last) + 1))
    return ink[tuple(box)]


def _fit(image: np.ndarray, longest: int) -> np.ndarray:
    """Resize the image so that its longer side has `longest` pixels, keeping its proportions."""
    height, width = (max(1, round(size * longest / max(image.shape))) for size in image.shape)
    return _resize(_resize(image, height).T, width).T


def _resize(image: np.ndarray, new_size: int) -> np.ndarray:
    """Return the image resized to `new_size` rows.

    Each new row is the mean over a window of old rows, partial ones at its ends weighted by their share. This
    is area averaging when the image shrinks, and linear interpolation when it grows.
    """
    size = len(image)
    step = size / new_size
    window = max(step, 1.0)
    start = (np.arange(new_size) + 0.5) * step - window / 2
    above = np.pad(image, ((1, 0), (0, 0))).cumsum(axis=0, dtype=np.float64)

    def sum_above(place: np.ndarray) -> np.ndarray:
        place = place.clip(0, size)
        row = np.minimum(place.astype(int), size - 1)
        return above[row] + (place - row)[:, np.newaxis] * image[row]

    return ((sum_above(start + window) - sum_above(start)) / window).astype(image.dtype)
