"""Named arrays in one file: safetensors with a checksum, and a reader that believes nothing.

The format is the length of a header in 8 bytes, the header, which is JSON, and the values. The header is so
simple that regular expressions describe it whole. What is not of its form is refused before anything is made
of it, as JSON can take twenty times more memory than its text; and what it promises is compared with the
file's size before the values are read, once, into memory of their size.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

import numpy as np

from minicnn.errors import FileFormatError
from minicnn.saving.files import write_atomically
from minicnn.validation import check_file

_KEY = "minicnn"  # of the metadata; one key only, since safetensors writes several in any order
_QUOTED = json.dumps(_KEY)
_DTYPES = {"BOOL": "?", "U8": "u1", "I8": "i1"} | {
    f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "UIF" for size in (2, 4, 8)
}
_MAX_DIMS = 64  # NumPy's own limit
_FREE_TENSORS = 2000  # and another one for each 100 bytes: of an empty one the file has 50, we need 500


class _Tensor(NamedTuple):
    """What a header says of a tensor: its dtype as NumPy writes it, and which bytes of the values are its."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@cache  # compiled at first use: it would take longer than all else in importing this module
def _pattern(text: str) -> re.Pattern[str]:
    """Return the pattern in which a blank stands for any white space of JSON."""
    return re.compile(text.replace(" ", r"[ \t\n\r]*+"))


_LOW = r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # the second half of a character; none comes alone
_UNICODE = rf"u(?:(?![dD][89a-fA-F])[0-9a-fA-F]{{4}}|[dD][89abAB][0-9a-fA-F]{{2}}{_LOW})"
_STRING = rf'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|{_UNICODE})[^"\\\x00-\x1f]*+)*+"'
_SIZE = "[0-9]{1,18}+"
_SHAPE = rf"\[ (?:{_SIZE} (?:, {_SIZE} ){{0,{_MAX_DIMS - 1}}}+)?+\]"
_FIELD = rf'(?:"dtype" : {_STRING}|"shape" : {_SHAPE}|"data_offsets" : \[ {_SIZE} , {_SIZE} \])'
_TENSOR = rf"\{{ {_FIELD} , {_FIELD} , {_FIELD} \}}"
_PAIRS = rf"(?:{_STRING} : {_STRING} (?:, {_STRING} : {_STRING} )*+)?+"
_OPEN, _CLOSE = r" \{ ", r" \} "
_ENTRY = (
    # A comma only if something follows.
    rf'(?:"__metadata__" : \{{ ({_PAIRS})\}}|({_STRING}) : ({_TENSOR})) (?:, (?=")|(?=\}}))'
)
_PAIR = f"({_STRING}) : ({_STRING})"


def write_tensors(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], text: str = "") -> None:
    """Write named arrays, and a text beside them, atomically.

    The file is in the format safetensors, with one entry of metadata, "minicnn": the SHA-256 of all names,
    dtypes, shapes, values and the text, in hexadecimal, a blank, and the text. The format itself has no
    checksum.

    Raises
    ------
    ValueError
        If `read_tensors` would refuse the file: a name is not printable, or there are thousands of names with
        hardly any values.
    """
    import safetensors.numpy  # only who saves pays for the import

    arrays = {name: np.asarray(array, array.dtype.newbyteorder("<"), "C") for name, array in arrays.items()}
    metadata = {_KEY: f"{_checksum(arrays, text)} {text}"}
    content = safetensors.numpy.save(arrays, metadata)
    header = content[8 : 8 + int.from_bytes(content[:8], "little")]
    _parse(header.decode(), len(content))  # better no file than one that cannot be read
    write_atomically(path, content)


def read_tensors(
    path: str | os.PathLike[str], checked: bool = True
) -> tuple[dict[str, np.ndarray], str | None]:
    """Return what `write_tensors` wrote: the arrays and the text.

    With `checked=False` files that others wrote, without a checksum, are read as well; their text is None.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is no safetensors file, not whole, or its checksum is missing or not that of its content.
    """
    path = check_file(path, "a safetensors file")
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= size - 8:
                raise ValueError(f"its header must be in its {size} bytes, but has {length}")
            tensors, entry = _parse(file.read(length).decode(), size)
            _compare(tensors.items(), size - 8 - length)
            data = np.empty(size - 8 - length, np.uint8)
            if file.readinto(data.data) < data.size:
                raise ValueError("it became shorter while it was read")
        arrays = {name: _view(data, tensor) for name, tensor in tensors.items()}
        if entry is None:
            # A damaged file of ours might look like this, so it is for the user to say that it is none.
            if checked:
                raise ValueError(
                    "it must have the checksum that minicnn writes, or nothing tells whether it is whole; "
                    "for a file that others wrote: `checked=False`"
                )
            return arrays, None
        checksum, _, text = entry.partition(" ")
        if checksum != _checksum(arrays, text):
            raise ValueError("it must have the checksum of its content; it was damaged since it was written")
        return arrays, text
    except ValueError as error:
        raise FileFormatError(f"{path} must be a safetensors file: {error}") from error


def _parse(header: str, size: int) -> tuple[dict[str, _Tensor], str | None]:
    """Return the tensors of a header by name, and the checksum and text, if a file of this size has them."""
    tensors: dict[str, _Tensor] = {}
    metadata: list[tuple[int, int]] = []
    most = _FREE_TENSORS + size // 100
    opening = _pattern(_OPEN).match(header)
    place = opening.end() if opening else len(header)
    while entry := _pattern(_ENTRY).match(header, place):
        place = entry.end()
        if entry[2] is None:
            metadata.append(entry.span(1))
            continue
        name, tensor = json.loads(entry[2]), json.loads(entry[3])
        if name == "__metadata__":
            raise ValueError(f"{name!r} must hold texts, not a tensor")
        if name in tensors or len(tensor) < 3:
            raise ValueError(f"{name!r} or a part of it is there twice")
        if not name.isprintable():  # it would be, in messages: on a terminal such characters are commands
            raise ValueError(f"names must be printable, got {name!r}")
        if tensor["dtype"] not in _DTYPES:
            raise ValueError(f"the dtype of {name} must be one of {', '.join(_DTYPES)}")
        tensors[name] = _Tensor(_DTYPES[tensor["dtype"]], tuple(tensor["shape"]), *tensor["data_offsets"])
        if len(tensors) > most:
            raise ValueError(f"it must have at most {most} tensors, for its size")
    if not _pattern(_CLOSE).fullmatch(header, place):
        raise ValueError("its header must describe tensors by `dtype`, `shape` and `data_offsets`")
    if len(metadata) > 1:
        raise ValueError("`__metadata__` is there twice")
    return tensors, _checked(header, *metadata[0]) if metadata else None


def _checked(header: str, begin: int, end: int) -> str | None:
    """Return our entry, checksum and text, of the metadata in this part of the header, if it is there."""
    if not any(pair[1] == _QUOTED for pair in _pattern(_PAIR).finditer(header, begin, end)):
        return None
    pair = _pattern(_PAIR).match(header, begin, end)
    if pair is None or _pattern(_PAIR).search(header, pair.end(), end):
        raise ValueError(f"{_KEY!r} must be the only metadata")
    text: str = json.loads(pair[2])
    return text


def _compare(tensors: Iterable[tuple[str, _Tensor]], size: int) -> None:
    """Demand that the tensors fill so many bytes, without gaps, and each those that its shape needs."""
    end = 0
    for name, tensor in sorted(tensors, key=lambda item: item[1][2:]):
        needed = math.prod(tensor.shape) * np.dtype(tensor.dtype).itemsize
        if tensor.begin != end or tensor.end != end + needed:
            raise ValueError(
                f"{name} must take {needed} bytes from {end} on, got {tensor.begin} to {tensor.end}"
            )
        end = tensor.end
    if end != size:
        raise ValueError(f"it promises {end} bytes of values, but holds {size}")


def _view(data: np.ndarray, tensor: _Tensor) -> np.ndarray:
    values = data[tensor.begin : tensor.end]
    if tensor.dtype == "?" and values.max(initial=0) > 1:
        raise ValueError("a truth value must be 0 or 1")
    return values.view(tensor.dtype).reshape(tensor.shape)


def _checksum(arrays: Mapping[str, np.ndarray], text: str) -> str:
    """Return the SHA-256 of names, dtypes, shapes and values, in the order of the names, and of the text."""
    import hashlib  # not with the package, which is to take little more time than NumPy

    sha = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        sha.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        sha.update(array.data)
    sha.update(text.encode())
    return sha.hexdigest()
