import math
import pickle

import numpy as np
import pytest

from minicnn import initializers
from minicnn.initializers import constant, he_normal, normal, ones, zeros

KERNEL = (5, 5, 32, 64)  # fan_in 5 * 5 * 32 = 800, fan_out 5 * 5 * 64 = 1600
MATRIX = (400, 120)
VARIANCES = {
    "he_normal": lambda fan_in, fan_out: 2 / fan_in,
    "he_uniform": lambda fan_in, fan_out: 2 / fan_in,
    "glorot_normal": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "glorot_uniform": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "lecun_normal": lambda fan_in, fan_out: 1 / fan_in,
    "lecun_uniform": lambda fan_in, fan_out: 1 / fan_in,
}


@pytest.mark.parametrize("name", VARIANCES)
@pytest.mark.parametrize(
    ("shape", "fans"), [(KERNEL, (800, 1600)), (MATRIX, (400, 120)), ((30_000,), (30_000, 30_000))]
)
def test_initializer_has_mean_variance_and_limit_of_its_formula(name, shape, fans):
    values = getattr(initializers, name)(shape, np.random.default_rng(0))
    std = math.sqrt(VARIANCES[name](*fans))
    assert values.shape == shape
    assert values.dtype == np.float64
    assert abs(values.mean()) < 4 * std / math.sqrt(values.size)
    assert values.std() == pytest.approx(std, rel=0.015)
    limit = std * (math.sqrt(3) if "uniform" in name else 2 / 0.87962566103423978)
    assert 0.995 * limit < np.abs(values).max() <= limit


def test_truncated_normal_has_the_shape_of_the_bell_between_its_limits():
    values = (
        he_normal((2, 200_000), np.random.default_rng(1)).ravel() * 0.87962566103423978
    )  # std 1, cut at 2
    inside = math.erf(2 / math.sqrt(2))
    for limit in (0.5, 1.0, 1.5):
        expected = math.erf(limit / math.sqrt(2)) / inside
        assert np.mean(np.abs(values) < limit) == pytest.approx(expected, abs=0.003)


@pytest.mark.parametrize("name", VARIANCES)
def test_initializer_is_decided_by_the_generator(name):
    initializer = getattr(initializers, name)
    first, again, other = (initializer(MATRIX, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_constant_initializers_are_exact():
    rng = np.random.default_rng(0)
    state = rng.bit_generator.state
    assert zeros((2, 3), rng).tolist() == [[0.0] * 3] * 2
    assert ones((2,), rng).tolist() == [1.0, 1.0]
    assert constant(-2.5)((3,), rng).tolist() == [-2.5] * 3
    assert zeros((1,), rng).dtype == ones((1,), rng).dtype == constant(1)((1,), rng).dtype == np.float64
    assert rng.bit_generator.state == state


def test_normal_is_not_truncated():
    values = normal(0.01)(KERNEL, np.random.default_rng(0))
    assert values.std() == pytest.approx(0.01, rel=0.01)
    assert np.abs(values).max() > 0.035
    assert values.dtype == np.float32
    assert repr(normal()) == "normal(std=0.05)"


def test_normal_and_constant_survive_pickle():
    for initializer in (normal(0.5), constant(0.5)):
        twin = pickle.loads(pickle.dumps(initializer))
        assert np.array_equal(
            twin(MATRIX, np.random.default_rng(0)), initializer(MATRIX, np.random.default_rng(0))
        )


def test_initializer_of_a_scalar_and_of_nothing_has_fans_of_one():
    assert abs(he_normal((), np.random.default_rng(0))) <= 2 * math.sqrt(2) / 0.87962566103423978
    assert he_normal((0, 3), np.random.default_rng(0)).shape == (0, 3)
    rng = np.random.default_rng(0)
    draws = np.array([initializers.glorot_uniform((), rng) for _ in range(1000)])
    limit = math.sqrt(3)  # of variance 2 / (1 + 1)
    assert 0.99 * limit < np.abs(draws).max() <= limit


@pytest.mark.parametrize("wrong", [-0.1, math.nan])
def test_normal_refuses_a_wrong_std(wrong):
    with pytest.raises(ValueError, match="`std` must be in"):
        normal(wrong)


def test_constant_refuses_what_is_no_number():
    with pytest.raises(TypeError, match="`value` must be a number, got 'one'"):
        constant("one")
