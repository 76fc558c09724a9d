import pytest

from minicnn.bench.ratios import median, ratio, slope


def test_ratio_compares_values_of_the_same_round():
    # A slow moment of the machine, in which both take ten times as long, changes nothing.
    assert ratio([4.0, 40.0, 5.0], [2.0, 20.0, 2.0]) == {"median": 2.0, "low": 2.0, "high": 2.5}


def test_ratio_leaves_out_rounds_in_which_one_is_missing():
    assert ratio([4.0, None, 9.0, 8.0], [2.0, 1.0, 3.0]) == {"median": 2.5, "low": 2.0, "high": 3.0}
    assert ratio([None, 3.0], [2.0, None]) is None
    assert ratio([1.0], []) is None


def test_median_of_an_even_number_of_values_is_between_the_two():
    assert median([1.0, 4.0, 2.0, 100.0]) == 3.0
    assert median([None]) is None


def test_slope_is_that_of_least_squares():
    # log2: x 0, 1, 2; y 0, 1, 5: slope ((-1)(-2) + (1)(3)) / 2
    assert slope([1, 2, 4], [1.0, 2.0, 32.0]) == pytest.approx(2.5)
