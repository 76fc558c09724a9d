"""The four textbook functions: convolution and pooling, forward and backward, as courses define them.

They call `minicnn.ops`, with other defaults (convolution pads to "same", pooling has strides of 1) and two
conventions that differ from the layers:

- `"same"` keeps the input's height and width for any stride. An odd number of padding rows or columns puts
  the extra one *before* (TensorFlow's "same" has ceil(n / stride) outputs, and puts it after).
- `pool_backward` gives the gradient to *every* tied maximum (TensorFlow and PyTorch: to the first).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minicnn.ops.conv import conv2d, conv2d_backward
from minicnn.ops.padding import Pads, Pair, output_size, pair
from minicnn.ops.pool import avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward

__all__ = ["conv_backward", "conv_forward", "pool_backward", "pool_forward", "same_padding"]


def conv_forward(
    A_prev: ArrayLike,
    W: ArrayLike,
    b: ArrayLike,
    activation: Callable[[np.ndarray], np.ndarray],
    padding: str = "same",
    stride: int | Pair = (1, 1),
) -> np.ndarray:
    """Return activation(A_prev * W + b), a convolutional layer's output.

    Parameters
    ----------
    A_prev : array_like, shape (m, h_prev, w_prev, c_prev)
        Output of the layer before. Integers are computed in float64; float32 stays float32.
    W : array_like, shape (kh, kw, c_prev, c_new)
        Kernels.
    b : array_like, shape (1, 1, 1, c_new)
        Biases.
    activation : callable
        A function of arrays.
    padding : {"same", "valid"}
        "same" keeps height and width for any stride, with an odd padding row or column before the image;
        "valid" does not pad.
    stride : (int, int)
        Step of the kernel, vertical and horizontal.

    Returns
    -------
    ndarray, shape (m, h_new, w_new, c_new)
        The value of `activation`.

    Raises
    ------
    ValueError
        If shapes do not match, or an argument has an invalid value.
    TypeError
        If an array is not numeric, a stride not an integer, or `activation` not callable.

    Examples
    --------
    >>> A_prev, W, b = np.ones((1, 4, 4, 1)), np.ones((2, 2, 1, 1)), np.zeros((1, 1, 1, 1))
    >>> conv_forward(A_prev, W, b, np.tanh, stride=(2, 2)).shape
    (1, 4, 4, 1)
    """
    if not callable(activation):
        raise TypeError(f"`activation` must be a function of arrays, got {activation!r}")
    A_prev, W, b = _arrays(A_prev=A_prev, W=W, b=b)
    steps, pads, _ = _conv_geometry(A_prev, W, b, padding, stride)
    return activation(conv2d(A_prev, W, b.ravel(), steps, pads))


def pool_forward(
    A_prev: ArrayLike, kernel_shape: Pair, stride: int | Pair = (1, 1), mode: str = "max"
) -> np.ndarray:
    """Return the maximum or the mean of each window, without padding.

    Parameters
    ----------
    A_prev : array_like, shape (m, h_prev, w_prev, c_prev)
        Output of the layer before. Integers are computed in float64; float32 stays float32.
    kernel_shape : (int, int)
        Rows and columns of a window.
    stride : (int, int)
        Step of the window, vertical and horizontal.
    mode : {"max", "avg"}
        Maximum or mean.

    Returns
    -------
    ndarray, shape (m, h_new, w_new, c_prev)

    Raises
    ------
    ValueError, TypeError
        As `conv_forward`.

    Examples
    --------
    >>> pool_forward(np.arange(16).reshape(1, 4, 4, 1), (2, 2), stride=(2, 2)).ravel()
    array([ 5.,  7., 13., 15.])
    """
    (A_prev,) = _arrays(A_prev=A_prev)
    window, steps, _ = _pool_geometry(A_prev, kernel_shape, stride, mode)
    return (max_pool2d if mode == "max" else avg_pool2d)(A_prev, window, steps)


def conv_backward(
    dZ: ArrayLike,
    A_prev: ArrayLike,
    W: ArrayLike,
    b: ArrayLike,
    padding: str = "same",
    stride: int | Pair = (1, 1),
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients of `conv_forward`, given the gradient before the activation.

    Parameters
    ----------
    dZ : array_like, shape (m, h_new, w_new, c_new)
        The gradient of the loss with respect to A_prev * W + b.
    A_prev, W, b, padding, stride
        As given to `conv_forward`, with the same conventions.

    Returns
    -------
    dA_prev : ndarray, shape (m, h_prev, w_prev, c_prev)
    dW : ndarray, shape (kh, kw, c_prev, c_new)
    db : ndarray, shape (1, 1, 1, c_new)

    Raises
    ------
    ValueError, TypeError
        As `conv_forward`, and if `dZ` does not have the output's shape.

    Examples
    --------
    >>> A_prev, W, b = np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1)), np.zeros((1, 1, 1, 1))
    >>> dA_prev, dW, db = conv_backward(np.ones((1, 2, 2, 1)), A_prev, W, b, padding="valid")
    >>> dA_prev[0, :, :, 0], db.ravel()
    (array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]]), array([4.]))
    """
    dZ, A_prev, W, b = _arrays(dZ=dZ, A_prev=A_prev, W=W, b=b)
    steps, pads, shape = _conv_geometry(A_prev, W, b, padding, stride)
    _check_shape("dZ", dZ, shape)
    dA_prev, dW, db = conv2d_backward(dZ, A_prev, W, steps, pads)
    return dA_prev, dW, db.reshape(b.shape)


def pool_backward(
    dA: ArrayLike, A_prev: ArrayLike, kernel_shape: Pair, stride: int | Pair = (1, 1), mode: str = "max"
) -> np.ndarray:
    """Return the gradient of `pool_forward` with respect to `A_prev`.

    If a window has several equal maxima, every one of them gets the whole gradient.

    Parameters
    ----------
    dA : array_like, shape (m, h_new, w_new, c_prev)
        The gradient of the loss with respect to the output.
    A_prev, kernel_shape, stride, mode
        As given to `pool_forward`.

    Returns
    -------
    ndarray, shape (m, h_prev, w_prev, c_prev)

    Raises
    ------
    ValueError, TypeError
        As `conv_forward`, and if `dA` does not have the output's shape.

    Examples
    --------
    >>> pool_backward(np.ones((1, 1, 1, 1)), np.zeros((1, 2, 2, 1)), (2, 2)).ravel()
    array([1., 1., 1., 1.])
    """
    dA, A_prev = _arrays(dA=dA, A_prev=A_prev)
    window, steps, shape = _pool_geometry(A_prev, kernel_shape, stride, mode)
    _check_shape("dA", dA, shape)
    if mode == "max":
        return max_pool2d_backward(dA, A_prev, window, steps, ties="all")
    return avg_pool2d_backward(dA, A_prev, window, steps)


def same_padding(size: Pair, kernel: Pair, stride: Pair) -> Pads:
    """Return the textbook's "same" padding: it keeps the size for any stride, with an odd row before.

    >>> same_padding((28, 28), (3, 4), (1, 2))
    ((1, 1), (15, 15))
    """
    totals = [(n - 1) * s + k - n for n, k, s in zip(size, kernel, stride, strict=True)]
    (top, bottom), (left, right) = [(total - total // 2, total // 2) for total in totals]
    return (top, bottom), (left, right)


def _arrays(**named: Any) -> list[np.ndarray]:
    """Return the arguments as arrays of one dtype: float64, or float32 if all are floats of 32 bits."""
    arrays = {name: np.asarray(value) for name, value in named.items()}
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise TypeError(f"`{name}` must be an array of real numbers, got dtype {array.dtype}")
    single = all(array.dtype.kind == "f" and array.itemsize <= 4 for array in arrays.values())
    return [array.astype(np.float32 if single else np.float64, copy=False) for array in arrays.values()]


def _conv_geometry(
    A_prev: np.ndarray, W: np.ndarray, b: np.ndarray, padding: str, stride: int | Pair
) -> tuple[Pair, Pads, tuple[int, ...]]:
    """Check the arguments; return stride, explicit padding and the output's shape."""
    _check_images("A_prev", A_prev)
    if W.ndim != 4 or W.shape[2] != A_prev.shape[3] or 0 in W.shape:
        c_prev = A_prev.shape[3]
        raise ValueError(f"`W` must have shape (kh, kw, c_prev = {c_prev}, c_new), got {W.shape}")
    _check_shape("b", b, (1, 1, 1, W.shape[3]))
    if padding not in ("same", "valid"):
        raise ValueError(f"`padding` must be 'same' or 'valid', got {padding!r}")
    steps = pair(stride, "stride")
    size, kernel = A_prev.shape[1:3], W.shape[:2]
    pads = same_padding(size, kernel, steps) if padding == "same" else ((0, 0), (0, 0))
    return steps, pads, (len(A_prev), *output_size(size, kernel, steps, pads), W.shape[3])


def _pool_geometry(
    A_prev: np.ndarray, kernel_shape: Pair, stride: int | Pair, mode: str
) -> tuple[Pair, Pair, tuple[int, ...]]:
    """Check the arguments; return window, stride and the output's shape."""
    _check_images("A_prev", A_prev)
    if mode not in ("max", "avg"):
        raise ValueError(f"`mode` must be 'max' or 'avg', got {mode!r}")
    window, steps = pair(kernel_shape, "kernel_shape"), pair(stride, "stride")
    size = output_size(A_prev.shape[1:3], window, steps, ((0, 0), (0, 0)))
    return window, steps, (len(A_prev), *size, A_prev.shape[3])


def _check_images(name: str, array: np.ndarray) -> None:
    if array.ndim != 4:
        raise ValueError(f"`{name}` must have shape (m, h, w, c), got {array.shape}")


def _check_shape(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"`{name}` must have shape {shape}, got {array.shape}")
