"""How pictures become the inputs of a model: what a model file says of it."""

import math
from collections.abc import Mapping
from typing import Any

from minicnn.validation import check_int, check_real

DIGIT = "mnist-digit"
_READING = ("resize", "background", "value_range")  # as of `ImageReader`
_KEYS = ("size", "channels", *_READING, "scale", "offset")
Preprocessing = dict[str, Any] | str


def check_preprocessing(value: Any, input_shape: tuple[int, ...]) -> Preprocessing | None:
    """Return how pictures become inputs of this shape, in types that JSON has; None if that is not known.

    The function is long because each key has its check and its message.

    Parameters
    ----------
    value : mapping, "mnist-digit" or None
        "mnist-digit": a digit is cropped, scaled and centred in 28x28 pixels as MNIST's were, and padded to
        the input. Or a mapping with some of `size`, `channels`, `resize`, `background` and `value_range`, as
        `load_image_folder` takes them, and of `scale` and `offset` (pixel * scale + offset, each one number
        or one a channel; by default 1 / 255 and 0).

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
    from minicnn.datasets.image_reader import ImageReader, check_size  # keeps `import minicnn` fast

    if not isinstance(value, Mapping):
        raise TypeError(f"`preprocessing` must be {DIGIT!r} or a mapping, got {value!r:.80}")
    if unknown := value.keys() - {*_KEYS}:
        listed = ", ".join(sorted(map(repr, unknown)))
        raise ValueError(f"`preprocessing` must have only {', '.join(_KEYS)}, got {listed:.80}")
    if len(input_shape) != 3 or input_shape[2] not in (1, 3):
        raise ValueError(f"`preprocessing` needs a model for images of 1 or 3 channels, got {input_shape}")
    height, width, channels = input_shape
    result: dict[str, Any] = {}
    if "size" in value:
        result["size"] = list(check_size(value["size"]))
        if result["size"] != [height, width]:
            raise ValueError(f"`size` must be that of the model's input {input_shape}, got {result['size']}")
    if "channels" in value:
        result["channels"] = check_int(value["channels"], "channels", 1)
        if result["channels"] != channels:
            raise ValueError(f"`channels` must be those of the model's input, got {value['channels']}")
    settings = {key: value[key] for key in _READING if value.get(key) is not None}
    if isinstance(colour := settings.get("background"), float):
        raise TypeError(f"`background` must be a name, 0 to 255, or three of these, got {colour}")
    reader = ImageReader((height, width), channels, **settings).to_dict()
    result |= {key: _plain(reader[key]) for key in settings}
    return result | {key: _numbers(value[key], key, channels) for key in ("scale", "offset") if key in value}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _numbers(value: Any, name: str, channels: int) -> float | list[float]:
    """Return a number, or one for each channel."""
    if not isinstance(value, list | tuple):
        return check_real(value, name, -math.inf)
    if len(value) != channels:
        raise ValueError(f"`{name}` must be a number, or one per channel ({channels}), got {value!r:.80}")
    return [check_real(number, name, -math.inf) for number in value]
