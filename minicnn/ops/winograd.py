"""Winograd's algorithm along the height: the gradients of a convolution in half the multiplications.

One column of pixels has x, the kernel k (r rows), and d, the gradient of m rows of the output. A number
holds all that a convolution needs:

    s = sum over i and j of  x[i + j] * k[i] * d[j]

ds/dd is the convolution of x with k, and ds/dk is the kernel's gradient. Read k and d as polynomials in t,
k[0] + k[1] t + ... and d[0] + d[1] t + ...: s pairs x with the coefficients of their product, of which
there are n = m + r - 1. A polynomial with n coefficients is known from its values at n points, and a value
of the product is the product of two values: n multiplications in place of m * r. This gives three matrices
(Toom 1963; Cook 1966; Winograd 1980; Lavin and Gray 2016): G and A evaluate k and d at n points, and B says
how much each value of the product adds to s.

    s = sum over the points of  (B x) * (G k) * (A d)
    y = ds/dd = A.T @ ((B x) * (G k))        n products for m rows of the output
    dk = ds/dk = G.T @ ((B x) * (A d))       n products for the r rows of the kernel

dx is such a y: the convolution of dy with the rotated kernel. In a convolution of images, x, k and d are
rows of pixels, and each * is a matrix product that sums over channels and the kernel's columns.
`winograd_windows` does it batch-last, `winograd_im2col` batch-first.

The forward does not use it: the m rows of a tile are different sums, so equal windows would not give equal
outputs, nor a window of zeros exactly the bias. Ties in max pooling and zeros in ReLU depend on both. A NaN
in dy reaches all m rows of the tiles that contain it in dx, but no other image. `examples/fast_convolution`
derives all this and measures the error.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minicnn.ops.windows import WindowPlan

ROWS = 4  # rows of the output in a tile, m

# The points, beside infinity: small powers of two, so that B, A and the divisors of G are exact in floating
# point. Zero, opposites and reciprocals in turn give small errors (Barabasz, Anderson, Soodhalter and Gregg
# 2020).
POINTS = (0.0, 1.0, -1.0, 0.5, -2.0, -0.5, 2.0)


@lru_cache
def transforms(m: int, r: int, dtype: DTypeLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the matrices A (n, m), B (n, n) and G (n, r) of F(m, r), with n = m + r - 1.

    The value at a point p is the sum of coefficient i times p**i; the value "at infinity" is the leading
    coefficient. The polynomial with n coefficients that has the values v is

        sum over the points of  v[p] * product over the other points q of (t - q) / (p - q)
            + v[infinity] * product over all points q of (t - q)

    since each term is zero at all points but its own, and only the last has the power n - 1. The rows of B
    are the coefficients of these products. The divisors go to G, so that B is exact in floating point.

    Examples
    --------
    >>> for matrix in transforms(2, 2, "float64"):                # the points 0, 1 and infinity
    ...     print(matrix.tolist())
    [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    [[-1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 1.0]]
    [[-1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    """
    points = list(POINTS[: m + r - 2])
    others = [[q for q in points if q != p] for p in points]
    divisors = [math.prod(p - q for q in rest) for p, rest in zip(points, others, strict=True)]
    a: list[list[Any]] = [[p**i for i in range(m)] for p in points] + [[0] * (m - 1) + [1]]
    g: list[list[Any]] = [
        [p**i / divisor for i in range(r)] for p, divisor in zip(points, divisors, strict=True)
    ]
    g += [[0] * (r - 1) + [1]]
    b = [[*polynomial(rest), 0] for rest in others] + [polynomial(points)]
    # Adding zero makes 0.0 of -0.0.
    a_matrix, b_matrix, g_matrix = ((np.array(rows) + 0.0).astype(dtype) for rows in (a, b, g))
    return a_matrix, b_matrix, g_matrix


def polynomial(roots: list[Any]) -> list[Any]:
    """Return the coefficients of the product of (t - root) over the roots, the constant first.

    >>> polynomial([1, 2])                                        # (t - 1) * (t - 2)
    [2, -3, 1]
    """
    coefficients: list[Any] = [1]
    for root in roots:
        coefficients = [
            of_t - root * constant
            for of_t, constant in zip([0, *coefficients], [*coefficients, 0], strict=True)
        ]
    return coefficients


def tiles(plan: WindowPlan, b: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Yield ranges of output rows, the rows of the image that they need, and the columns of B for these.

    The other columns of B belong to rows of padding, and those of the last tile perhaps to no row at all.
    """
    height, top = plan.x_shape[1], plan.pads[0][0]
    for row in range(0, plan.oh, ROWS):
        first, last = (min(max(r, 0), height) for r in (row - top, row - top + len(b)))
        yield (
            slice(row, min(row + ROWS, plan.oh)),
            slice(first, last),
            b[:, first - row + top :][:, : last - first],
        )
