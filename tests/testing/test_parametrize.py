import numpy as np
import pytest

from minicnn import Conv2D, Dense, Sequential
from minicnn.testing import CHECKS, LayerCheckError, parametrize_with_checks


@parametrize_with_checks([(Conv2D(2, 3), (4, 4, 1)), Dense(2).build((3,))], rng=1, skip=("repr",))
def test_every_check_is_a_test(layer, check):
    check(layer)


def ids(items, **options):
    def test(layer, check):
        check(layer)

    (mark,) = parametrize_with_checks(items, **options)(test).pytestmark
    return [case.id for case in mark.args[1]]


def test_ids_name_layer_and_check():
    found = ids([(Conv2D(2, 3), (4, 4, 1))], skip=("repr",))
    assert found[0] == "Conv2D(2, 3)-4x4x1-build"
    assert len(found) == len(CHECKS) - 1


def test_a_check_runs_alone():
    class Wrong(Dense):
        def backward(self, dy):
            return super().backward(dy) * 2

    @parametrize_with_checks([(Wrong(2), (3,))])
    def test(layer, check):
        check(layer)

    failed = []
    for case in test.pytestmark[0].args[1]:
        try:
            test(*case.values)
        except LayerCheckError as error:
            failed += error.checks
    assert "gradients" in failed
    assert "shapes" not in failed


def test_wrong_options_raise_clear_errors():
    with pytest.raises(ValueError, match="check names must be among"):
        parametrize_with_checks([(Dense(2), (3,))], skip=("nothing",))


def test_ids_have_no_addresses():
    class Held(Dense):
        def __init__(self, units, function):
            super().__init__(units)
            self.function = function

        def __repr__(self):
            return f"Held({self.function!r})"

    functions = [str.upper.__get__("x"), lambda x: x, object()]
    found = [ids([(Held(2, function), (3,))], only="repr")[0] for function in functions]
    assert not [name for name in found if "0x" in name]
    assert found[2] == "Held(object)-3-repr"


def test_ids_of_classes_and_of_large_nets():
    assert ids([(Dense, (3,))], only="repr") == ["Dense-3-repr"]
    (name,) = ids([(Sequential([Dense(n) for n in range(1, 30)]), (3,))], only="repr")
    assert name.endswith("...-3-repr")
    assert len(name) == 80 + len("-3-repr")


def test_a_generator_gives_all_checks_one_seed():
    @parametrize_with_checks([(Dense(2), (3,))], rng=np.random.default_rng(1), only="gradients")
    def test(layer, check):
        check(layer)

    seeds = {case.values[1].options["rng"] for case in test.pytestmark[0].args[1]}
    assert len(seeds) == 1
