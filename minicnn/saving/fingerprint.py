"""The fingerprint of a run: versions, BLAS and its threads, processor, settings, data."""

import platform
import re
from typing import Any

import numpy as np

from minicnn.version import __version__

_ROWS = 4096  # hashed at a time, so that memory-mapped data need not fit into memory
_BLAS = ("internal_api", "version", "architecture", "num_threads")


def environment() -> dict[str, Any]:
    """Return the versions of the software, and the kernel and threads of BLAS."""
    import threadpoolctl  # imported here to keep `import minicnn` fast

    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    return {
        "minicnn": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "blas": [{key: pool.get(key) for key in _BLAS} for pool in pools],
    }


def fingerprint(**settings: Any) -> dict[str, str]:
    """Return, by name, everything that must be equal for two runs to be bit-identical, each as a short text.

    >>> fingerprint(threads=2)["threads"]
    '2'
    """
    found = environment()
    del found["platform"]  # the release of the operating system's kernel changes no result
    found["blas"] = "; ".join(" ".join(map(str, pool.values())) for pool in found["blas"])
    abilities: Any = np.show_config(mode="dicts")
    found["processor"] = " ".join([platform.machine(), *abilities["SIMD Extensions"]["found"]])
    # The default repr of an object has its address, which differs in each process.
    return {name: re.sub(r" at 0x[0-9a-fA-F]+", "", str(value)) for name, value in (found | settings).items()}


def differences(before: dict[str, str], now: dict[str, str]) -> str:
    """Describe what differs between two fingerprints; return an empty string if they are equal.

    >>> differences({"threads": "2", "seed": "0"}, {"threads": "4", "seed": "0"})
    'threads changed from 2 to 4'
    """
    changes = []
    for name in before | now:
        old, new = before.get(name, "none"), now.get(name, "none")
        if old != new:
            short = len(old + new) <= 120 and (old + new).isprintable()
            changes.append(f"{name} changed from {old} to {new}" if short else f"{name} changed")
    return "; ".join(changes)


def data_digest(*arrays: np.ndarray) -> str:
    """Return the SHA-256 of shapes, dtypes and values, in hexadecimal; memory-mapped arrays are sampled.

    >>> data_digest(np.zeros(3))[:8]
    '11a80484'
    """
    import hashlib  # imported here for the same reason

    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.shape} {array.dtype.str} ".encode())
        if isinstance(array, np.memmap):  # may be too large to be read before training: about 4096 rows
            array = array[:: -(-len(array) // _ROWS)]
        for start in range(0, len(array), _ROWS):
            sha.update(np.ascontiguousarray(array[start : start + _ROWS]).data)
    return sha.hexdigest()
