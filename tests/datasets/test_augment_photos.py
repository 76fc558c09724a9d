import numpy as np
import pytest

from minicnn.datasets import AugmentPhotos

STILL = {"crop": 0, "brightness": 0}


def rng(seed=0):
    return np.random.default_rng(seed)


def pictures(n=40, height=6, width=9, dtype=np.uint8):
    images = rng().integers(1, 256, (n, height, width, 3))
    return images.astype(np.uint8) if dtype == np.uint8 else (images / 255).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("background", ["edge", 0, (0, 1, 0)])
def test_crops_are_all_windows_of_the_picture_with_a_margin(dtype, background):
    x = pictures(dtype=dtype)
    found = AugmentPhotos(crop=2, brightness=0, background=background)(x, rng())
    assert (found.dtype, found.shape) == (x.dtype, x.shape)
    offsets = set()
    for old, new in zip(x, found, strict=True):
        if background == "edge":
            wide = np.pad(old, [(2, 2), (2, 2), (0, 0)], mode="edge")
        else:
            wide = np.tile(np.asarray(background).astype(dtype), (10, 13, 3 if background == 0 else 1))
            wide[2:8, 2:11] = old
        windows = np.lib.stride_tricks.sliding_window_view(wide, old.shape)[:, :, 0]
        places = np.argwhere((windows == new).all(axis=(2, 3, 4)))
        assert len(places) == 1
        offsets.add(tuple(places[0]))
    assert len(offsets) > 15  # of 25, by 40 pictures


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_about_half_are_mirrored(dtype):
    x = pictures(400, dtype=dtype)
    found = AugmentPhotos(**STILL, flip=True)(x, rng())
    mirrored = (found == x[:, :, ::-1]).all(axis=(1, 2, 3))
    assert 160 < mirrored.sum() < 240
    assert np.array_equal(found[~mirrored], x[~mirrored])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_brightness_is_one_factor_a_picture_and_ends_at_white(dtype):
    x = pictures(300, dtype=dtype)
    white = 255 if dtype == np.uint8 else 1
    found = AugmentPhotos(crop=0, brightness=0.3)(x, rng()).astype(float)
    factors = found.sum(axis=(1, 2, 3)) / x.sum(axis=(1, 2, 3), dtype=float)
    dark = factors < 0.95  # without values that were clipped
    expected = x[dark] * factors[dark, None, None, None]
    assert abs(found[dark] - expected).max() < (1.2 if dtype == np.uint8 else 1e-5)
    assert (factors.min() < 0.72, factors.max() > 1.1, found.max()) == (True, True, white)


@pytest.mark.parametrize("background", ["edge", (9, 8, 7)])
def test_cutout_is_one_square_anywhere(background):
    x = np.full((500, 6, 9, 3), 200, np.uint8)
    found = AugmentPhotos(**STILL, cutout=3, background=background)(x, rng())
    colour = (127, 127, 127) if background == "edge" else background
    shapes, tops = set(), set()
    for image in found:
        hole = (image != 200).all(axis=2)
        rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
        assert hole.sum() == len(rows) * len(columns)
        assert (image[hole] == colour).all()
        shapes.add((len(rows), len(columns)))
        tops.add((rows[0], columns[0]))
    assert shapes == {(h, w) for h in (2, 3) for w in (2, 3)}  # at the border a part of it
    assert len(tops) == 5 * 8
    floats = AugmentPhotos(**STILL, cutout=3)(np.ones((1, 6, 9, 3), np.float32), rng())
    assert set(floats.ravel().tolist()) == {0.5, 1.0}


def test_everything_is_determined_by_the_generator_and_writes_nowhere():
    x = pictures()
    before, change = x.copy(), AugmentPhotos(3, True, 0.4, 4)
    first, again, other = change(x, rng(1)), change(x, rng(1)), change(x, rng(2))
    assert np.array_equal(x, before)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.shares_memory(AugmentPhotos(**STILL)(x, rng()), x)
    assert change(x[:0], rng()).shape == (0, 6, 9, 3)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"crop": -1}, ValueError, "`crop` must be at least 0"),
        ({"crop": 1.5}, TypeError, "`crop` must be an integer"),
        ({"flip": 1}, TypeError, "`flip` must be True or False"),
        ({"brightness": 1}, ValueError, r"`brightness` must be in \[0, 1\)"),
        ({"cutout": "big"}, TypeError, "`cutout` must be an integer"),
        ({"background": "red"}, TypeError, "`background` must be a number, got 'red'"),
        ({"background": (0, None)}, TypeError, "`background` must be a number, got None"),
    ],
)
def test_settings_are_checked(settings, error, message):
    with pytest.raises(error, match=message):
        AugmentPhotos(**settings)


def test_floats_of_another_scale_are_not_clipped_silently():
    x = pictures(dtype=np.float32) * 255
    with pytest.raises(
        ValueError, match=r"float `images` must be in \[0, 1\] for `brightness`, got 1 to 255"
    ):
        AugmentPhotos()(x, rng())
    assert AugmentPhotos(brightness=0)(x, rng()).max() == 255
