"""Right layers in the styles of many people: none is refused, and only conventions get a remark."""

import warnings

import pytest

from minicnn import Sequential
from minicnn.testing import LayerCheckRemark, check_layer
from minicnn.testing.styles import STYLES


def accept(name, seed):
    style = STYLES[name]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_layer(style.make(), style.input_shape, rng=seed, inputs=style.inputs)
    assert all(warning.category is LayerCheckRemark for warning in caught)
    remarks = [str(warning.message) for warning in caught]
    assert len(remarks) == bool(style.remark), remarks
    assert all(style.remark in remark for remark in remarks)


@pytest.mark.parametrize("name", [n for i, (n, s) in enumerate(STYLES.items()) if s.remark or i % 8 == 0])
def test_a_right_layer_is_accepted(name):
    accept(name, seed=0)


@pytest.mark.parametrize(("name", "seed"), [("Exponential(6)", 81), ("Exponential(6)", 97)])
def test_a_right_layer_is_accepted_with_a_seed_that_refused_it_once(name, seed):
    accept(name, seed)


@pytest.mark.campaign
@pytest.mark.parametrize("name", STYLES)
def test_a_right_layer_is_accepted_with_two_hundred_seeds(name):
    for seed in range(200):
        accept(name, seed)


def test_the_styles_are_many_and_documented():
    assert len(STYLES) >= 170
    for name, style in STYLES.items():
        assert style.layer.__doc__.rstrip().endswith(".") or style.layer is Sequential, name
