"""Responses in JSON: arrays as shape, dtype and base64 of their bytes."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from flask import Response

_LARGE = 1 << 18  # values
_WHOLE = 32767  # of two bytes
_INFINITE = 1e38


def to_response(value: dict[str, Any] | Iterator[dict[str, Any]], status: int = 200) -> Response:
    """Return a response in JSON, which has no numbers that are not finite; of several values, one line each.

    Lines are sent as soon as there are the values.
    """
    if isinstance(value, Iterator):
        lines = (f"{_to_json(one)[0]}\n" for one in value)
        return Response(lines, status, mimetype="application/x-ndjson")
    text, finite = _to_json(value)
    return Response(text, status if finite else 400, mimetype="application/json")


def _to_json(value: dict[str, Any]) -> tuple[str, bool]:
    """Return JSON, or that of an error if numbers are not finite; and whether they are."""
    try:
        return json.dumps(value, default=_encode, allow_nan=False), True
    except ValueError:
        return json.dumps({"error": "the network's numbers are not finite"}), False


@dataclass(frozen=True)
class Shown:
    """An array of floats that is looked at as a picture: of a large one, two bytes a value are enough."""

    values: np.ndarray


def _encode(value: np.ndarray | Shown) -> dict[str, Any]:
    """Return an array in the page's encoding: shape, dtype (uint8, float32 or int16) and base64 of its bytes.

    Those of int16 are steps of a 32,767th of the largest number.
    """
    array = value.values if isinstance(value, Shown) else value
    if isinstance(value, Shown) and array.size > _LARGE:
        largest = float(abs(array).max())
        if 0 < largest < _INFINITE:
            steps = np.rint(array * (_WHOLE / largest)).astype("<i2")
            return {"shape": array.shape, "dtype": "int16", "step": largest / _WHOLE, "data": _base64(steps)}
    kind = np.uint8 if array.dtype == np.uint8 else np.dtype("<f4")
    data = _base64(array.astype(kind, copy=False))
    return {"shape": array.shape, "dtype": np.dtype(kind).name, "data": data}


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()
