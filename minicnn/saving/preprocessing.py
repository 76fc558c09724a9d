"""How pictures become the inputs of a model: what a model file says of it."""

import math
from collections.abc import Mapping
from typing import Any

from minicnn.validation import check_int, check_real

DIGIT = "mnist-digit"
RESIZES = ("crop", "pad")
_KEYS = ("size", "channels", "resize", "background", "scale", "offset")
Preprocessing = dict[str, Any] | str


def check_preprocessing(value: Any, input_shape: tuple[int, ...]) -> Preprocessing | None:
    """Return how pictures become inputs of this shape, in types that JSON has; None if that is not known.

    Parameters
    ----------
    value : mapping, "mnist-digit" or None
        "mnist-digit": a digit is cropped, scaled and centred in 28x28 pixels as MNIST's were, and padded to
        the input. Or a mapping with some of `size` (height, width), `channels` (1 or 3), `resize` ("crop" or
        "pad"), `background` (0 to 255, or one number a channel, under what is transparent and beside what is
        padded), and `scale` and `offset` (pixel * scale + offset, one number or one a channel).

    Raises
    ------
    TypeError, ValueError
        If a key or value is another, or size and channels are not those of the input.

    Examples
    --------
    >>> check_preprocessing({"size": (32, 32), "resize": "pad"}, (32, 32, 3))
    {'size': [32, 32], 'resize': 'pad'}
    """
    if value is None:
        return None
    if isinstance(value, str) and value == DIGIT:
        if len(input_shape) != 3 or min(input_shape[:2]) < 28 or input_shape[2] != 1:
            raise ValueError(f"{DIGIT!r} needs a model for images of 28x28x1 or more, got {input_shape}")
        return value
    if not isinstance(value, Mapping):
        raise TypeError(f"`preprocessing` must be {DIGIT!r} or a mapping, got {value!r:.80}")
    if unknown := value.keys() - {*_KEYS}:
        listed = ", ".join(sorted(map(repr, unknown)))
        raise ValueError(f"`preprocessing` must have only {', '.join(_KEYS)}, got {listed:.80}")
    height, width, channels = input_shape if len(input_shape) == 3 else (0, 0, 0)
    result: dict[str, Any] = {}
    if "size" in value:
        size = value["size"]
        result["size"] = [check_int(n, "size", 1) for n in (size if _is_list(size) else (size, size))]
        if result["size"] != [height, width]:
            raise ValueError(f"`size` must be that of the model's input {input_shape}, got {result['size']}")
    if "channels" in value:
        result["channels"] = check_int(value["channels"], "channels", 1)
        if result["channels"] != channels or channels not in (1, 3):
            raise ValueError(
                f"`channels` must be those of the model's input, 1 or 3, got {value['channels']}"
            )
    if "resize" in value:
        if value["resize"] not in RESIZES:
            raise ValueError(f"`resize` must be one of {', '.join(RESIZES)}, got {value['resize']!r:.40}")
        result["resize"] = value["resize"]
    for name, low, high in (
        ("background", 0.0, 256.0),
        ("scale", -math.inf, math.inf),
        ("offset", -math.inf, math.inf),
    ):
        if name in value:
            result[name] = _numbers(value[name], name, low, high, channels)
    return result


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _numbers(value: Any, name: str, low: float, high: float, channels: int) -> float | list[float]:
    """Return a number, or one for each channel."""
    if not _is_list(value):
        return check_real(value, name, low, high)
    if len(value) not in (channels, 3):
        raise ValueError(
            f"`{name}` must be a number, or one for each of {channels} channels, got {value!r:.80}"
        )
    return [check_real(number, name, low, high) for number in value]
