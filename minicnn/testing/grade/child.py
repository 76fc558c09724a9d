"""What the process of a learner's file runs: it loads the file, calls its functions, and sends arrays back.

`sandbox.py` runs it, with NumPy and the standard library only. It knows inputs and nothing of the expected
results: a message to the parent process is a list of arrays (.npy, without pickle), each after its length.
The first array has the kind of the message, whether an argument was modified, and for each of the other
arrays whether it is a result (0) or a description in UTF-8 (1).
"""

import importlib.util
import inspect
import io
import json
import os
import struct
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

RETURNED, PROBLEM = 0, 1  # kinds of a message
MOST_BYTES = 1 << 20  # of an array


def identity(Z: np.ndarray) -> np.ndarray:
    """Return Z unchanged."""
    return Z


def relu(Z: np.ndarray) -> np.ndarray:
    """Return max(Z, 0)."""
    return np.maximum(Z, 0)


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": identity,
    "relu": relu,
    "tanh": np.tanh,
}


def main(folder: str, *libraries: dict[str, Any]) -> None:
    """Answer the requests on standard input, which the learner's code does not get, one after the other.

    The function `requests` of a library returns what requests may call beside the file's functions.
    """
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    send(replies, describe(RETURNED, "ready"))
    request = json.loads(requests.readline())
    path = str(Path(folder, request["file"]))
    process, module = os.getpid(), None
    library = {name: value for each in libraries for name, value in each.items()}
    more: dict[str, Callable[..., Any]] = {}
    while True:
        if module is None:
            module, reply = load(path, request["names"])
            more = library["requests"](module, library) if library else {}
        else:
            arrays = [np.load(io.BytesIO(requests.read(size))) for size in request["sizes"]]
            function = more.get(request["name"]) or getattr(module, request["name"], None)
            reply = call(function, arrays, request["options"], request["results"], path)
        if os.getpid() != process:
            os._exit(0)  # a copy that the learner's code made by fork
        send(replies, reply)
        line = requests.readline()
        if not line:
            return
        request = json.loads(line)


def load(path: str, names: list[str]) -> tuple[Any, list[np.ndarray]]:
    """Import the file; its `if __name__ == "__main__"` part does not run. Describe the functions in it."""
    # For imports of neighbouring files; after the standard library, which a neighbour must not replace.
    places = (i for i, each in enumerate(sys.path) if each.endswith(("site-packages", "dist-packages")))
    sys.path.insert(next(places, len(sys.path)), str(Path(path).parent))
    try:
        spec = importlib.util.spec_from_file_location("solution", path)
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        spec.loader.exec_module(module)  # type: ignore[union-attr]
    except BaseException as error:  # including SystemExit: the file may call exit()
        return None, describe(PROBLEM, error_text(error, path))
    return module, describe(
        RETURNED, *(f"{name}({parameters(module, name)})" for name in found(module, names))
    )


def found(module: Any, names: list[str]) -> list[str]:
    """Return those of the names that the file defines as functions."""
    return [name for name in names if callable(getattr(module, name, None))]


def parameters(module: Any, name: str) -> str:
    """Return the names of a function's parameters, separated by commas; nothing if they are not known."""
    try:
        return ",".join(inspect.signature(getattr(module, name)).parameters)
    except Exception:  # of a builtin function, or of the learner's own object
        return ""


def call(
    function: Callable[..., Any] | None,
    arrays: list[np.ndarray],
    options: dict[str, Any],
    results: int,
    path: str = "",
) -> list[np.ndarray]:
    """Call a function that should have so many results; return the message for the parent process."""
    passed = [array.copy() for array in arrays]
    values = [tuple(v) if isinstance(v, list) else ACTIVATIONS.get(v, v) for v in options.values()]
    try:
        result = function(*passed, *values)  # type: ignore[misc]
        several = isinstance(result, tuple) or (isinstance(result, list) and results > 1)
        payload = [to_array(value) for value in (list(result)[:10] if several else [result])]
    except BaseException as error:  # including SystemExit
        return describe(PROBLEM, error_text(error, path))
    equal = [np.array_equal(before, after) for before, after in zip(arrays, passed, strict=True)]
    modified = -1 if all(equal) else equal.index(False)
    flags = [int(isinstance(value, str)) for value in payload]
    return [np.array([RETURNED, modified, *flags]), *map(encoded, payload)]


def to_array(value: Any) -> np.ndarray | str:
    """Return a result as an array of numbers, or a description of what it is instead."""
    try:
        array = np.asarray(value)
    except ValueError:
        return f"is a ragged {type(value).__name__}"
    if array.dtype.kind not in "fiub":
        return f"is {value!r:.50}"
    if array.nbytes > MOST_BYTES // 2:
        return f"is an array of shape {array.shape}"
    return array.astype(np.float64) if array.dtype.itemsize > 8 else np.array(array)


def encoded(value: np.ndarray | str) -> np.ndarray:
    """Return text as an array of bytes."""
    return np.frombuffer(value.encode("utf-8", "replace"), np.uint8) if isinstance(value, str) else value


def describe(kind: int, *texts: str) -> list[np.ndarray]:
    """Return a message of texts."""
    return [np.array([kind, -1, *[1] * len(texts)]), *(encoded(text[:1000]) for text in texts)]


def send(stream: BinaryIO, message: list[np.ndarray]) -> None:
    """Write a message."""
    for array in message:
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, array, allow_pickle=False)
        stream.write(struct.pack("<I", buffer.tell()) + buffer.getvalue())
    stream.flush()


def error_text(error: BaseException, path: str) -> str:
    """Return "raised ..." with the line number in the learner's file, or what a library says is wrong."""
    if type(error).__name__ == "WrongResultError":
        return str(error)
    if isinstance(error, SyntaxError):
        return f"is not valid Python: line {error.lineno}: {error.msg}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    where = f" in line {lines[-1]}" if lines else ""
    if isinstance(error, SystemExit):
        return f"ended the program with exit(){where}"
    try:
        message = str(error).partition("\n")[0]
    except Exception:  # the learner's own exception
        message = ""
    return f"raised {type(error).__name__}{where}: {message}".rstrip(": ")
