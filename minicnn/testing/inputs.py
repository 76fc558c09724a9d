"""Random inputs of several kinds, or those of the caller; and shapes of smaller ones."""

import math
from collections.abc import Callable, Iterator

import numpy as np

# Wide inputs reach bounds such as that of a ReLU6, small ones reach thresholds close to zero.
INPUT_SCALES = {"normal": 1.0, "wide": 8.0, "small": 0.1, "tens": 30.0, "hundreds": 300.0}
LARGE_SHIFT = 1e4  # added to one example, large enough for exp to overflow or underflow
PERIODS = (6, 12)  # multiples of the usual strides
Inputs = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


class InputsError(ValueError):
    """The function `inputs` of the caller raised, or returned an array of another shape."""


def random_inputs(
    kind: str, shape: tuple[int, ...], rng: np.random.Generator, inputs: Inputs | None
) -> np.ndarray:
    """Return float64 inputs: those of the caller, or of a kind in INPUT_SCALES, "negative" or "positive"."""
    if inputs is not None:
        return _users_inputs(inputs, rng, shape)
    x = rng.standard_normal(shape)
    if kind in INPUT_SCALES:
        return INPUT_SCALES[kind] * x
    x = np.abs(x) + 0.1
    return -x if kind == "negative" else x


def _users_inputs(function: Inputs, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    try:
        x = np.asarray(function(rng, shape), np.float64)
    except Exception as error:
        raise InputsError(f"`inputs` raised {type(error).__name__} for shape {shape}: {error}") from error
    if x.shape != shape:
        raise InputsError(f"`inputs` must return an array of shape {shape}, got {x.shape}")
    return x


def smaller_shapes(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield smaller shapes of an image, whichever axes are its rows and columns, or of a sequence.

    They are at most half as large. Sizes keep their rest by a multiple of the usual strides, on which padding
    and borders depend.

    >>> list(smaller_shapes((28, 28, 16)))
    [(10, 10, 16), (28, 10, 10), (16, 16, 16)]
    """
    axes: dict[int, tuple[tuple[int, ...], ...]] = {2: ((0,),), 3: ((0, 1), (1, 2))}
    for period in PERIODS:
        for some in axes.get(len(shape), ()):
            small = tuple(
                period + n % period if a in some and n >= 2 * period else n for a, n in enumerate(shape)
            )
            if all(shape[a] >= 2 * period for a in some) and 2 * math.prod(small) <= math.prod(shape):
                yield small
