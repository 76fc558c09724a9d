import pytest

from minicnn.models import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_each_registered_model_builds_for_mnists_images(name):
    model, side = MODELS[name].make(7), max(MODELS[name].min_size, 28)
    assert model.build((side, side, 1), rng=0).output_shape == (7,)


def test_the_lenet_of_1998_is_too_deep_for_images_without_padding():
    with pytest.raises(ValueError, match="does not fit"):
        MODELS["lenet5-1998"].make(10).build((28, 28, 1), rng=0)
