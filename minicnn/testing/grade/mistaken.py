"""The textbook functions in the loops that learners write, with the usual mistakes left open."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import functional

Gradients = tuple[np.ndarray, np.ndarray, np.ndarray]


def conv_backward(
    dZ: Any, A_prev: Any, W: Any, b: Any, padding: str, stride: Any, *, assigned: str = "", cut: bool = True
) -> Gradients:
    """Return the gradients, with `=` for `+=` in those that `assigned` names, or without cutting dA_prev."""
    (h, w), (kh, kw), (sh, sw) = A_prev.shape[1:3], W.shape[:2], stride
    same = padding == "same"
    rows, columns = functional.same_padding((h, w), (kh, kw), stride) if same else ((0, 0), (0, 0))
    padded = np.pad(A_prev, ((0, 0), rows, columns, (0, 0)))
    dP, dW = np.zeros_like(padded), np.zeros_like(W)
    for n, i, j, k in np.ndindex(dZ.shape):
        place = n, slice(i * sh, i * sh + kh), slice(j * sw, j * sw + kw)
        of_image, of_kernel = W[..., k] * dZ[n, i, j, k], padded[place] * dZ[n, i, j, k]
        dP[place] = of_image + (0 if "dA_prev" in assigned else dP[place])
        dW[..., k] = of_kernel + (0 if "dW" in assigned else dW[..., k])
    dA_prev = dP[:, rows[0] : rows[0] + h, columns[0] : columns[0] + w] if cut else dP
    return dA_prev, dW, dZ.sum(axis=(0, 1, 2), keepdims=True)


def pool_backward(
    dA: Any, A_prev: Any, kernel_shape: Any, stride: Any, mode: str,
    *, share: Callable[..., Any], assigned: bool = False,
) -> np.ndarray:  # fmt: skip
    """Return the gradient: `share(window, gradient, mode)` in each window; `=` for `+=` if `assigned`."""
    (kh, kw), (sh, sw) = kernel_shape, stride
    dA_prev = np.zeros(A_prev.shape)
    for n, i, j, c in np.ndindex(dA.shape):
        place = n, slice(i * sh, i * sh + kh), slice(j * sw, j * sw + kw), c
        part = share(A_prev[place], dA[n, i, j, c], mode)
        dA_prev[place] = part + (0 if assigned else dA_prev[place])
    return dA_prev


def pool_forward(
    A_prev: Any, kernel_shape: Any, stride: Any, mode: str, *, reduce: Callable[[np.ndarray, str], Any]
) -> np.ndarray:
    """Return `reduce(windows, mode)` of the windows of shape (m, kh, kw, c) at each place."""
    (kh, kw), (sh, sw) = kernel_shape, stride
    A = np.zeros(functional.pool_forward(A_prev, kernel_shape, stride, mode).shape)
    for i, j in np.ndindex(A.shape[1:3]):
        A[:, i, j] = reduce(A_prev[:, i * sh : i * sh + kh, j * sw : j * sw + kw], mode)
    return A
