"""Responses in JSON: arrays as shape, dtype and base64 of their bytes."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from flask import Response


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
        return json.dumps(value, default=_encode_array, allow_nan=False), True
    except ValueError:
        return json.dumps({"error": "the network's numbers are not finite"}), False


def _encode_array(array: np.ndarray) -> dict[str, Any]:
    """Return an array in the page's encoding: shape, dtype (uint8 or float32) and base64 of its bytes."""
    kind = np.uint8 if array.dtype == np.uint8 else np.dtype("<f4")
    data = base64.b64encode(np.ascontiguousarray(array, kind).tobytes()).decode()
    return {"shape": array.shape, "dtype": np.dtype(kind).name, "data": data}
