"""The kernels of batch and group normalization, on memory as `minicnn.ops.norm_plan` describes it.

Each is one pass over the values, in blocks that stay in the cache. Rows are added by products with ones, and
statistics are float64. What rounding to the values' dtype takes from a mean is part of the shift that is
added at the end, so that a large mean costs no digits. Means near 0 are a part of that shift as a whole,
which saves an operation of three or four. The normalized values are not stored: the backward pass computes
them again from x, which is faster than reading one more array.
"""

from collections.abc import Iterator

import numpy as np

from minicnn.ops.memory import aligned_zeros
from minicnn.ops.norm_plan import BLOCK_BYTES, NormPlan
from minicnn.ops.sums import MAX_PRODUCT_ROWS, sum_rows

Statistics = tuple[np.ndarray, np.ndarray]  # mean and variance, in the plan's `statistics_shape`

NEAR = 4.0  # standard deviations from 0, up to which a mean that is not subtracted costs two bits at most


def moments(values: np.ndarray, plan: NormPlan) -> Statistics:
    """Return the mean and the biased variance of values (S, R, L).

    The first block gives an estimate of the mean. One pass adds the differences from it, and their squares
    (Chan, Golub and LeVeque 1983): both results are accurate, and the variance of equal values is 0. If the
    estimate was more than a standard deviation off, digits canceled: then a second pass starts from the mean
    that the first one found.
    """
    first = _blocks(values)[0]
    estimate = plan.shared_means(_sum_rows(values[:, first])) * (plan.rows / first.stop)
    for _ in range(2):
        estimate = estimate.astype(values.dtype)
        center = plan.along_rows(estimate, values.dtype)
        sums, squares = [], []
        for rows, difference in _scratch(values):
            np.subtract(values[:, rows], center, out=difference)
            sums.append(_sum_rows(difference))
            squares.append(_sum_rows(np.square(difference, out=difference)))
        error = plan.shared_means(_total(sums))
        mean, var = estimate + error, np.maximum(plan.shared_means(_total(squares)) - error**2, 0)
        if not (error**2 > var).any():
            break
        estimate = mean
    return mean, var


def normalize(
    values: np.ndarray,
    plan: NormPlan,
    statistics: Statistics,
    gamma: np.ndarray,
    beta: np.ndarray,
    eps: float,
    out: np.ndarray,
) -> None:
    """Write gamma * (values - mean) / sqrt(var + eps) + beta into `out`, (S, R, L)."""
    mean, inverse = statistics[0], 1 / np.sqrt(statistics[1] + eps)
    center, along = _center(plan, mean, inverse, values.dtype)
    scale = plan.per_channel(gamma) * inverse
    shift = plan.per_channel(beta) - (mean - center) * scale
    scale, shift = (plan.along_rows(part, values.dtype) for part in (scale, shift))
    for rows in _blocks(values):
        y = out[:, rows]
        np.multiply(_subtract(values[:, rows], along, y), scale, out=y)
        y += shift


def gradient_sums(
    values: np.ndarray, dvalues: np.ndarray, plan: NormPlan, statistics: Statistics, eps: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums over rows of dy, and of dy times the normalized values, (S, W, G, D, N)."""
    mean, inverse = statistics[0], 1 / np.sqrt(statistics[1] + eps)
    center, along = _center(plan, mean, inverse, values.dtype)
    sums, products = [], []
    for rows, product in _scratch(values):
        np.multiply(_subtract(values[:, rows], along, product), dvalues[:, rows], out=product)
        sums.append(_sum_rows(dvalues[:, rows]))
        products.append(_sum_rows(product))
    total, product_total = (plan.axes_of_rows(_total(parts)) for parts in (sums, products))
    return total, (product_total - (mean - center) * total) * inverse


def input_gradient(
    values: np.ndarray,
    dvalues: np.ndarray,
    plan: NormPlan,
    statistics: Statistics,
    gamma: np.ndarray,
    means: tuple[np.ndarray, np.ndarray],
    eps: float,
    out: np.ndarray,
) -> None:
    """Write dx into `out`, (S, R, L).

    With z the normalized values,

        dx = (gamma * dy  -  mean(gamma * dy)  -  z * mean(gamma * dy * z)) / sqrt(var + eps)

    The two `means` come from the dependence of mean and variance on x.
    """
    mean, inverse = statistics[0], 1 / np.sqrt(statistics[1] + eps)
    center, along = _center(plan, mean, inverse, values.dtype)
    factor, slope = plan.per_channel(gamma) * inverse, -means[1] * inverse**2
    shift = -means[0] * inverse - (mean - center) * slope
    factor, slope, shift = (plan.along_rows(part, values.dtype) for part in (factor, slope, shift))
    for rows, direct in _scratch(values):
        dx = out[:, rows]
        np.multiply(_subtract(values[:, rows], along, dx), slope, out=dx)
        dx += shift
        dx += np.multiply(dvalues[:, rows], factor, out=direct)


def _center(
    plan: NormPlan, mean: np.ndarray, inverse: np.ndarray, dtype: np.dtype
) -> tuple[np.ndarray | float, np.ndarray | None]:
    """Return what to subtract from values first, also along rows: 0 and None for means near 0."""
    if (abs(mean) * inverse <= NEAR).all():
        return 0.0, None
    center = mean.astype(dtype)
    return center, plan.along_rows(center, dtype)


def _subtract(block: np.ndarray, center: np.ndarray | None, out: np.ndarray) -> np.ndarray:
    """Return the block minus `center`, written to `out`; the block itself for None."""
    return block if center is None else np.subtract(block, center, out=out)


def _blocks(values: np.ndarray) -> list[slice]:
    """Return ranges of rows of (S, R, L)."""
    sets, count, length = values.shape
    step = min(max(1, BLOCK_BYTES // max(sets * length * values.itemsize, 1)), MAX_PRODUCT_ROWS)
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def _scratch(values: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the blocks, each with an array of its shape to be overwritten, the same memory for all."""
    blocks = _blocks(values)
    scratch = aligned_zeros(values[:, blocks[0]].shape, values.dtype)
    for rows in blocks:
        yield rows, scratch[:, : rows.stop - rows.start]


def _sum_rows(block: np.ndarray) -> np.ndarray:
    """Return the sums over the rows of a block, (S, L)."""
    return block[:, 0].copy() if block.shape[1] == 1 else sum_rows(block)


def _total(sums: list[np.ndarray]) -> np.ndarray:
    """Return the sums of all blocks, (S, L)."""
    return sum_rows(np.array(sums).reshape(len(sums), -1)).reshape(sums[0].shape)
