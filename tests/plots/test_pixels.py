"""Images of any kind can be drawn: floats of any range, any number of channels."""

import numpy as np
import pytest

from minicnn import Conv2D, Dense, Flatten, Sequential, plots
from minicnn.plots.pixels import to_pixels

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (5, 6, 7, 3)).astype(np.uint8)


def test_bytes_and_their_floats_are_drawn_alike():
    assert to_pixels(BYTES).tolist() == BYTES.tolist()
    np.testing.assert_allclose(to_pixels((BYTES / 255).astype(np.float32)), BYTES / 255, rtol=1e-6)


@pytest.mark.parametrize(("low", "high"), [(0, 255), (-1, 1), (-2.1, 2.6), (-9, -3), (7, 7)])
def test_other_ranges_are_spread_from_black_to_white(low, high):
    values = RNG.uniform(low, high, (5, 6, 7, 3))
    values[0, 0, 0], values[-1, 0, 0] = low, high
    pixels = to_pixels(values)
    np.testing.assert_allclose(pixels, (values - low) / max(high - low, 1e-300), atol=1e-12)


def test_channels_that_are_no_colours_are_drawn():
    assert to_pixels(BYTES[..., :1]).shape == to_pixels(BYTES[..., :2]).shape == (5, 6, 7)
    np.testing.assert_allclose(to_pixels(BYTES[..., :2]), np.floor(BYTES[..., :2].mean(axis=-1)))
    four = np.concatenate([BYTES, BYTES[..., :1]], axis=-1)
    np.testing.assert_allclose(to_pixels(four), BYTES)


@pytest.mark.parametrize("channels", [2, *(pytest.param(n, marks=pytest.mark.ci) for n in (1, 3, 5))])
def test_no_picture_of_images_fails_or_says_something(channels, logged):
    images = RNG.normal(size=(4, 9, 8, channels)).astype(np.float32)
    images[0, 0, 0, 0] = 2.5
    model = Sequential([Conv2D(2, 3), Flatten(), Dense(3)]).build(images.shape[1:], rng=0)
    logits = model.predict(images)
    for figure in (
        plots.mistakes(images, (logits.argmax(axis=1) + 1) % 3, logits),
        plots.batch(images, [0, 1, 2, 0], augment=lambda x, rng: -x),
        plots.saliency(model, images[0]),
        plots.patches(model, images, 0, 1),
    ):
        figure.canvas.draw()
    assert logged == []
