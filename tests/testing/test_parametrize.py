import pytest

from minicnn import Conv2D, Dense
from minicnn.testing import CHECKS, LayerCheckError, parametrize_with_checks


@parametrize_with_checks([(Conv2D(2, 3), (4, 4, 1)), Dense(2).build((3,))], rng=1, skip=("repr",))
def test_every_check_is_a_test(layer, check):
    check(layer)


def test_ids_name_layer_and_check():
    @parametrize_with_checks([(Conv2D(2, 3), (4, 4, 1))], skip=("repr",))
    def test(layer, check):
        check(layer)

    (mark,) = test.pytestmark
    ids = [case.id for case in mark.args[1]]
    assert ids[0] == "Conv2D(2, 3)-build"
    assert len(ids) == len(CHECKS) - 1


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
