"""The table of checkers: each rejects a wrong gradient and passes a right layer; one may be missing."""

import importlib.util

import pytest

from minicnn import Conv2D, Dense, Dropout
from minicnn.testing import side_by_side
from minicnn.testing.side_by_side import CHECKERS, Case, compare, rejects


class Mean(Dense):
    """The gradient of the bias is a mean over the batch."""

    def backward(self, dy):
        dx = super().backward(dy)
        self.bias.grad[...] /= len(dy)
        return dx


@pytest.mark.parametrize(("name", "checker", "package"), CHECKERS, ids=[row[0] for row in CHECKERS])
def test_each_checker_tells_right_from_wrong(name, checker, package):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    assert rejects(checker, Case(lambda: Mean(2), (3,)), 0)
    assert not rejects(checker, Case(lambda: Dense(2), (3,)), 0)
    assert not rejects(checker, Case(lambda: Conv2D(2, 2), (4, 3, 1)), 0)
    assert not rejects(checker, Case(lambda: Dropout(0.5), (5,)), 0)


def test_found_is_what_every_seed_rejects():
    def by_seed(case, seed):
        if seed == 1:
            raise AssertionError

    assert compare(by_seed, 2, limit=3)[:4] == (0, 3, 3, 3)


def test_the_table_has_a_row_for_each_checker(capsys, monkeypatch):
    def absent(case, seed):
        raise NotImplementedError

    rows = [
        ("differences", side_by_side.with_central_differences, "numpy"),
        ("other", absent, "no_such_package"),
    ]
    monkeypatch.setattr(side_by_side, "CHECKERS", rows)
    assert side_by_side.main(["--limit", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("| differences | ")
    assert lines[2].count(" of 2 | ") == 2
    assert lines[3] == "| other | no_such_package is not installed | | |"
