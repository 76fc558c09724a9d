import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from minicnn.datasets import digit_from_pixels, mnist, read_idx


@pytest.fixture(scope="module")
def digits():
    """Every fiftieth of MNIST's test images, uint8 (200, 28, 28, 1)."""
    return read_idx(mnist._MNIST_FOLDER / "t10k-images-idx3-ubyte.gz")[::50, ..., np.newaxis]


def scene(digit, factor=7, shape=(260, 300), place=(23, 61)):
    """A digit, enlarged and somewhere in a large picture: how strongly it covers the paper, in [0, 1]."""
    size = 28 * factor
    ink = np.zeros(shape)
    where = slice(place[0], place[0] + size), slice(place[1], place[1] + size)
    ink[where] = (
        np.asarray(Image.fromarray(digit[..., 0]).resize((size, size), Image.Resampling.BICUBIC)) / 255
    )
    return ink


def write(ink, paper, pen=20):
    """A picture of ink on paper, uint8."""
    return np.rint(paper * (1 - ink) + pen * ink).astype(np.uint8)


def cropped(ink):
    """The picture without its margins, the faintest ends of the strokes cut off as well."""
    return ink[np.ix_((ink > 0.2).any(axis=1), (ink > 0.2).any(axis=0))]


def differences(first, second):
    """The mean absolute difference of each pair of images, in grey levels of 255."""
    return abs(np.asarray(first, float) - np.asarray(second, float)).mean(axis=(1, 2, 3))


def test_a_digit_of_mnist_is_reproduced_almost_exactly(digits):
    found = differences([digit_from_pixels(digit) for digit in digits], digits)
    assert np.median(found) < 0.3
    assert (found < 1).mean() > 0.97  # in the others, the faintest pixels shift the box or the centre


GRADIENT = np.linspace(150, 240, 300) + np.linspace(-10, 10, 260)[:, np.newaxis]
VIGNETTE = 235 - 60 * np.linspace(-1, 1, 300) ** 2 - 40 * np.linspace(-1, 1, 260)[:, np.newaxis] ** 2
NOISE = 205 + np.random.default_rng(0).normal(0, 8, (260, 300))
PICTURES = {
    "black on white": lambda digit: write(scene(digit), 255, 0),
    "white on black": lambda digit: write(scene(digit), 0, 255),
    "light on dark": lambda digit: write(scene(digit), 40, 90),
    "pencil": lambda digit: write(scene(digit), 230, 170),
    "gradient": lambda digit: write(scene(digit), GRADIENT),
    "vignette": lambda digit: write(scene(digit), VIGNETTE),
    "chalk": lambda digit: write(scene(digit), 255 - VIGNETTE, 250),
    "noise": lambda digit: write(scene(digit), NOISE),
    "small": lambda digit: write(scene(digit, 3, (90, 100), (2, 10)), 240),
    "in a corner": lambda digit: write(scene(digit, 6, (350, 450), (170, 270)), 240),
    "filling": lambda digit: write(scene(digit, 7, (196, 196), (0, 0)), 240),
    "cropped": lambda digit: write(cropped(scene(digit)), 240),
}


@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_of_a_digit_of_mnist_comes_back_close_to_the_original(digits, picture):
    digits = digits[::4]
    found = np.array([digit_from_pixels(PICTURES[picture](digit)) for digit in digits])
    # Bicubic enlargement spreads the strokes by a fraction of a pixel; then a centre near the middle of two
    # pixels may be rounded to the other one. Apart from that, less remains than half a pixel's shift makes.
    shifts = [(row, column) for row in (0, -1, 1) for column in (0, -1, 1)]
    shifted = np.array([differences(np.roll(found, shift, axis=(1, 2)), digits) for shift in shifts])
    one_pixel = differences(np.roll(digits, 1, axis=2), digits).mean()
    assert shifted.min(axis=0).mean() < one_pixel / 2
    assert (shifted.argmin(axis=0) == 0).mean() >= 0.6
    nearest = [differences([image] * len(digits), digits).argmin() for image in found]
    assert (nearest == np.arange(len(digits))).mean() >= 0.96


def test_transposing_and_turning_commute_with_it(digits):
    for digit in digits[:20]:
        picture = write(scene(digit), 255)
        found = digit_from_pixels(picture)
        assert differences([digit_from_pixels(picture.T)], [found.transpose(1, 0, 2)])[0] < 0.1


@pytest.mark.parametrize(("width", "columns"), [(1, [14]), (10, [14]), (30, [12, 13, 14]), (20, [13, 14])])
def test_a_bar_fills_twenty_rows_in_the_middle(width, columns):
    picture = np.full((300, 250), 255, np.uint8)
    picture[40:240, 30 : 30 + width] = 0
    expected = np.zeros((28, 28, 1))
    expected[4:24, columns] = 255
    if columns == [12, 13, 14]:  # three columns centre on the middle one
        expected = np.roll(expected, 1, axis=1)
    np.testing.assert_array_equal(digit_from_pixels(picture), expected)


def test_the_centre_of_mass_lies_in_the_middle():
    # An L of 20 x 20, two pixels thick: 40 + 36 pixels; the mean row is (40 * 18.5 + 36 * 8.5) / 76 = 13.76.
    picture = np.zeros((50, 60))
    picture[10:30, 20:22] = picture[28:30, 20:40] = 1
    found = digit_from_pixels(picture)[..., 0]
    rows, columns = np.nonzero(found == 255)
    assert len(rows) == 76
    assert (rows.min(), rows.max()) == (0 + 0, 19)  # 14 - 13.76 rounds to 0
    assert (columns.min(), columns.max()) == (8, 27)  # and 14 - 5.24 to 9, which would lose a column


def test_a_thin_line_is_kept():
    row, column = np.indices((600, 600))
    ring = abs(np.hypot(row - 300, column - 290) - 200) < 0.7
    found = digit_from_pixels(ring)[..., 0]
    assert (found.max(axis=1) > 150).sum() == (found.max(axis=0) > 150).sum() == 20
    assert found[9:19, 10:20].max() == 0


def test_dust_does_not_move_the_digit(digits):
    for digit in digits[:8]:
        picture = write(scene(digit, 14, (520, 520), (60, 70)), 255)
        dusty = picture.copy()
        dusty[[5, 500, 30], [500, 10, 30]] = 0
        assert differences([digit_from_pixels(dusty)], [digit_from_pixels(picture)])[0] < 2


def test_dtypes_and_channels_mean_the_same(digits):
    grey = write(scene(digits[0]), 255)
    expected = digit_from_pixels(grey).astype(int)
    variants = {
        "uint16": grey.astype(np.uint16) * 257,
        "big-endian": (grey.astype(np.uint16) * 257).astype(">u2"),
        "float32": grey.astype(np.float32) / 255,
        "float64": grey / 255,
        "one channel": grey[..., np.newaxis],
        "RGB": np.repeat(grey[..., np.newaxis], 3, axis=2),
        "opaque": np.concatenate(
            [np.repeat(grey[..., np.newaxis], 3, 2), np.full((*grey.shape, 1), 255, np.uint8)], 2
        ),
        "black ink, transparent": np.concatenate(
            [np.zeros((*grey.shape, 3)), 1 - grey[..., np.newaxis] / 255], 2
        ),
    }
    for name, pixels in variants.items():
        assert abs(digit_from_pixels(pixels) - expected).max() <= 1, name
    half = grey > 128
    np.testing.assert_array_equal(digit_from_pixels(half), digit_from_pixels(half * np.uint8(255)))


def test_colours_weigh_as_the_eye_sees_them():
    # Blue ink, 0.114 of white, beside green, 0.587, on white paper: 0.886 and 0.413 of full ink.
    picture = np.ones((40, 40, 3))
    picture[10:30, 10:20] = (0, 0, 1)
    picture[10:30, 20:30] = (0, 1, 0)
    found = digit_from_pixels(picture)[..., 0]
    assert set(np.unique(found)) == {0, 255, round(255 * 0.413 / 0.886)}


@pytest.mark.parametrize(
    ("pixels", "ink"),
    [
        ([[0.0, 1.0]], 1),
        ([[1.0], [0.0]], 1),
        ([[1, 1, 0, 1, 1]], 1),
        ([[0, 0], [0, 1]], 1),
        ([[1, 0, 0, 0, 0, 1]], 4),
    ],
)
def test_pictures_of_a_few_pixels_have_ink(pixels, ink):
    # Which side is ink is clear in all but the first two, where the darker one is.
    found = digit_from_pixels(np.array(pixels, float))
    assert found.max() == 255
    assert (found > 0).any(axis=(1, 2)).sum() <= 20


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((1, 1), np.uint8),
        np.full((28, 28), 255, np.uint8),
        np.full((300, 200, 3), 0.7),
        np.zeros((9, 9, 4), np.uint8),
        GRADIENT / 255,
        VIGNETTE / 255,
        np.rint(NOISE).astype(np.uint8),
        np.random.default_rng(0).integers(240, 250, (100, 100)).astype(np.uint8),
    ],
    ids=["pixel", "white", "grey", "transparent", "gradient", "vignette", "noise", "faint"],
)
def test_a_blank_picture_has_no_ink(pixels):
    with pytest.raises(ValueError, match="no digit found: it must stand out"):
        digit_from_pixels(pixels)


@pytest.mark.parametrize("shape", [(0, 5), (5,), (5, 5, 2), (5, 5, 5), (5, 5, 3, 1), ()])
def test_digit_from_pixels_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"must be \(H, W\) or \(H, W, C\) with 1, 3 or 4 channels"):
        digit_from_pixels(np.zeros(shape))


@pytest.mark.parametrize(
    "pixels", [np.zeros((5, 5), np.int64), np.zeros((5, 5), complex), [[0, 1]], np.array("a")]
)
def test_digit_from_pixels_refuses_other_types(pixels):
    with pytest.raises(TypeError, match="`pixels` must be an array of uint8, uint16, bool or float, got"):
        digit_from_pixels(pixels)


@pytest.mark.parametrize("value", [-0.1, 1.1, 255.0, np.nan, np.inf, -np.inf, 1e300])
def test_digit_from_pixels_refuses_floats_out_of_range(value):
    with pytest.raises(ValueError, match=r"float `pixels` must be in \[0, 1\], got"):
        digit_from_pixels(np.array([[0.0, 0.5], [value, 1.0]]))


@given(
    pixels=hnp.arrays(
        np.uint8,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=30),
        elements=st.sampled_from([0, 0, 0, 7, 128, 255]),
    )
)
def test_any_picture_gives_a_digit_or_has_no_ink(pixels):
    try:
        found = digit_from_pixels(pixels)
    except ValueError as error:
        if "no digit found" not in str(error):
            raise
    else:
        assert found.dtype == np.uint8
        assert found.shape == (28, 28, 1)
        assert found.max() == 255


def test_a_long_picture_takes_no_more_memory_than_its_pixels_need():
    pixels = np.full((44, 548), 255, np.uint8)
    pixels[10:34, 270:276] = 0
    tracemalloc.start()
    try:
        digit_from_pixels(pixels)
        assert tracemalloc.get_traced_memory()[1] < 60 * pixels.size
    finally:
        tracemalloc.stop()
