"""The standard normal distribution, for GELU; NumPy has no error function."""

import functools
import math

import numpy as np

from minicnn.ops.underflow import HARMLESS

# Chebyshev coefficients of (1 + 2 z) exp(z^2) erfc(z) in t = (z - 3.75) / (z + 3.75), which maps [0, inf) to
# [-1, 1): M. M. Shepherd and J. G. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x in
# 0 <= x < inf", Mathematics of Computation 36 (1981), 249-253. What is left out is below 3e-18.
_COEFFICIENTS = (
    *(1.1775789345674017541, -0.0045900545806464773309, -0.084249133366517915584, 0.059209939998191890498),
    *(-0.026658668435305752277, 0.0090749976707052650939, -0.0024131635404176081909, 4.9077583652580863e-4),
    *(-6.9169733025012063671e-5, 4.1390279860730101675e-6, 7.7403830661984906686e-7, -2.18864010492343954e-7),
    *(1.0764999465670910377e-8, 4.5219598112182868979e-9, -7.7544002088313511e-10, -6.318088340886684494e-11),
    *(2.8687950109306698981e-11, 1.945586854577734723e-13, -9.6546967484334389e-13, 3.25254814814873984e-14),
    *(3.3478119482868053878e-14, -1.8645628804193131e-15, -1.2507950530688647e-15, 7.41823525662404346e-17),
    5.0681489047961113e-17,
)
_TERMS = {np.dtype(np.float32): 12}  # what is left out is below 2e-8
_CENTER = 3.75
_BLOCK = 1 << 15  # values: all arrays of a block stay in the cache


@HARMLESS
def normal_distribution(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distribution function and the density of the standard normal distribution at each x.

    One series serves all x, so nothing is selected value by value. The error of the distribution function
    relative to its value is a few units in the last place for |x| < 1, and grows like x^2 / 2 in the lower
    tail, as that of exp(-x^2 / 2) does.

    >>> cdf, density = normal_distribution(np.array([-1.0, 0.0, 1.0]))
    >>> cdf.round(6), density.round(6)
    (array([0.158655, 0.5     , 0.841345]), array([0.241971, 0.398942, 0.241971]))
    """
    cdf, density = np.empty_like(x), np.empty_like(x)
    flat = [array.ravel(order="K") for array in (x, cdf, density)]  # views of the two results
    powers = _powers(_TERMS.get(x.dtype, len(_COEFFICIENTS)))
    for start in range(0, x.size, _BLOCK):
        _fill(powers, *(array[start : start + _BLOCK] for array in flat))
    return cdf, density


def _fill(powers: tuple[float, ...], x: np.ndarray, cdf: np.ndarray, density: np.ndarray) -> None:
    z = np.minimum(np.abs(x), 40)  # beyond 40, even 1e-308 is too large for the density
    np.multiply(z, z, out=density)
    density *= -0.5
    np.exp(density, out=density)  # exp(-z^2), for the z of the series
    z *= math.sqrt(0.5)
    t = (z - _CENTER) / (z + _CENTER)
    series = np.full_like(t, powers[0])
    for power in powers[1:]:
        series *= t
        series += power
    z *= 4
    z += 2
    # 0.5 erfc(z), the smaller tail: cdf is tail for negative x, 1 - tail otherwise. (np.where is slow.)
    tail = series
    tail *= density
    tail /= z
    np.subtract(~np.signbit(x), np.copysign(tail, x), out=cdf)
    density *= 1 / math.sqrt(2 * math.pi)


@functools.cache
def _powers(terms: int) -> tuple[float, ...]:
    """Return the coefficients of the powers of t, highest first, for that number of terms of the series."""
    return tuple(np.polynomial.chebyshev.cheb2poly(_COEFFICIENTS[:terms])[::-1].tolist())
