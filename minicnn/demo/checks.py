"""Validation of requests: types, sizes and ranges."""

import base64
import binascii
import math
from typing import Any

import numpy as np

from minicnn.saving.files import parse_json

PAD = 140  # rows and columns of the drawing pad
MAX_BODY = 1 << 15  # bytes, and six for each value of the network's input; a drawing takes 26,000
MAX_PICTURE = 8 << 20  # bytes of a body with a picture; the page makes larger ones smaller


def parse_body(data: bytes) -> dict[str, Any]:
    """Return the JSON object in the body of a request."""
    try:
        return parse_json(data.decode())
    except ValueError as error:
        raise ValueError(f"the body must hold a JSON object: {error}") from error


def check_fields(body: dict[str, Any], required: set[str], optional: frozenset[str] = frozenset()) -> None:
    """Raise ValueError unless the body of a request has these fields and no others."""
    wrong = (required - body.keys()) | (body.keys() - required - optional)
    if wrong:
        raise ValueError(
            f"the fields must be {', '.join(sorted(required)) or 'none'}; "
            f"missing or unknown: {', '.join(sorted(map(str, wrong)))[:200]}"
        )


def read_bytes(value: Any, name: str) -> bytes:
    """Return the bytes of a string in base64."""
    if not isinstance(value, str):
        raise TypeError(f"`{name}` must be a string of base64, got {type(value).__name__}")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"`{name}` must be base64") from None


def read_pixels(value: Any, name: str, side: int) -> np.ndarray:
    """Return grey values, uint8 (side, side), from the base64 of their bytes, row by row."""
    data = read_bytes(value, name)
    if len(data) != side * side:
        raise ValueError(f"`{name}` must be {side}x{side} bytes, got {len(data)}")
    return np.frombuffer(data, np.uint8).reshape(side, side)


def read_image(value: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return an image of this shape from the base64 of its values: a byte each, or a float32 each."""
    data = read_bytes(value, name)
    size = math.prod(shape)
    if len(data) not in (size, 4 * size):
        raise ValueError(f"`{name}` must be {'x'.join(map(str, shape))} bytes, got {len(data)}")
    if len(data) == size:
        return np.frombuffer(data, np.uint8).reshape(shape)
    image = np.frombuffer(data, "<f4").reshape(shape)
    if not np.isfinite(image).all():
        raise ValueError(f"`{name}` must be finite")
    return image


def read_flag(value: Any, name: str) -> bool:
    """Return a boolean; numbers are refused."""
    if type(value) is not bool:
        raise TypeError(f"`{name}` must be true or false")
    return value


def read_integer(value: Any, name: str, below: int) -> int:
    """Return an integer in [0, below); booleans are refused."""
    if type(value) is not int:
        raise TypeError(f"`{name}` must be an integer, got {type(value).__name__}")
    if not 0 <= value < below:
        raise ValueError(f"`{name}` must be in [0, {below}), got {value if abs(value) < 1e12 else 'more'}")
    return value


def read_cell(value: Any) -> tuple[int, ...]:
    """Return the indices of a cell: row, column and channel, or the index in a vector."""
    if not isinstance(value, list) or len(value) not in (1, 3):
        raise TypeError("`cell` must be a list of one or three integers")
    return tuple(read_integer(i, "cell", 1 << 16) for i in value)


def read_filters(value: Any) -> list[tuple[int, int]]:
    """Return pairs of a stage and one of its maps."""
    if not isinstance(value, list) or not all(isinstance(one, list) and len(one) == 2 for one in value):
        raise TypeError("`off` must be a list of pairs of integers: stage and map")
    return [
        (read_integer(stage, "off", 1 << 16), read_integer(number, "off", 1 << 16)) for stage, number in value
    ]
