"""Responses in JSON: arrays as shape, dtype and base64 of their bytes."""

import base64
import json
from typing import Any

import numpy as np
from flask import Response


def to_response(value: dict[str, Any], status: int = 200) -> Response:
    """Return a response in JSON, which has no numbers that are not finite."""
    try:
        text = json.dumps(value, default=_encode_array, allow_nan=False)
    except ValueError:
        text, status = json.dumps({"error": "the network's numbers are not finite"}), 400
    return Response(text, status, mimetype="application/json")


def _encode_array(array: np.ndarray) -> dict[str, Any]:
    """Return an array in the page's encoding: shape, dtype (uint8 or float32) and base64 of its bytes."""
    kind = np.uint8 if array.dtype == np.uint8 else np.dtype("<f4")
    data = base64.b64encode(np.ascontiguousarray(array, kind).tobytes()).decode()
    return {"shape": array.shape, "dtype": np.dtype(kind).name, "data": data}
