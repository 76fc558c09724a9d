"""The header of a file `.npy`, read without trust."""

import tokenize
import warnings
from typing import Any

import numpy as np

from minicnn.errors import FileFormatError

MAX_HEADER = 1 << 14  # bytes
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_DAMAGED = (ValueError, SyntaxError, TypeError, KeyError, tokenize.TokenError)


def read_npy_header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return shape, whether columns come first, and dtype; the file stands at the values then.

    Raises
    ------
    FileFormatError
        If there is no such header.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> np.save(file, np.zeros((2, 3), np.uint8))
    >>> file.seek(0)
    0
    >>> read_npy_header(file)
    ((2, 3), False, dtype('uint8'))
    """
    try:
        version = np.lib.format.read_magic(file)
        with warnings.catch_warnings(action="ignore"):  # of files of Python 2, as which damaged ones may look
            return _READERS[version](file, max_header_size=MAX_HEADER)
    except _DAMAGED as error:
        raise FileFormatError(f"its content is damaged ({error})") from error
