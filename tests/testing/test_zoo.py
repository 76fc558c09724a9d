import re

import pytest

from minicnn.testing import CHECKS, LayerCheckError, check_layer
from minicnn.testing.zoo import ZOO


def rejected_by(specimen, seed, **options):
    reference = specimen.reference and specimen.reference()
    with pytest.raises(LayerCheckError) as caught:
        check_layer(specimen.make(), specimen.input_shape, rng=seed, reference=reference, **options)
    return caught.value


@pytest.mark.parametrize("name", ZOO)
def test_the_kit_rejects_a_broken_layer(name):
    specimen = ZOO[name]
    assert f"\n{specimen.check}: " in str(rejected_by(specimen, seed=0, only=(specimen.check,)))


@pytest.mark.parametrize("name", list(ZOO)[::6])
def test_the_first_check_that_fails_is_the_one_that_names_the_bug(name):
    failure = rejected_by(ZOO[name], seed=1).failures[0]
    assert failure.check == ZOO[name].check
    assert re.search(ZOO[name].cause, failure.hint)


@pytest.mark.parametrize(("name", "seed"), [("InstanceDeviation", 183)])
def test_the_kit_rejects_it_with_a_seed_that_missed_it_once(name, seed):
    assert rejected_by(ZOO[name], seed).failures[0].check == ZOO[name].check


@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore::minicnn.testing.LayerCheckRemark")
@pytest.mark.parametrize("name", ZOO)
def test_the_kit_rejects_it_with_two_hundred_seeds(name):
    causes = 0
    for seed in range(200):
        failure = rejected_by(ZOO[name], seed).failures[0]
        assert failure.check == ZOO[name].check
        causes += bool(re.search(ZOO[name].cause, failure.hint))
    assert causes >= 150


def test_the_zoo_is_large_varied_and_documented():
    assert len(ZOO) >= 170
    assert {specimen.check for specimen in ZOO.values()} == set(CHECKS)
    for specimen in ZOO.values():
        assert specimen.bug.endswith("."), specimen.name
        assert len(specimen.bug) < 160, specimen.name
