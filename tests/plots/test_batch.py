import numpy as np

from minicnn.plots import batch

IMAGES = np.arange(20 * 12, dtype=np.uint8).reshape(20, 4, 3, 1)
LABELS = np.arange(20) % 3


def test_batch_shows_the_first_images_and_their_labels():
    figure = batch(IMAGES, LABELS, count=10)
    (axes,) = figure.axes
    for shown, image in zip(axes.images, IMAGES[:10], strict=True):
        assert np.array_equal(shown.get_array(), image[..., 0])
    assert [text.get_text() for text in axes.texts][::2] == [str(k) for k in LABELS[:10]]
    assert axes.get_title(loc="left") == "10 images with their labels"
    figure.draw_without_rendering()


def test_batch_shows_under_each_image_the_augmented_one():
    figure = batch(
        IMAGES, LABELS, ["ant", "bee", "cow"], lambda x, rng: x[:, ::-1] + rng.integers(5), 7, count=3
    )
    (axes,) = figure.axes
    added = np.random.default_rng(7).integers(5)
    for shown, image in zip(axes.images, IMAGES[:3], strict=True):
        pixels = np.asarray(shown.get_array())
        assert np.array_equal(pixels[:4], image[..., 0])
        assert (pixels[4] == 255).all()
        assert np.array_equal(pixels[5:], image[::-1, :, 0] + added)
    assert [text.get_text() for text in axes.texts][::2] == ["ant", "bee", "cow"]
