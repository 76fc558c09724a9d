import numpy as np
import pytest

from minicnn.insight import last_hidden, principal_components
from minicnn.models import lenet5


def test_principal_components_are_those_of_the_covariance():
    features = np.random.default_rng(0).normal(size=(50, 4)) @ np.diag([1.0, 5.0, 0.1, 3.0])
    coordinates, shares = principal_components(features, 2)
    values, vectors = np.linalg.eigh(np.cov(features.T))
    np.testing.assert_allclose(shares, values[:-3:-1] / values.sum(), rtol=1e-10)
    projected = (features - features.mean(axis=0)) @ vectors[:, :-3:-1]
    signs = np.sign((projected * coordinates).sum(axis=0))
    np.testing.assert_allclose(coordinates, projected * signs, rtol=1e-8, atol=1e-10)
    # The fourth and second axis vary most, so the directions point along them, in the positive sense.
    assert np.corrcoef(coordinates[:, 0], features[:, 1])[0, 1] > 0.9
    assert np.corrcoef(coordinates[:, 1], features[:, 3])[0, 1] > 0.9


def test_principal_components_of_points_that_coincide():
    coordinates, shares = principal_components(np.ones((5, 3)))
    assert not coordinates.any()
    assert not shares.any()


def test_principal_components_need_enough_points():
    with pytest.raises(ValueError, match=r"with N and D at least 2, got \(1, 3\)"):
        principal_components(np.ones((1, 3)))


def test_last_hidden_is_what_the_last_layer_turns_into_logits():
    model = lenet5().build((28, 28, 1), rng=0)
    images = np.random.default_rng(0).integers(0, 256, (300, 28, 28, 1)).astype(np.uint8)
    hidden = last_hidden(model, images)
    assert hidden.shape == (300, 84)
    np.testing.assert_allclose(model[11](hidden), model.predict(images), rtol=1e-5, atol=1e-5)
