import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.datasets import Augment
from minicnn.datasets.augment import affine_maps, elastic_field, positions, warp

STILL = {"shift": 0, "rotation": 0, "shear": 0, "scale": 0, "elastic": 0}
EVERYTHING = Augment(shift=2, rotation=20, shear=0.2, scale=0.2, elastic=1.0, flip=True)


def rng(seed=0):
    return np.random.default_rng(seed)


def random_images(*shape, dtype=np.uint8):
    return (rng().random(shape) * 255).astype(dtype)


def blob(row, column, size=41):
    """One image with a smooth spot, (1, size, size, 1); its centre of mass can be found again exactly."""
    r, c = np.indices((size, size))
    return np.exp(-((r - row) ** 2 + (c - column) ** 2) / 8)[np.newaxis, ..., np.newaxis]


def centres(images):
    """The centres of mass (N, 2) of one-channel images, from the middle of the image."""
    _, height, width, _ = images.shape
    mass = images.sum(axis=(1, 2, 3), dtype=float)
    row = images.sum(axis=(2, 3), dtype=float) @ np.arange(height) / mass - (height - 1) / 2
    column = images.sum(axis=(1, 3), dtype=float) @ np.arange(width) / mass - (width - 1) / 2
    return np.stack([row, column], axis=1)


def moved(images, angle=0.0, shear=0.0, stretch=(1.0, 1.0), shift=(0.0, 0.0)):
    """All images, moved in the same way."""
    n, height, width, _ = images.shape
    stretches, shifts = (np.tile(np.reshape(pair, (2, 1)).astype(float), n) for pair in (stretch, shift))
    maps = affine_maps(np.full(n, angle), np.full(n, shear), stretches, shifts)
    return warp(images, *positions(maps, height, width))


def naive_warp(image, rows, columns):
    """Bilinear interpolation, pixel by pixel; 0 outside."""
    height, width, channels = image.shape

    def pixel(row, column):
        inside = 0 <= row < height and 0 <= column < width
        return image[row, column].astype(float) if inside else np.zeros(channels)

    result = np.zeros((*rows.shape, channels))
    for place in np.ndindex(rows.shape):
        top, left = math.floor(rows[place]), math.floor(columns[place])
        down, right = rows[place] - top, columns[place] - left
        upper = (1 - right) * pixel(top, left) + right * pixel(top, left + 1)
        lower = (1 - right) * pixel(top + 1, left) + right * pixel(top + 1, left + 1)
        result[place] = (1 - down) * upper + down * lower
    return result


@given(
    n=st.integers(1, 3),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 3)),
    new_size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    reach=st.sampled_from([1.0, 4.0, 1e9]),
    seed=st.integers(0, 99),
)
def test_warp_equals_naive_loops(n, size, new_size, reach, seed):
    images = rng(seed).random((n, *size))
    rows, columns = rng(seed + 1).uniform(-reach, reach + 3, (2, n, *new_size))
    expected = [naive_warp(*args) for args in zip(images, rows, columns, strict=True)]
    np.testing.assert_allclose(warp(images, rows, columns), expected, atol=1e-12)


def test_warp_rounds_uint8_and_keeps_float_dtypes():
    images = np.array([10, 20], np.uint8).reshape(1, 1, 2, 1)
    rows, columns = np.zeros((1, 1, 3)), np.array([[[0.0, 0.26, 0.94]]])
    assert warp(images, rows, columns).ravel().tolist() == [10, 13, 19]
    for dtype, exact in [(np.float16, 1e-3), (np.float32, 1e-6), (np.float64, 1e-14), (">f4", 1e-6)]:
        result = warp(images.astype(dtype), rows, columns)
        assert result.dtype == np.dtype(dtype)
        np.testing.assert_allclose(result.ravel().astype(float), [10, 12.6, 19.4], rtol=exact)


@pytest.mark.parametrize("shift", [(0, 0), (2, 0), (0, -3), (-1, 4), (9, 9)])
def test_whole_shifts_equal_roll_with_zeros(shift):
    images = random_images(3, 6, 7, 2)
    padded = np.pad(images, ((0, 0), (9, 9), (9, 9), (0, 0)))
    expected = np.roll(padded, shift, axis=(1, 2))[:, 9:-9, 9:-9]
    np.testing.assert_array_equal(moved(images, shift=shift), expected)


@pytest.mark.parametrize("quarters", [-1, 1, 2, 3])
@pytest.mark.parametrize("size", [5, 8])
def test_rotation_by_right_angles_equals_rot90(quarters, size):
    images = random_images(3, size, size, 2)
    expected = np.rot90(images, quarters, axes=(1, 2))
    np.testing.assert_array_equal(moved(images, angle=quarters * math.pi / 2), expected)


def test_affine_maps_move_a_point_as_calculated_by_hand():
    # 4 below and 6 right of the middle; shifted by (1, 2), stretched by (1.2, 0.5): (6, 4); sheared by 0.5,
    # the column loses half of the row: (6, 1); turned by 90 degrees counter-clockwise: 1 above, 6 right.
    image = blob(24, 26)
    place = {"shift": (1, 2), "stretch": (1.2, 0.5), "shear": 0.5, "angle": math.pi / 2}
    np.testing.assert_allclose(centres(moved(image, **place)), [[-1, 6]], atol=1e-3)


@pytest.mark.parametrize(
    ("change", "factor"),
    [
        ({"angle": 0.3}, 1),
        ({"shear": 0.4}, 1),
        ({"shift": (1.3, -2.6)}, 1),
        ({"stretch": (2, 1)}, 2),
        ({"stretch": (1, 0.5)}, 0.5),
    ],
)
def test_mass_is_conserved_or_grows_with_the_area(change, factor):
    image = blob(22, 17)
    assert moved(image, **change).sum() == pytest.approx(factor * image.sum(), rel=1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_augment_by_nothing_returns_an_equal_copy(dtype):
    images = random_images(3, 5, 4, 2, dtype=dtype)
    result = Augment(**STILL)(images, rng())
    np.testing.assert_array_equal(result, images)
    assert result.dtype == dtype
    assert not np.shares_memory(result, images)


def test_augment_shifts_uniformly_up_to_the_limit():
    images = np.repeat(blob(20, 20), 400, axis=0)
    found = centres(Augment(**STILL | {"shift": 3})(images, rng()))
    assert 2.9 < abs(found).max() <= 3.001
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=4 * math.sqrt(3 / 400))
    np.testing.assert_allclose(found.std(axis=0), math.sqrt(3), rtol=0.1)  # 3**2 / 3
    assert abs(np.corrcoef(found.T)[0, 1]) < 0.2


def test_augment_rotates_up_to_the_limit_in_degrees():
    images = np.repeat(blob(20, 30), 200, axis=0)  # 10 right of the middle
    row, column = centres(Augment(**STILL | {"rotation": 30})(images, rng())).T
    np.testing.assert_allclose(np.hypot(row, column), 10, atol=0.05)
    degrees = np.degrees(np.arctan2(row, column))
    assert -30.1 < degrees.min() < -28
    assert 28 < degrees.max() < 30.1


def test_augment_shears_up_to_the_limit():
    images = np.repeat(blob(30, 20), 200, axis=0)  # 10 below the middle
    row, column = centres(Augment(**STILL | {"shear": 0.5})(images, rng())).T
    np.testing.assert_allclose(row, 10, atol=0.05)
    assert 4.8 < abs(column).max() <= 5.01


def test_augment_stretches_both_directions_up_to_the_limit():
    images = np.repeat(blob(30, 30), 200, axis=0)
    found = centres(Augment(**STILL | {"scale": 0.25})(images, rng())) / 10
    assert (found.min(axis=0) < 0.78).all()
    assert (found.max(axis=0) > 1.22).all()
    assert abs(found - 1).max() < 0.26
    assert abs(np.corrcoef(found.T)[0, 1]) < 0.2


def test_augment_flips_about_half_of_the_images():
    images = random_images(200, 4, 5, 1)
    result = Augment(**STILL, flip=True)(images, rng())
    flipped = (result == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert 70 < flipped.sum() < 130
    np.testing.assert_array_equal(result[~flipped], images[~flipped])


def test_elastic_field_has_the_statistics_of_smoothed_noise():
    sigma = 3.0
    field = elastic_field(2000, 24, 20, sigma, rng())
    assert field.dtype == np.float32
    assert field.shape == (2, 2000, 24, 20)
    np.testing.assert_allclose(field.mean(axis=1), 0, atol=5 / math.sqrt(2000))
    np.testing.assert_allclose(field.std(axis=1), 1, atol=5 / math.sqrt(2 * 2000))
    # White noise, smoothed by a Gaussian, is correlated as exp(-d**2 / (4 sigma**2)).
    for distance in (1, 3, 6):
        expected = math.exp(-(distance**2) / (4 * sigma**2))
        assert (field[:, :, 12, 10] * field[:, :, 12 + distance, 10]).mean() == pytest.approx(
            expected, abs=0.06
        )
        assert (field[:, :, 12, 10] * field[:, :, 12, 10 - distance]).mean() == pytest.approx(
            expected, abs=0.06
        )
    assert abs((field[0] * field[1]).mean(axis=0)).max() < 5 / math.sqrt(2000)


def test_augment_bends_by_as_many_pixels_as_asked():
    images = np.repeat(blob(20, 20), 200, axis=0)
    found = centres(Augment(**STILL | {"elastic": 1.5, "elastic_sigma": 20.0})(images, rng()))
    np.testing.assert_allclose(found.std(axis=0), 1.5, rtol=0.15)


def test_augment_is_determined_by_the_generator():
    images = random_images(50, 9, 8, 2)
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002
    first = EVERYTHING(images, rng(1))
    np.testing.assert_array_equal(first, EVERYTHING(images, rng(1)))
    assert (first != EVERYTHING(images, rng(2))).mean() > 0.9
    assert np.random.get_state()[1].tobytes() == before  # noqa: NPY002


def test_augment_distorts_each_image_in_its_own_way_and_its_channels_together():
    image = random_images(1, 28, 28, 1)
    result = EVERYTHING(np.tile(image, (100, 1, 1, 3)), rng())
    assert len({one.tobytes() for one in result}) == 100
    np.testing.assert_array_equal(result, np.repeat(result[..., :1], 3, axis=3))


@pytest.mark.parametrize(
    "shape", [(1, 28, 28, 1), (1, 1, 1, 1), (2, 3, 200, 40), (0, 28, 28, 1), (4, 0, 3, 1)]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
def test_augment_keeps_shape_dtype_and_range(shape, dtype):
    images = random_images(*shape, dtype=dtype)
    result = EVERYTHING(images, rng())
    assert result.shape == shape
    assert result.dtype == dtype
    assert result.min(initial=0) >= 0
    assert result.max(initial=0) <= images.max(initial=0) * 1.001


def test_augment_never_writes_into_its_input():
    images = random_images(30, 28, 28, 1)
    copy = images.copy()
    images.setflags(write=False)
    for view in (images, images[:, ::2, ::-1], np.asfortranarray(images)):
        result = EVERYTHING(view, rng())
        np.testing.assert_array_equal(result, EVERYTHING(np.ascontiguousarray(view), rng()))
        assert not np.shares_memory(result, images)
    np.testing.assert_array_equal(images, copy)


def test_augment_survives_the_wildest_amounts():
    wild = Augment(shift=9e5, rotation=9e5, shear=9e5, scale=1 - 1e-15, elastic=9e5, elastic_sigma=9e5)
    assert np.isfinite(wild(random_images(20, 5, 5, 1, dtype=np.float32), rng())).all()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("shift", -1, r"`shift` must be in \[0, 1e\+06\), got -1"),
        ("rotation", math.nan, "`rotation` must be in"),
        ("shear", math.inf, "`shear` must be in"),
        ("scale", 1, r"`scale` must be in \[0, 1\), got 1"),
        ("elastic", -0.5, "`elastic` must be in"),
        ("elastic_sigma", 0, r"`elastic_sigma` must be in \[0.1, 1e\+06\), got 0"),
    ],
)
def test_augment_refuses_amounts_out_of_range(name, value, message):
    with pytest.raises(ValueError, match=message):
        Augment(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("shift", "2"), ("elastic", (1, 4)), ("scale", None), ("flip", 1)]
)
def test_augment_refuses_amounts_of_another_type(name, value):
    with pytest.raises(TypeError, match=f"`{name}` must be "):
        Augment(**{name: value})


def test_augment_refuses_what_are_no_images():
    with pytest.raises(ValueError, match=r"must have shape \(N, H, W, C\), got \(28, 28\)"):
        Augment()(np.zeros((28, 28)), rng())
    with pytest.raises(TypeError, match="`images` must be an array of uint8 or float, got ndarray of int64"):
        Augment()(np.zeros((1, 2, 2, 1), np.int64), rng())
    with pytest.raises(TypeError, match="`images` must be an array of uint8 or float, got list"):
        Augment()([[[[1.0]]]], rng())


def test_augment_refuses_a_seed_for_a_generator():
    with pytest.raises(TypeError, match=r"`rng` must be a np.random.Generator, got int"):
        Augment()(np.zeros((1, 2, 2, 1)), 0)


@pytest.mark.parametrize("background", [0.0, 200.0, (10.0, 20.0, 30.0), "edge"])
def test_augment_fills_what_is_outside(background):
    x = np.full((3, 5, 5, 3), (90, 91, 92), np.uint8)
    far = Augment(shift=100, rotation=0, shear=0, scale=0, background=background)(x, rng(3))
    expected = (90, 91, 92) if background == "edge" else np.broadcast_to(background, 3)
    assert (far == np.asarray(expected, np.uint8)).all(axis=3).any(axis=(1, 2)).all()
    still = Augment(0, 0, 0, 0, 1e-9, background=background)(x, rng())
    assert np.array_equal(still, x)
