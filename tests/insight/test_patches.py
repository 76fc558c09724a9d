import numpy as np
import pytest

from minicnn import (
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    Pool2D,
    ReLU,
    Residual,
    Sequential,
    Upsampling2D,
    ZeroPadding2D,
)
from minicnn.insight import Trace, receptive_field, strongest_patches


def net():
    layers = [
        Conv2D(2, (3, 2), strides=(2, 1), padding="same"),
        ReLU(),
        Pool2D(2, 1),
        Conv2D(3, 2, dilation=2),
    ]
    return Sequential([*layers, Flatten(), Dense(2)]).build((13, 9, 1), rng=0, dtype=np.float64)


def branched():
    layers = [
        ZeroPadding2D(((1, 0), (0, 2))),
        Residual([Conv2D(1, 3, padding="same"), ReLU(), Residual(Conv2D(1, (1, 3), padding="same"))]),
        Concatenate(
            [[], Sequential([Pool2D(2, 1, ((0, 1), (1, 0)), "avg")]), Conv2D(1, 3, 1, ((0, 2), (2, 0)))]
        ),
        Residual([Conv2D(2, 2, 2)], shortcut=[Conv2D(2, 1, 2)]),
    ]
    return Sequential([*layers, Flatten(), Dense(2)]).build((13, 10, 1), rng=0, dtype=np.float64)


class Held(Layer):
    """A layer of one's own that computes other layers one after the other."""

    def __init__(self, *layers):
        self.layers = layers

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def init_params(self, input_shape, rng):
        for layer in self.layers:
            input_shape = layer.build(input_shape, rng).output_shape


class Mean(Layer):
    """Adds the mean of the image, so that all pixels are seen."""

    def forward(self, x):
        return x + x.mean(axis=(1, 2), keepdims=True)


def own():
    layers = [
        Conv2D(1, 2),
        Held(Conv2D(1, 3, padding="same"), ReLU(), Dropout(0.5)),
        Held(Conv2D(1, (3, 2), (2, 1), ((1, 0), (0, 2)))),
        ReLU(),
    ]
    return Sequential([*layers, Flatten(), Dense(2)]).build((13, 9, 1), rng=0, dtype=np.float64)


def seeing_all():
    layers = [Conv2D(1, 2), Mean(), Conv2D(1, 3), ReLU()]
    return Sequential([*layers, Flatten(), Dense(2)]).build((13, 9, 1), rng=0, dtype=np.float64)


@pytest.mark.parametrize("net", [net, branched, own, seeing_all])
@pytest.mark.parametrize("cell", [(0, 0), (2, 3), (3, 5)])
def test_receptive_field_holds_the_pixels_that_change_the_cell(cell, net):
    model = net()
    for layer in model.layers[:4]:
        for parameter in layer.parameters():
            parameter.value = np.ones(parameter.shape)  # nothing cancels, ReLU lets everything through
    if isinstance(model.layers[2], Pool2D):
        model.layers[2].mode = "avg"
    rows, columns = receptive_field(model, 3, *cell)
    height, width, _ = model.input_shape
    base = Trace(model, np.zeros((1, height, width, 1))).outputs[3][0][cell]
    pixels = np.eye(height * width).reshape(-1, height, width, 1)
    changed = (Trace(model, pixels).outputs[3][:, *cell, 0] != base[0]).reshape(height, width)
    seen_rows, seen_columns = np.nonzero(changed.any(axis=1))[0], np.nonzero(changed.any(axis=0))[0]
    assert (max(rows.start, 0), min(rows.stop, height)) == (seen_rows[0], seen_rows[-1] + 1)
    assert (max(columns.start, 0), min(columns.stop, width)) == (seen_columns[0], seen_columns[-1] + 1)


def test_strongest_patches_find_a_pattern_where_it_was_hidden():
    rng = np.random.default_rng(0)
    pattern = np.array([[1.0, 0, 1], [0, 1, 0], [1, 0, 1]])
    model = Sequential([Conv2D(2, 3, padding="same")]).build((8, 8, 1), rng=0, dtype=np.float64)
    model[0].kernel.value = np.stack([np.zeros((3, 3)), pattern - 0.5], axis=-1)[:, :, np.newaxis]
    images = 0.1 * rng.random((600, 8, 8, 1))  # more than fit into a batch
    places = {7: (2, 3), 300: (5, 0), 599: (0, 5)}
    for strength, (i, (row, column)) in zip((0.8, 1.0, 0.9), places.items(), strict=True):
        images[i, row : row + 3, column : column + 3, 0] = strength * pattern
    found = strongest_patches(model, images, 0, 1, count=3)
    assert found.images.tolist() == [300, 599, 7]
    np.testing.assert_allclose(found.values, [2.5, 2.25, 2.0], rtol=1e-12)
    for pixels, i, (rows, columns) in zip(found.pixels, found.images, found.windows, strict=True):
        assert (rows.start, columns.start) == places[int(i)]
        assert np.array_equal(pixels, images[i, rows, columns])


def test_patches_at_the_border_are_filled_up_with_zeros():
    model = Sequential([Conv2D(1, 3, padding="same")]).build((4, 4, 1), rng=0)
    model[0].kernel.value = np.ones((3, 3, 1, 1))
    image = np.zeros((1, 4, 4, 1), np.uint8)
    image[0, 0, 3] = 255
    found = strongest_patches(model, image, 0, 0)
    ((rows, columns),) = found.windows
    assert (rows, columns) == (slice(-1, 2), slice(1, 4))  # the first of the cells that see it
    assert found.pixels[0, ..., 0].tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 0]]


def test_patches_need_maps_and_windows():
    model, images = net(), np.zeros((2, 13, 9, 1))
    with pytest.raises(ValueError, match=r"must have maps .* got 5 and 0 for an output of shape \(2,\)"):
        strongest_patches(model, images, 5, 0)
    with pytest.raises(ValueError, match="got 0 and 2"):
        strongest_patches(model, images, 0, 2)
    with pytest.raises(ValueError, match=r"must be convolutions, pooling, .* got Flatten\(\)"):
        receptive_field(model, 4, 0, 0)
    with pytest.raises(ValueError, match="`images` must hold at least 1 image, got none"):
        strongest_patches(model, images[:0], 0, 0)


def test_receptive_field_refuses_containers_of_other_layers():
    model = Sequential([Residual([Pool2D(2), Upsampling2D(2)])]).build((4, 4, 1))
    with pytest.raises(ValueError, match=r"must be convolutions, pooling, .* got Upsampling2D\(\)"):
        receptive_field(model, 0, 0, 0)
