import numpy as np
import pytest

from minicnn import Dense, Layer
from minicnn.testing import CHECKS, PRESETS, LayerCheckError, check_layer
from minicnn.testing.running import chosen_checks


def test_each_check_is_mathematics_or_contract():
    assert sorted(PRESETS["mathematics"] + PRESETS["contract"]) == sorted(CHECKS)
    assert set(PRESETS["gradients"]) < set(PRESETS["mathematics"])


def test_a_string_is_a_preset_or_a_check():
    assert chosen_checks((), "gradients") == ["shapes", "linearity", "gradients", "ties", "kinks"]
    assert chosen_checks((), ("gradients",)) == ["gradients"]
    assert chosen_checks((), "repr") == ["repr"]
    assert set(chosen_checks("contract")) == set(PRESETS["mathematics"])
    assert chosen_checks("ties", "gradients") == ["shapes", "linearity", "gradients", "kinks"]


@pytest.mark.parametrize("names", ["nothing", ("repr", "contract")])
def test_unknown_names_raise_a_clear_error(names):
    with pytest.raises(ValueError, match=r"check names must be among .* or one of the presets 'gradients'"):
        check_layer(Dense(2), (3,), only=names)


class Stubborn(Layer):
    """Right gradients, in float64 only, and a repr that fails."""

    def forward(self, x):
        self.cache = x
        return (np.float64(2) * x).astype(np.float64)

    def backward(self, dy):
        return 2 * dy

    def __repr__(self):
        raise RuntimeError("no")


def test_presets_divide_what_is_wrong():
    check_layer(Stubborn(), (3,), only="gradients")
    with pytest.raises(LayerCheckError) as caught:
        check_layer(Stubborn(), (3,), only="mathematics")
    assert caught.value.checks[0] == "dtypes"
    with pytest.raises(LayerCheckError) as caught:
        check_layer(Stubborn(), (3,), only="contract")
    assert caught.value.checks == ["repr"]
