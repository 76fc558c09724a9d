"""Which initializer a learner's kernels come from, told by their spread."""

import math
from collections.abc import Sequence

import numpy as np

from minicnn.testing.grade.lenet5.reference import LAYERS

_KNOWN = {  # standard deviation from the numbers of inputs and outputs of a value, and whether uniform
    "he_normal": (lambda n_in, n_out: math.sqrt(2 / n_in), False),
    "glorot_uniform, the default": (lambda n_in, n_out: math.sqrt(2 / (n_in + n_out)), True),
    "he_uniform": (lambda n_in, n_out: math.sqrt(2 / n_in), True),
    "glorot_normal": (lambda n_in, n_out: math.sqrt(2 / (n_in + n_out)), False),
    "lecun_normal (VarianceScaling without scale=2.0)": (lambda n_in, n_out: math.sqrt(1 / n_in), False),
    "lecun_uniform": (lambda n_in, n_out: math.sqrt(1 / n_in), True),
    "RandomNormal(stddev=0.05)": (lambda n_in, n_out: 0.05, False),
    "RandomUniform(-0.05, 0.05)": (lambda n_in, n_out: 0.05 / math.sqrt(3), True),
    "zeros": (lambda n_in, n_out: 0.0, False),
    "ones": (lambda n_in, n_out: 0.0, False),
    "RandomNormal(stddev=1)": (lambda n_in, n_out: 1.0, False),
}


def wrong_kernels(weights: Sequence[np.ndarray]) -> tuple[str, str]:
    """Return the names of the layers whose kernels are not from he_normal, and which initializer it is."""
    wrong = [
        (name, kernel)
        for name, kernel in zip(LAYERS, weights[::2], strict=True)
        if not _may_be("he_normal", kernel)
    ]
    names = ", ".join(name for name, _ in wrong)
    kinds = (kind for kind in _KNOWN if all(_may_be(kind, kernel) for _, kernel in wrong))
    return names, next(kinds, "") if wrong else ""


def _may_be(kind: str, kernel: np.ndarray) -> bool:
    """Return whether the values of a kernel may be a sample of an initializer."""
    spread, uniform = _KNOWN[kind]
    place = math.prod(kernel.shape[:-2])  # positions of a window
    deviation = spread(place * kernel.shape[-2], place * kernel.shape[-1])
    values = kernel.astype(np.float64).ravel()
    found, mean = float(values.std()), float(values.mean())
    if not deviation:
        return found == 0 and mean == float(kind == "ones")
    # Five standard errors, of the mean and of the standard deviation of so many values.
    error = 5 / math.sqrt(len(values))
    if abs(mean) > error * deviation or abs(found / deviation - 1) > error * 0.65:
        return False
    fourth = float(((values - mean) ** 4).mean()) / found**4  # 1.8 of a uniform, 2.4 to 3 of a normal sample
    return len(values) < 500 or (fourth < 2.1) == uniform
