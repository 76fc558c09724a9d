"""IDX, the file format of MNIST: a header of a few bytes, then one array in C order, big-endian.

The reader does not trust the file. A header can declare any size, and gzip can expand a thousandfold, so the
declared size is first compared with the size of the file, and memory grows only with the data read. The
result is exactly the content of the file; otherwise `FileFormatError` says what is wrong.
"""

import gzip
import io
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from minicnn.errors import FileFormatError
from minicnn.validation import check_file

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_DTYPES = {code: np.dtype(name) for code, name in _TYPES.items()}
_MAX_DIMS = 64  # NumPy's own limit
_MAX_RATIO = 1032  # deflate cannot compress better than 1032:1
_STEP = 1 << 18  # bytes read at a time
_MAX_EMPTY = 1 << 20  # bytes of an empty array without its zero dimensions: no data confirms these


def read_idx(path: str | os.PathLike[str], sha256: str | None = None) -> np.ndarray:
    """Read an IDX file, plain or compressed with gzip (recognised by its bytes, not its name).

    Parameters
    ----------
    path : path
        The file.
    sha256 : str, optional
        Expected SHA-256 of the decompressed file, in hexadecimal.

    Returns
    -------
    ndarray
        A writable C-contiguous array of the file's shape, in native byte order: uint8, int8, int16, int32,
        float32 or float64.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is not exactly one complete IDX array, or has another digest. The memory used before that
        is at most the size of the data in the file plus 1 MiB.

    Notes
    -----
    The format is described at the end of http://yann.lecun.com/exdb/mnist/.
    """
    path = check_file(path, "an IDX file")
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    try:
        stream: io.BufferedIOBase
        with gzip.open(path, "rb") if zipped else path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            return _read(stream, size * _MAX_RATIO if zipped else size, zipped, sha256)
    except (EOFError, zlib.error, gzip.BadGzipFile, FileFormatError) as error:
        raise FileFormatError(f"{path} is not a valid IDX file: {error}") from error


def _read(stream: io.BufferedIOBase, limit: int, zipped: bool, sha256: str | None) -> np.ndarray:
    """Read the array in `stream`, which contains at most `limit` bytes."""
    header, dtype, shape = _read_header(stream)
    declared = math.prod(shape) * dtype.itemsize
    claim = f"the header declares {declared} bytes of data, shape {shape}"
    if len(header) + declared > limit:
        raise FileFormatError(f"{claim}, more than the file can contain")
    if not declared and math.prod(filter(None, shape)) * dtype.itemsize > _MAX_EMPTY:
        raise FileFormatError(f"{claim}, an empty array with unreasonably large dimensions")
    if not zipped and len(header) + declared < limit:
        raise FileFormatError(f"{claim}, the file contains {limit - len(header)}")

    data = np.empty(0, np.uint8)
    while data.size < declared:
        chunk = stream.read(min(_STEP, declared - data.size))
        if not chunk:
            raise FileFormatError(f"{claim}, the file contains {data.size}")
        data.resize(data.size + len(chunk), refcheck=False)  # there are no views of it
        data[data.size - len(chunk) :] = np.frombuffer(chunk, np.uint8)
    if stream.read(1):  # for gzip, reaching the end also checks the checksum
        raise FileFormatError(f"{claim}, the file contains more")

    if sha256 is not None:
        import hashlib  # imported here to keep `import minicnn` fast

        digest = hashlib.sha256(header)
        digest.update(data.data)
        if digest.hexdigest() != sha256.lower():
            raise FileFormatError(f"its SHA-256 is {digest.hexdigest()}, expected {sha256}")
    array = data.view(dtype).reshape(shape)
    return array if array.dtype.isnative else array.byteswap(inplace=True).view(dtype.newbyteorder("="))


def _read_header(stream: io.BufferedIOBase) -> tuple[bytes, np.dtype, tuple[int, ...]]:
    """Return the header's bytes, the dtype and the shape."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES or not 1 <= magic[3] <= _MAX_DIMS:
        raise FileFormatError(
            "its first bytes must be two zeros, a type code (8, 9, 11 to 14) "
            f"and the number of dimensions (1 to {_MAX_DIMS}), got {list(magic)}"
        )
    ndim = magic[3]
    dims = stream.read(4 * ndim)
    if len(dims) < 4 * ndim:
        raise FileFormatError(f"the file ends within the header, which declares {ndim} dimensions")
    return magic + dims, _DTYPES[magic[2]], struct.unpack(f">{ndim}I", dims)


def write_idx(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Write an array as an IDX file, compressed with gzip if the name ends in ``.gz``.

    Raises
    ------
    TypeError
        If the dtype is not uint8, int8, int16, int32, float32 or float64.
    ValueError
        If `array` has no dimension.
    """
    array = np.asarray(array)
    dtype = array.dtype.newbyteorder(">")
    code = next((code for code, known in _DTYPES.items() if known == dtype), None)
    if code is None:
        raise TypeError(f"`array` must be uint8, int8, int16, int32, float32 or float64, got {array.dtype}")
    if array.ndim == 0:
        raise ValueError("`array` must have at least one dimension, got a scalar")
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    with gzip.open(path, "wb") if Path(path).suffix == ".gz" else open(path, "wb") as file:
        file.write(header)
        file.write(array.astype(dtype).tobytes())
