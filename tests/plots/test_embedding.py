import numpy as np
import pytest

from minicnn import Dense, ReLU, Sequential
from minicnn.insight import last_hidden, principal_components
from minicnn.plots import embedding


def test_embedding_draws_each_class_at_its_principal_components():
    model = Sequential([Dense(6), ReLU(), Dense(2)]).build((3,), rng=0)
    x, labels = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 10
    places, shares = principal_components(last_hidden(model, x))
    figure = embedding(model, x, labels, [f"class {k}" for k in range(10)])
    (axes,) = figure.axes
    for label, points in enumerate(axes.lines):
        assert np.array_equal(points.get_xydata(), places[labels == label])
    assert [text.get_text() for text in axes.texts] == [f"class {k}" for k in range(10)]
    assert len({(points.get_color(), points.get_marker()) for points in axes.lines}) == 10
    assert axes.get_xlabel() == f"first principal component ({100 * shares[0]:.0f} % of the variance)"
    figure.draw_without_rendering()


def test_embedding_needs_two_images():
    model = Sequential([Dense(6), ReLU(), Dense(2)]).build((3,), rng=0)
    with pytest.raises(ValueError, match="`images` must hold at least 2 images, got 1"):
        embedding(model, np.ones((1, 3)), np.zeros(1, int))
