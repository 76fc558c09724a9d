"""What crosses the pipes: requests to the process of a learner's file, and arrays back."""

import io
import json
import math
import re
import struct
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np

from minicnn.testing.grade.cases import RESULTS
from minicnn.testing.grade.child import MOST_BYTES, PROBLEM, RETURNED

_MOST_ARRAYS = 12
_HEADER = re.compile(
    rb"\{'descr': '([<|][fiub]\d)', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,9}, ?)*\d{0,9})\), \} *\n"
)


class NoArrayError(ValueError):
    """The process sent something else than arrays."""


@dataclass(frozen=True)
class Reply:
    """What a learner's function did.

    Attributes
    ----------
    problem : str
        What went wrong, as "raised ..."; empty otherwise.
    results : list of (array or str)
        What it returned; a description of what is not an array of numbers.
    modified : int
        Which of the arrays it was given it changed; -1 if none.
    """

    problem: str = ""
    results: list[Any] = field(default_factory=list)
    modified: int = -1


def request(name: str, named: dict[str, Any]) -> bytes:
    """Return the request to call a function."""
    arrays = [value for value in named.values() if isinstance(value, np.ndarray)]
    options = {key: value for key, value in named.items() if not isinstance(value, np.ndarray)}
    buffers = []
    for array in arrays:
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        buffers.append(buffer.getvalue())
    header: dict[str, Any] = {"name": name, "options": options, "results": len(RESULTS.get(name, ("",)))}
    header["sizes"] = [len(buffer) for buffer in buffers]
    return b"".join([json.dumps(header, default=_name).encode(), b"\n", *buffers])


def _name(value: Any) -> str:
    return value.__name__  # of an activation


def read_reply(stream: IO[bytes]) -> Reply:
    """Read one message; raise EOFError at the end of the stream, NoArrayError if it is not made of arrays."""
    head = _read_array(stream)
    if head.ndim != 1 or head.dtype.kind != "i" or not 2 <= len(head) <= _MOST_ARRAYS:
        raise NoArrayError
    kind, modified, *flags = head.tolist()
    arrays = [_read_array(stream) for _ in flags]
    payload = [_text(array) if flag else array for flag, array in zip(flags, arrays, strict=True)]
    if kind == PROBLEM and payload:
        return Reply(problem=str(payload[0]) or "failed")
    if kind != RETURNED:
        raise NoArrayError
    return Reply(results=payload, modified=modified)


def _read_array(stream: IO[bytes]) -> np.ndarray:
    """Read an array of numbers in the form .npy, of limited size; nothing in it is evaluated."""
    (size,) = struct.unpack("<I", _read(stream, 4))
    if not 10 < size <= MOST_BYTES:
        raise NoArrayError
    data = _read(stream, size)
    start = 10 + int.from_bytes(data[8:10], "little")
    header = _HEADER.fullmatch(data[10:start])
    if data[:8] != b"\x93NUMPY\x01\x00" or not header:
        raise NoArrayError
    try:
        dtype = np.dtype(header[1].decode())
        shape = tuple(int(n) for n in header[3].split(b",") if n.strip())
        if len(shape) > 32 or math.prod(shape) * dtype.itemsize != size - start:
            raise NoArrayError
        order = "F" if header[2] == b"True" else "C"
        return np.frombuffer(data, dtype, offset=start).reshape(shape, order=order)  # type: ignore[call-overload]
    except (TypeError, ValueError) as error:
        raise NoArrayError from error


def _read(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _text(array: np.ndarray) -> str:
    """Return a description for people."""
    return printable(array.tobytes()[:1000].decode("utf-8", "replace"))[:300]


def printable(text: str) -> str:
    r"""Return text with ? for what could control a terminal.

    >>> printable("a\x1b[2J.py")
    'a?[2J.py'
    """
    return "".join(c if c.isprintable() else "?" for c in text)
