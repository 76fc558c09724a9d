import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure

from minicnn import Conv2D, Dense, Flatten, ReLU, Sequential
from minicnn.insight import Trace
from minicnn.plots import feature_maps, kernels


def test_kernels_stand_by_channel_and_filter():
    kernel = np.random.default_rng(0).normal(size=(3, 2, 4, 5))
    figure = kernels(kernel)
    axes, bar = figure.axes
    drawn = np.ma.filled(axes.images[0].get_array(), np.nan)
    for channel in range(4):
        for one in range(5):
            part = drawn[channel * 4 : channel * 4 + 3, one * 3 : one * 3 + 2]  # with a gap of 1
            assert np.array_equal(part, kernel[:, :, channel, one])
    low, high = axes.images[0].get_clim()
    assert high == -low == np.abs(kernel).max()
    assert axes.get_title(loc="left") == "3x2 kernels: 5 filters, 4 channels"
    assert (axes.get_xlabel(), axes.get_ylabel(), bar.get_ylabel()) == ("filter", "channel", "weight")
    assert axes.get_yticks().tolist() == [1, 5, 9, 13]
    figure.draw_without_rendering()


def test_kernels_says_how_many_it_leaves_out():
    figure = kernels(np.ones((1, 1, 3, 9)), limit=2)
    assert figure.axes[0].get_title(loc="left") == "1x1 kernels: 2 of 9 filters, 2 of 3 channels"
    with pytest.raises(ValueError, match=r"`kernel` must be \(kh, kw, channels, filters\), got \(3, 3\)"):
        kernels(np.ones((3, 3)))


def net():
    layers = [Conv2D(3, 3), ReLU(), Flatten(), Dense(50), Dense(2)]
    return Sequential(layers).build((6, 5, 1), rng=0)


def test_feature_maps_show_the_output_of_each_layer():
    model, image = net(), np.random.default_rng(0).integers(0, 256, (6, 5, 1)).astype(np.uint8)
    figure = feature_maps(model, image, ["cat", "dog"], limit=2)
    outputs = [out[0] for out in Trace(model, image[np.newaxis]).outputs]
    first, conv, relu, dense, logits = figure.axes  # Flatten changes no value
    drawn = [np.ma.filled(axes.images[0].get_array(), np.nan) for axes in figure.axes]
    assert np.array_equal(drawn[0], image[..., 0] / np.float32(255))
    for pixels, output in zip(drawn[1:3], outputs[:2], strict=True):
        assert pixels.shape == (4, 3 + 1 + 3)
        assert np.array_equal(pixels[:, :3], output[..., 0])
        assert np.array_equal(pixels[:, 4:], output[..., 1])
    # 42 values in a row, each as a square of 8 pixels, with gaps of one.
    assert np.array_equal(drawn[3][4, 4::9], outputs[3][:42])
    assert np.array_equal(drawn[3][13, 4::9][:8], outputs[3][42:])
    assert np.array_equal(drawn[4][4, 4::9], outputs[4])
    assert [label.get_text() for label in logits.get_xticklabels()] == ["cat", "dog"]
    assert conv.get_ylabel() == f"0 Conv2D\n4x3x3\nup to {np.abs(outputs[0]).max():.3g}"
    assert relu.images[0].get_clim()[0] == 0 > conv.images[0].get_clim()[0]
    assert dense.get_ylabel().startswith("3 Dense\n50\n")
    assert first.get_ylabel().startswith("image")
    figure.draw_without_rendering()


def test_feature_maps_draw_on_given_axes():
    figure = Figure()
    axes = figure.subplots(5, 1)
    assert feature_maps(net(), np.ones((6, 5, 1)), axes=axes) is figure
    assert all(len(ax.images) == 1 for ax in axes)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 3, 64, 3), (3, 3, 2, 64)])
def test_kernels_have_room_for_their_title(shape):
    figure = kernels(np.ones(shape))
    figure.draw_without_rendering()
    assert figure.axes[0]._left_title.get_window_extent().x1 <= figure.bbox.x1


def test_kernels_without_weights_are_refused():
    with pytest.raises(ValueError, match=r"got \(3, 3, 0, 4\)"):
        kernels(np.ones((3, 3, 0, 4)))


def test_feature_maps_leave_room_for_long_names():
    figure = feature_maps(
        net(), np.ones((6, 5, 1)), ["a cat of the longest kind", "a dog of the longest kind"]
    )
    figure.draw_without_rendering()
    rows = [axes.yaxis.label.get_window_extent() for axes in figure.axes]
    assert all(lower.y1 <= upper.y0 for upper, lower in itertools.pairwise(rows))
    assert min(label.get_window_extent().y0 for label in figure.axes[-1].get_xticklabels()) >= 0


def test_feature_maps_of_a_model_that_changes_no_number():
    figure = feature_maps(Sequential([Flatten()]).build((4, 4, 1)), np.ones((4, 4, 1)))
    assert [axes.get_ylabel() for axes in figure.axes] == ["image\n4x4x1\nup to 1"]
