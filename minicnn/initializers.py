"""Initializers of weights: functions `f(shape, rng)` that return an array of floats.

`Layer.build` casts the result to the layer's dtype, so float32 and float64 nets start from the same numbers.
Names and formulas are Keras's; the random numbers come from NumPy's generators.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from minicnn.validation import ConfiguredFunction, check_real

__all__ = [
    "Initializer",
    "constant",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "zeros",
]

# As a string: NumPy loads its random numbers only when they are used.
Initializer: TypeAlias = "Callable[[Sequence[int], np.random.Generator], np.ndarray]"

# Standard deviation of a standard normal distribution truncated at 2.
_TRUNCATED_STD = 0.87962566103423978


def zeros(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Return zeros; `rng` is not used."""
    return np.zeros(shape)


def ones(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Return ones; `rng` is not used."""
    return np.ones(shape)


def constant(value: float) -> Initializer:
    """Return an initializer that fills with `value`.

    >>> constant(0.5)((3,), np.random.default_rng(0))
    array([0.5, 0.5, 0.5])
    """
    return ConfiguredFunction(_constant, value=check_real(value, "value", -math.inf))


def normal(std: float = 0.05) -> Initializer:
    """Return an initializer that draws from the normal distribution around 0, not truncated.

    Papers of 2012 to 2014 give the standard deviation of their weights (AlexNet: `normal(0.01)`). The draws
    are float32: for the 38 million weights of AlexNet's largest layer that saves half a gigabyte.

    >>> normal(0.01)
    normal(std=0.01)
    """
    return ConfiguredFunction(_normal, std=check_real(std, "std"))


def he_normal(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Draw from the truncated normal of variance 2 / fan_in: for ReLU (He et al., 2015).

    Parameters
    ----------
    shape : sequence of int
        (kh, kw, c_in, c_out) or (in, out); in a convolution with groups, c_in is that of one group.
    rng : numpy.random.Generator
        Source of the random numbers.

    Returns
    -------
    ndarray of float64

    Examples
    --------
    >>> he_normal((5, 5, 1, 6), np.random.default_rng(0)).shape
    (5, 5, 1, 6)
    """
    return _truncated_normal(shape, rng, 2.0 / _fans(shape)[0])


def he_uniform(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Draw uniformly with variance 2 / fan_in: for ReLU (He et al., 2015)."""
    return _uniform(shape, rng, 2.0 / _fans(shape)[0])


def glorot_normal(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Draw from the truncated normal of variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010)."""
    return _truncated_normal(shape, rng, 2.0 / sum(_fans(shape)))


def glorot_uniform(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Draw uniformly with variance 2 / (fan_in + fan_out): Keras's default (Glorot and Bengio, 2010)."""
    return _uniform(shape, rng, 2.0 / sum(_fans(shape)))


def lecun_normal(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Draw from the truncated normal of variance 1 / fan_in (LeCun et al., 1998)."""
    return _truncated_normal(shape, rng, 1.0 / _fans(shape)[0])


def lecun_uniform(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Draw uniformly with variance 1 / fan_in (LeCun et al., 1998)."""
    return _uniform(shape, rng, 1.0 / _fans(shape)[0])


def _fans(shape: Sequence[int]) -> tuple[int, int]:
    """Return fan-in and fan-out, as Keras computes them."""
    if len(shape) < 2:
        shape = (math.prod(shape), math.prod(shape))
    window = math.prod(shape[:-2])
    return max(window * shape[-2], 1), max(window * shape[-1], 1)


def _constant(shape: Sequence[int], rng: np.random.Generator, value: float) -> np.ndarray:
    return np.full(shape, value)


def _normal(shape: Sequence[int], rng: np.random.Generator, std: float) -> np.ndarray:
    draws = rng.standard_normal(shape, np.float32)
    draws *= std
    return draws


def _uniform(shape: Sequence[int], rng: np.random.Generator, variance: float) -> np.ndarray:
    limit = math.sqrt(3.0 * variance)
    return rng.uniform(-limit, limit, shape)


def _truncated_normal(shape: Sequence[int], rng: np.random.Generator, variance: float) -> np.ndarray:
    """Redraw values beyond two standard deviations; `variance` is that of the result."""
    draws = rng.standard_normal(math.prod(shape))
    outside = np.flatnonzero(np.abs(draws) > 2.0)
    while outside.size:
        draws[outside] = rng.standard_normal(outside.size)
        outside = outside[np.abs(draws[outside]) > 2.0]
    draws *= math.sqrt(variance) / _TRUNCATED_STD
    return draws.reshape(shape)
