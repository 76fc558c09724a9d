"""Exact properties of functions on arrays, which hold up to rounding or bit for bit.

They need no step size and no derivative, and they detect what a gradient check cannot: a forward that is
wrong in the same way as its backward. Each assertion takes plain functions, and its AssertionError says where
the property does not hold.
"""

from collections.abc import Callable, Sequence

import numpy as np

from minicnn.testing.report import CheckFailed, require_equal

__all__ = [
    "assert_adjoint",
    "assert_linear",
    "assert_mass_conserved",
    "assert_pointwise_is_matrix_product",
    "assert_same_bits",
    "assert_shift_equivariant",
    "assert_translation_equivariant",
]

Function = Callable[[np.ndarray], np.ndarray]


def assert_adjoint(
    forward: Function, backward: Function, x: np.ndarray, y: np.ndarray, rtol: float = 1e-11
) -> None:
    """Assert <forward(x), y> = <x, backward(y)>: one linear map is the transpose of the other.

    Parameters
    ----------
    forward, backward : callable
        Linear functions. For example, a convolution as a function of x, and its dx as a function of dy; or
        a convolution as a function of the kernel, and its dkernel as a function of dy.
    x, y : ndarray
        Arguments of the two functions, usually random.
    rtol : float
        Tolerance relative to the norms of the factors.

    Examples
    --------
    >>> from minicnn.ops import conv2d, conv2d_backward
    >>> rng = np.random.default_rng(0)
    >>> x, kernel, y = (rng.standard_normal(s) for s in ((2, 5, 5, 3), (2, 2, 3, 4), (2, 4, 4, 4)))
    >>> assert_adjoint(lambda x: conv2d(x, kernel), lambda y: conv2d_backward(y, x, kernel)[0], x, y)
    """
    fx, by = forward(x), backward(y)
    scale = float(np.linalg.norm(fx) * np.linalg.norm(y) + np.linalg.norm(x) * np.linalg.norm(by))
    left, right = float(np.vdot(fx, y)), float(np.vdot(x, by))
    if not abs(left - right) <= rtol * scale:
        raise AssertionError(f"<forward(x), y> must equal <x, backward(y)>, got {left:.15g} and {right:.15g}")


def assert_linear(function: Function, one: np.ndarray, two: np.ndarray, rtol: float = 1e-11) -> None:
    """Assert f(2 a - 3 b) = 2 f(a) - 3 f(b), for a function of x, of the kernel or of dy.

    >>> assert_linear(lambda x: x @ np.ones((3, 2)), np.ones((1, 3)), np.eye(3)[:1])
    """
    expected = 2.0 * function(one) - 3.0 * function(two)
    _assert_equal(function(2.0 * one - 3.0 * two), expected, "the function is not linear", rtol)


def assert_translation_equivariant(
    function: Function, x: np.ndarray, strides: Sequence[int] = (1, 1), rtol: float = 1e-11
) -> None:
    """Assert that shifting the image by one stride shifts the output by one pixel, inside the image.

    Parameters
    ----------
    function : callable
        From images (N, H, W, C) to images, without padding, which would break the property at the border.
    x : ndarray, shape (N, H, W, C)
        Images larger than a window by at least one stride.
    strides : (int, int)
        Strides of the function.
    rtol : float
        Tolerance relative to the largest output; 0 for max pooling, which copies values.

    Examples
    --------
    >>> from minicnn.ops import max_pool2d
    >>> x = np.random.default_rng(0).standard_normal((1, 7, 7, 2))
    >>> assert_translation_equivariant(lambda x: max_pool2d(x, 3, 2), x, strides=(2, 2), rtol=0.0)
    """
    y, moved = function(x), function(x[:, strides[0] :, strides[1] :])
    rows, columns = moved.shape[1:3]
    what = "the output does not shift with the image"
    _assert_equal(moved, y[:, 1 : 1 + rows, 1 : 1 + columns], what, rtol)


def assert_shift_equivariant(function: Function, x: np.ndarray, shift: float, rtol: float = 1e-11) -> None:
    """Assert f(x + c) = f(x) + c, as for a maximum or a mean, at padded borders too.

    >>> from minicnn.ops import max_pool2d
    >>> x = np.random.default_rng(0).standard_normal((1, 5, 5, 2))
    >>> assert_shift_equivariant(lambda x: max_pool2d(x, 3, 1, "same"), x, shift=-8.0)
    """
    what = f"adding {shift:g} to the input does not add it to the output"
    _assert_equal(function(x + shift), function(x) + shift, what, rtol)


def assert_pointwise_is_matrix_product(
    conv: Callable[[np.ndarray, np.ndarray], np.ndarray],
    x: np.ndarray,
    kernel: np.ndarray,
    rtol: float = 1e-11,
) -> None:
    """Assert that a convolution with a 1x1 kernel is the matrix product of pixels and kernel.

    >>> from minicnn.ops import conv2d
    >>> x, kernel = np.arange(24.0).reshape(1, 2, 3, 4), np.arange(8.0).reshape(1, 1, 4, 2)
    >>> assert_pointwise_is_matrix_product(conv2d, x, kernel)
    """
    _assert_equal(conv(x, kernel), x @ kernel[0, 0], "the 1x1 convolution is not the matrix product", rtol)


def assert_mass_conserved(dx: np.ndarray, dy: np.ndarray, rtol: float = 1e-11) -> None:
    """Assert that dx and dy have the same sum in each image and channel.

    This holds for average pooling, and for max pooling with `ties="first"` or `"split"`, if every window
    overlaps the image. With `ties="all"` the sum of dx is larger where values are tied.

    >>> from minicnn.ops import max_pool2d_backward
    >>> x, dy = np.zeros((1, 4, 4, 1)), np.ones((1, 2, 2, 1))
    >>> assert_mass_conserved(max_pool2d_backward(dy, x, 2), dy)
    >>> assert_mass_conserved(max_pool2d_backward(dy, x, 2, ties="all"), dy)
    Traceback (most recent call last):
    AssertionError: the sums of dx and dy differ ...
    """
    what = "the sums of dx and dy differ in at least one image and channel"
    _assert_equal(dx.sum(axis=(1, 2)), dy.sum(axis=(1, 2)), what, rtol)


def assert_same_bits(
    one: Callable[..., np.ndarray], two: Callable[..., np.ndarray], *shapes: tuple[int, ...], rng: int = 0
) -> None:
    """Assert that two functions agree bit for bit on arrays of small integers.

    Sums and products of small integers are exact in floating point, whatever the order of summation. So no
    tolerance is needed, and none can hide a bug.

    Parameters
    ----------
    one, two : callable
        Functions of arrays of these shapes that return an array.
    *shapes : tuple of int
        Shape of each argument.
    rng : int
        Seed of the integers, which are in [-8, 8].

    Examples
    --------
    >>> assert_same_bits(np.matmul, lambda a, b: np.einsum("ij,jk->ik", a, b), (3, 4), (4, 2))
    """
    generator = np.random.default_rng(rng)
    for dtype in (np.float32, np.float64):
        arguments = [generator.integers(-8, 9, shape).astype(dtype) for shape in shapes]
        got, expected = one(*arguments), two(*arguments)
        _assert_equal(got, expected, f"the functions differ on integers in {np.dtype(dtype)}", 0.0)


def _assert_equal(got: np.ndarray, expected: np.ndarray, what: str, rtol: float) -> None:
    try:
        require_equal(got, expected, what, "", rtol=rtol)
    except CheckFailed as failed:
        raise AssertionError(str(failed).removeprefix(": ")) from None
