"""Sums over pixels and batches that stay accurate in float32.

NumPy adds pairwise only along the axis that is contiguous in memory. Along the others it adds one value after
the other, and every addition rounds: the sum of a million equal values is off by up to 1 %. Here the values
of a block are added by a product with ones, for which BLAS keeps several partial sums, and the sums of the
blocks are added in float64. That takes no longer than NumPy's sum.
"""

import numpy as np

# Rows that are added at once: by NumPy's sum, a product with ones, a product of small and of large matrices.
# Up to these limits the relative error is at most 8e-6, in the worst case, that of equal values.
MAX_SUM_ROWS, MAX_PRODUCT_ROWS, MAX_SMALL_ROWS, MAX_MATRIX_ROWS = 256, 1024, 512, 1 << 17
SMALL_MATRIX = 1 << 12  # values of the product; OpenBLAS adds in blocks above 1e6 multiplications
# Multiplications without blocks; the terms that may then be added, for matrices and for vectors.
SMALL_PRODUCT, MAX_TERMS, MAX_VECTOR_TERMS = 10**6, 1 << 12, 1 << 11
BLOCK_ROWS = 256


def channel_sums(values: np.ndarray) -> np.ndarray:
    """Return the sum over all axes but the last, (..., C) -> (C,); the gradient of a bias.

    >>> images = np.full((1, 1000, 1000, 1), 0.1, np.float32)
    >>> channel_sums(images)
    array([100000.], dtype=float32)
    """
    channels = values.shape[-1]
    if images_innermost(values):
        sums = sum_rows(values.transpose(1, 2, 3, 0).reshape(-1, channels * len(values)))
        return sums.reshape(channels, -1).sum(axis=1)
    rows = values.reshape(-1, channels)
    return rows.sum(axis=0) if len(rows) <= MAX_SUM_ROWS else sum_rows(rows)


def pixel_means(images: np.ndarray) -> np.ndarray:
    """Return the mean of each channel of each image, (N, H, W, C) -> (N, C)."""
    n, h, w, c = images.shape
    if h * w <= MAX_SUM_ROWS:
        return images.mean(axis=(1, 2))
    if images_innermost(images):
        return sum_rows(images.transpose(1, 2, 3, 0).reshape(h * w, c * n)).reshape(c, n).T / (h * w)
    return sum_rows(images.reshape(n, h * w, c)) / (h * w)


def sum_rows(values: np.ndarray) -> np.ndarray:
    """Return the sum over the last axis but one, (..., R, L) -> (..., L)."""
    *stack, count, length = values.shape
    if count <= MAX_PRODUCT_ROWS:
        return np.ones(count, values.dtype) @ values
    whole = count - count % BLOCK_ROWS
    blocks = values[..., :whole, :].reshape(*stack, -1, BLOCK_ROWS, length)
    sums = (np.ones(BLOCK_ROWS, values.dtype) @ blocks).sum(axis=-2, dtype=np.float64)
    sums += np.ones(count - whole, values.dtype) @ values[..., whole:, :]
    return sums.astype(values.dtype)


def sum_products(rows: np.ndarray, drows: np.ndarray) -> np.ndarray:
    """Return the sum over rows of their outer products, (..., R, L), (..., R, M) -> (..., L, M).

    It is the product of matrices that gives the gradient of a kernel. BLAS adds in blocks, but for small
    matrices only up to a number of multiplications.
    """
    *stack, count, length = rows.shape
    size = drows.shape[-1]
    step = BLOCK_ROWS if length * size < SMALL_MATRIX else MAX_MATRIX_ROWS
    if count <= max(step, MAX_SMALL_ROWS):
        return rows.swapaxes(-1, -2) @ drows
    whole = count - count % step
    blocks = rows[..., :whole, :].reshape(*stack, -1, step, length).swapaxes(-1, -2)
    sums = (blocks @ drows[..., :whole, :].reshape(*stack, -1, step, size)).sum(axis=-3, dtype=np.float64)
    sums += rows[..., whole:, :].swapaxes(-1, -2) @ drows[..., whole:, :]
    return sums.astype(rows.dtype)


def sum_stacked_products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the sum over the first axis of `left @ right`, (R, ..., L, K) and (R, ..., K, M) -> (..., L, M).

    Small products are divided along K, so that BLAS adds few terms one after the other.
    """
    size, terms = left.shape[-2] * right.shape[-1], left.shape[-1]
    most = MAX_VECTOR_TERMS if min(left.shape[-2], right.shape[-1]) == 1 else MAX_TERMS
    if terms <= most or size * terms > SMALL_PRODUCT:
        return (left @ right).sum(axis=0)
    parts = [slice(start, start + most) for start in range(0, terms, most)]
    sums = [(left[..., part] @ right[..., part, :]).sum(axis=0) for part in parts]
    return np.sum(sums, axis=0, dtype=np.float64).astype(left.dtype)


def images_innermost(values: np.ndarray) -> bool:
    """Return whether neighbours in memory are of different images: batch-last images, or parts of such."""
    return values.ndim == 4 and len(values) > 1 and values.strides[0] == values.itemsize
