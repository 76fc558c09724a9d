"""Shape arithmetic of sliding windows, for convolution and pooling: pairs, padding, output sizes."""

import operator
from typing import Any, TypeAlias

import numpy as np

Pair: TypeAlias = tuple[int, int]
Pads: TypeAlias = tuple[Pair, Pair]


def pair(value: Any, name: str) -> Pair:
    """Return `value`, an integer or two of them (rows, columns), as a pair of integers >= 1.

    >>> pair(3, "strides")
    (3, 3)
    """
    if type(value) is int and value > 0:  # the common case first: called at each step of each layer
        return value, value
    try:
        first, second = value if np.iterable(value) else (value, value)
        result = (operator.index(first), operator.index(second))
    except (TypeError, ValueError):
        raise TypeError(f"`{name}` must be an integer or two of them, got {value!r}") from None
    if min(result) < 1:
        raise ValueError(f"`{name}` must be at least 1, got {value!r}")
    return result


def check_padding(padding: Any) -> str | Pads:
    """Return `padding` if it is "valid", "same" or ((top, bottom), (left, right)); raise otherwise."""
    if isinstance(padding, str) and padding in ("valid", "same"):
        return padding
    try:
        (top, bottom), (left, right) = padding
        pads = tuple(map(operator.index, (top, bottom, left, right)))
    except (TypeError, ValueError):
        raise ValueError(
            f'`padding` must be "valid", "same" or ((top, bottom), (left, right)), got {padding!r}'
        ) from None
    if min(pads) < 0:
        raise ValueError(f"`padding` must not be negative, got {padding!r}")
    return (pads[0], pads[1]), (pads[2], pads[3])


def resolve_padding(padding: Any, size: Pair, window: Pair, strides: Pair) -> Pads:
    """Return the padding around an image in rows and columns, ((top, bottom), (left, right)).

    Parameters
    ----------
    padding : {"valid", "same"} or ((int, int), (int, int))
        "same" is TensorFlow's: the output has ceil(n / stride) cells; an odd total puts the extra one after.
    size : (int, int)
        Height and width of the image.
    window : (int, int)
        Rows and columns that a window spans, including dilation.
    strides : (int, int)
        Step of the window.

    >>> resolve_padding("same", (28, 28), (2, 5), (1, 1))
    ((0, 1), (2, 2))
    """
    padding = check_padding(padding)
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding != "same":
        return padding
    pads = []
    for n, k, s in zip(size, window, strides, strict=True):
        total = max((-(-n // s) - 1) * s + k - n, 0)
        pads.append((total // 2, total - total // 2))
    return pads[0], pads[1]


def output_size(size: Pair, window: Pair, strides: Pair, pads: Pads) -> Pair:
    """Return the number of window positions down and across.

    Raises
    ------
    ValueError
        If the window is larger than the padded image.

    >>> output_size((227, 227), (11, 11), (4, 4), ((0, 0), (0, 0)))
    (55, 55)
    """
    padded = (size[0] + sum(pads[0]), size[1] + sum(pads[1]))
    if padded[0] < window[0] or padded[1] < window[1]:
        raise ValueError(
            f"the window ({window[0]}x{window[1]}) does not fit into the padded input "
            f"({padded[0]}x{padded[1]})"
        )
    return (padded[0] - window[0]) // strides[0] + 1, (padded[1] - window[1]) // strides[1] + 1


def check_images(x: np.ndarray) -> None:
    """Raise unless `x` is a floating-point array of images, (N, H, W, C)."""
    if getattr(x, "ndim", None) != 4:
        raise ValueError(f"the input must be images of shape (N, H, W, C), got {np.shape(x)}")
    if x.dtype not in (np.float32, np.float64):
        raise TypeError(f"the input must be float32 or float64, got {x.dtype}")
