import pytest

from minicnn.testing import CHECKS, LayerCheckError, check_layer
from minicnn.testing.zoo import ZOO


def rejected_by(specimen, seed):
    reference = specimen.reference and specimen.reference()
    with pytest.raises(LayerCheckError) as caught:
        check_layer(specimen.make(), specimen.input_shape, rng=seed, reference=reference)
    return caught.value


@pytest.mark.parametrize("name", ZOO)
def test_the_kit_rejects_a_broken_layer_and_names_the_check(name):
    specimen = ZOO[name]
    error = rejected_by(specimen, seed=0)
    assert error.checks[0] == specimen.check
    assert f"\n{specimen.check}: " in str(error)


@pytest.mark.campaign
@pytest.mark.parametrize("name", ZOO)
def test_the_kit_rejects_it_with_two_hundred_seeds(name):
    for seed in range(200):
        assert rejected_by(ZOO[name], seed).checks[0] == ZOO[name].check


def test_the_zoo_is_large_varied_and_documented():
    assert len(ZOO) >= 40
    assert {specimen.check for specimen in ZOO.values()} == set(CHECKS)
    for specimen in ZOO.values():
        assert specimen.bug.endswith("."), specimen.name
        assert len(specimen.bug) < 160, specimen.name
