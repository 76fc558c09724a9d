import numpy as np
import pytest

from minicnn import Conv2D, Dense, Flatten, ReLU, Rescaling, Sequential
from minicnn.insight import class_gradient, grad_cam, occlusion, strongest_patches
from minicnn.ops.activations import softmax
from minicnn.plots import patches, saliency
from minicnn.plots.style import new_axes


@pytest.fixture(scope="module")
def net():
    return Sequential([Conv2D(3, 3), ReLU(), Flatten(), Dense(4)]).build((8, 7, 3), rng=0)


def test_saliency_draws_what_insight_computes(net):
    image = np.random.default_rng(0).random((8, 7, 3), np.float32)
    figure = saliency(net, image, 2, ["ant", "bee", "cow", "dog"])
    shown, gradient, covered, cam = figure.axes[:4]
    share = softmax(net.predict(image[np.newaxis]))[0, 2]
    assert shown.get_title(loc="left") == f"P(cow) = {100 * share:.0f} %"
    np.testing.assert_array_equal(gradient.images[0].get_array(), class_gradient(net, image, 2).sum(axis=-1))
    np.testing.assert_array_equal(covered.images[0].get_array(), occlusion(net, image, 2))
    heat = cam.images[-1]
    np.testing.assert_array_equal(heat.get_array(), grad_cam(net, image, 2))
    assert heat.get_extent() == [-0.5, 6.5, 7.5, -0.5]  # over the whole image
    assert [bar.get_xlabel() for bar in figure.axes[4:]] == [
        *("pixel value", "gradient of the logit", "decrease of the logit", "weighted maps")
    ]
    figure.draw_without_rendering()


def test_saliency_explains_the_predicted_class(net):
    image = np.random.default_rng(1).integers(0, 256, (8, 7, 3)).astype(np.uint8)
    answer = net.predict(image[np.newaxis]).argmax()
    assert saliency(net, image).axes[0].get_title(loc="left").startswith(f"P({answer}) = ")


def test_a_net_without_maps_has_no_grad_cam():
    image = np.random.default_rng(1).random((8, 7, 3), np.float32)
    dense = Sequential([Flatten(), Dense(4)]).build((8, 7, 3), rng=0)
    titles = ["Gradient", "Occlusion, 5x5"]
    figure = saliency(dense, image)
    assert [axes.get_title(loc="left") for axes in figure.axes[1:3]] == titles
    assert len(figure.axes) == 6  # with the colour bars
    axes = new_axes(4, 4, columns=2, rows=2)
    saliency(dense, image, axes=axes)
    assert [ax.axison for ax in axes] == [True, True, True, False]
    np.testing.assert_array_equal(axes[1].images[0].get_array(), figure.axes[1].images[0].get_array())


def test_patches_are_the_strongest_with_their_values(net):
    images = np.random.default_rng(2).random((20, 8, 7, 1), np.float32)
    model = Sequential([Conv2D(2, 3, padding="same")]).build((8, 7, 1), rng=0)
    found = strongest_patches(model, images, 0, 1, count=3)
    figure = patches(model, images, 0, 1, count=3)
    (axes,) = figure.axes
    for shown, pixels in zip(axes.images, found.pixels, strict=True):
        assert np.array_equal(shown.get_array(), pixels[..., 0])
    assert [text.get_text() for text in axes.texts][::2] == [f"{value:.3g}" for value in found.values]
    assert axes.get_title(loc="left") == "Strongest patches of channel 1, layer 0, in 20 images: 3x3"
    figure.draw_without_rendering()


def test_a_model_that_scales_its_images_gives_the_same_pictures(net):
    scaling = Sequential([Rescaling(1 / 255), Conv2D(3, 3), ReLU(), Flatten(), Dense(4)])
    scaling.build((8, 7, 3), rng=0).set_weights(net.get_weights())
    images = np.random.default_rng(4).integers(0, 256, (5, 8, 7, 3)).astype(np.uint8)
    plain, scaled = saliency(net, images[0]), saliency(scaling, images[0])
    assert plain.axes[0].get_title(loc="left") == scaled.axes[0].get_title(loc="left")
    ours, theirs = patches(net, images, 0, 1).axes[0], patches(scaling, images, 1, 1).axes[0]
    for pairs in ((plain.axes[0].images, scaled.axes[0].images), (ours.images, theirs.images)):
        for one, other in zip(*pairs, strict=True):
            np.testing.assert_array_equal(one.get_array(), other.get_array())


def test_saliency_of_a_blank_image_is_transparent(net):
    net[0].bias.value = -np.ones(3)
    figure = saliency(net, np.zeros((8, 7, 3), np.float32), 0, ["a name that is longer than a picture"] * 4)
    figure.draw_without_rendering()
    assert figure.axes[3].images[-1].get_clim() == (0, 1)
    first, second = (axes._left_title.get_window_extent() for axes in figure.axes[:2])
    assert first.x1 <= second.x0
