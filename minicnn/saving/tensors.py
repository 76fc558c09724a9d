"""Named arrays in one file: safetensors with a checksum, read without trust.

The library `safetensors` reads and writes the format: a header of JSON that describes the tensors, and their
values. It checks that the two fit together. This module adds a checksum, a limit on the memory that a header
takes, and the refusal of duplicate names and unknown fields, which the library ignores.
"""

import json
import os
from collections.abc import Mapping

import numpy as np

from minicnn.errors import FileFormatError
from minicnn.saving.files import check_schema, parse_json, write_atomically
from minicnn.validation import check_file

_KEY = "minicnn"  # the only key of the metadata, since safetensors writes several in any order
_DTYPES = {"BOOL": "?", "U8": "u1", "I8": "i1"} | {
    f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "UIF" for size in (2, 4, 8)
}


def write_tensors(path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray], text: str = "") -> None:
    """Write named arrays, and a text beside them, atomically.

    The file is in the format safetensors, with one entry of metadata, "minicnn": the SHA-256 of all names,
    dtypes, shapes, values and the text, in hexadecimal, a blank, and the text. The format itself has no
    checksum.

    Raises
    ------
    ValueError
        If `read_tensors` would refuse the file: a name is not printable, values are complex, or there are
        thousands of names with hardly any values.
    safetensors.SafetensorError
        If a dtype is not one of the format.
    """
    import safetensors.numpy  # imported here to keep `import minicnn` fast

    arrays = {name: np.asarray(array, array.dtype.newbyteorder("<"), "C") for name, array in tensors.items()}
    content = safetensors.numpy.save(arrays, {_KEY: f"{_checksum(arrays, text)} {text}"})
    _read_metadata(content)  # better no file than one that cannot be read
    write_atomically(path, content)


def read_tensors(
    path: str | os.PathLike[str], checked: bool = True
) -> tuple[dict[str, np.ndarray], str | None]:
    """Return the arrays and the text that `write_tensors` wrote.

    With `checked=False`, files of other programs are read as well. They have no checksum; their text is None.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is no safetensors file, is damaged, or has no checksum.
    """
    import safetensors

    path = check_file(path, "a safetensors file")
    content = path.read_bytes()
    try:
        metadata = _read_metadata(content)
        arrays = {name: _to_array(**tensor) for name, tensor in safetensors.deserialize(content)}
        if _KEY not in metadata:
            # A damaged file of minicnn can look like this: only the user knows that another program wrote it.
            if checked:
                raise ValueError("it has no minicnn checksum; for files of other programs, `checked=False`")
            return arrays, None
        if len(metadata) > 1:
            raise ValueError(f"{_KEY!r} must be the only metadata")
        checksum, _, text = metadata[_KEY].partition(" ")
        if checksum != _checksum(arrays, text):
            raise ValueError("its checksum does not match its content: it was damaged after it was written")
        return arrays, text
    except (ValueError, TypeError, safetensors.SafetensorError) as error:
        raise FileFormatError(f"{path} is not a valid safetensors file: {error}") from error


def _read_metadata(content: bytes) -> dict[str, str]:
    """Return the metadata in a file's header, whose entries and size are checked here."""
    if content.startswith(b"PK\x03\x04"):
        raise ValueError(
            "it is a zip archive, as torch.save writes; `minicnn.interop.torch.load_state` takes what "
            "torch.load returns"
        )
    try:
        header = content[8 : 8 + int.from_bytes(content[:8], "little")].decode()
    except UnicodeDecodeError:
        raise ValueError("its header is not text") from None
    tensors = parse_json(header, len(content))
    metadata: dict[str, str] = tensors.pop("__metadata__", {})
    check_schema(metadata, {str: str}, "`__metadata__`")
    check_schema(tensors, {str: {"dtype": str, "shape": [int], "data_offsets": [int]}}, "its header")
    for name, tensor in tensors.items():
        if not name.isprintable():  # messages show names, and a terminal obeys control characters
            raise ValueError(f"names must be printable, got {name!r}")
        if tensor["dtype"] not in _DTYPES:
            raise ValueError(f"the dtype of {name} must be one of {', '.join(_DTYPES)}")
    return metadata


def _to_array(dtype: str, shape: list[int], data: bytearray) -> np.ndarray:
    """Return what `safetensors.deserialize` says of a tensor as an array, without a copy."""
    array = np.ndarray(shape, _DTYPES[dtype], data)
    if dtype == "BOOL" and array.view(np.uint8).max(initial=0) > 1:
        raise ValueError("a boolean must be 0 or 1")
    return array


def _checksum(arrays: Mapping[str, np.ndarray], text: str) -> str:
    """Return the SHA-256 of names, dtypes, shapes and values, in the order of the names, and of the text."""
    import hashlib  # imported here for the same reason

    sha = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        sha.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        sha.update(array.data)
    sha.update(text.encode())
    return sha.hexdigest()
