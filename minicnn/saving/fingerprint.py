"""What the numbers of a run depend on: versions, BLAS and its threads, the processor, settings, data."""

from __future__ import annotations

import platform
import re
from typing import Any

import numpy as np

from minicnn.version import __version__

_ROWS = 4096  # hashed at a time, so that data on the disk need not fit into memory


def environment() -> dict[str, Any]:
    """Return the versions, and what BLAS computes with: its kernel and threads."""
    import threadpoolctl  # not above: `import minicnn` is to take little more time than `import numpy`

    blas = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    return {
        "minicnn": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "blas": [
            {key: pool.get(key) for key in ("internal_api", "version", "architecture", "num_threads")}
            for pool in blas
        ],
    }


def fingerprint(**settings: Any) -> dict[str, str]:
    """Return, by name, all that must be equal for two runs to be equal bit for bit, each as a short text.

    >>> fingerprint(threads=2)["threads"]
    '2'
    """
    found = environment()
    del found["platform"]  # a newer kernel of the operating system computes nothing differently
    found["blas"] = "; ".join(" ".join(map(str, pool.values())) for pool in found["blas"])
    abilities: Any = np.show_config(mode="dicts")
    found["processor"] = " ".join([platform.machine(), *abilities["SIMD Extensions"]["found"]])
    # Of objects that do not describe themselves, Python tells the address, another one each time.
    return {name: re.sub(r" at 0x[0-9a-fA-F]+", "", str(value)) for name, value in (found | settings).items()}


def differences(before: dict[str, str], now: dict[str, str]) -> str:
    """Return in words what differs between two fingerprints; nothing if they are equal.

    >>> differences({"threads": "2", "seed": "0"}, {"threads": "4", "seed": "0"})
    'threads: 4 instead of 2'
    """
    told = []
    for name in before | now:
        old, new = before.get(name, "none"), now.get(name, "none")
        if old != new:
            shown = len(old + new) <= 120 and (old + new).isprintable()
            told.append(f"{name}: {new} instead of {old}" if shown else f"another {name}")
    return "; ".join(told)


def data_digest(*arrays: np.ndarray) -> str:
    """Return the SHA-256 of shapes, dtypes and values, in hexadecimal; of memory-mapped arrays, of some rows.

    >>> data_digest(np.zeros(3))[:8]
    '11a80484'
    """
    import hashlib  # not with the package, which is to take little more time than NumPy

    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.shape} {array.dtype.str} ".encode())
        if isinstance(array, np.memmap):  # perhaps too large to be read beforehand
            array = array[:: -(-len(array) // _ROWS)]
        for start in range(0, len(array), _ROWS):
            sha.update(np.ascontiguousarray(array[start : start + _ROWS]).data)
    return sha.hexdigest()
