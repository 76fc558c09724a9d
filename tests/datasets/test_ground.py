"""An augmentation whose background is not the ground of the images."""

import warnings

import numpy as np
import pytest

from minicnn.datasets import Augment, load_mnist

(DIGITS, _), _ = load_mnist()
DIGITS = DIGITS[:64]
UNIT = DIGITS / np.float32(255)
PHOTOS = np.random.default_rng(0).integers(0, 256, (64, 28, 28, 3), dtype=np.uint8)
GROUNDS = {
    "white paper": (255 - DIGITS, "255 along their border, but background=0"),
    "white floats": (1 - UNIT, "1 along"),
    "standardized": ((UNIT - UNIT.mean()) / UNIT.std(), "-0.4"),
    "signed": (UNIT * 2 - 1, "-1 along"),
}


@pytest.mark.parametrize("name", GROUNDS)
def test_a_ground_that_is_not_the_background_is_warned_of(name):
    images, message = GROUNDS[name]
    with pytest.warns(UserWarning, match=f"most images have the value {message}"):
        Augment()(images, np.random.default_rng(0))
    ground = float(images[0, 0, 0, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for background in (ground, "edge"):
            found = Augment(background=background)(images, np.random.default_rng(0))
    np.testing.assert_allclose(found[:, 0, 0, 0], ground, rtol=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("images", [DIGITS, UNIT, PHOTOS, PHOTOS[:1], DIGITS[:1] * 0, DIGITS[:0]])
def test_other_images_are_not(images):
    Augment()(images, np.random.default_rng(0))
