"""Memory that two processes see: weights and gradients of a replica, and a arena for what a shard needs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minicnn.ops.memory import ALIGNMENT
from minicnn.parameter import Parameter


class SharedArena:
    """Shared memory for the arrays of one shard, which each process lays there, or takes, in the same order.

    What finds no capacity is sent through the pipe.
    """

    def __init__(self, memory: np.ndarray) -> None:
        self.memory, self.used = memory, 0

    def clear(self) -> None:
        """Begin with the next shard."""
        self.used = 0

    def write(self, array: np.ndarray) -> Any:
        """Copy an array here, and return what to say of it."""
        if array.dtype.kind in "OV" or self.used + array.nbytes > self.memory.nbytes:
            return array
        spec = array.shape, array.dtype.str
        np.copyto(self.read(spec), array)
        return spec

    def read(self, spec: Any) -> np.ndarray:
        """Return the array of which that was said."""
        if isinstance(spec, np.ndarray):
            return spec
        shape, dtype = spec
        array = np.ndarray(shape, dtype, self.memory.data, self.used)
        self.used += _rounded(array.nbytes)
        return array


@contextlib.contextmanager
def shared_file(parameters: Sequence[Parameter], capacity: int) -> Iterator[int]:
    """Make a file of zeros without a name for all that is shared, in memory where that can be said."""
    size = 2 * sum(map(_shared_size, parameters)) + capacity
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("minicnn"), "r+b") as memory:
            memory.truncate(size)
            yield memory.fileno()
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            file.write(bytes(size))  # now, since to find the disk full in a step would be fatal
            file.flush()
            yield file.fileno()


def _shared_size(parameter: Parameter) -> int:
    return _rounded(parameter.value.nbytes)


def _rounded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def share(
    parameters: Sequence[Parameter], memory: int, *, values: bool
) -> tuple[list[np.ndarray], SharedArena]:
    """Let gradients, and values if wanted, lie in shared memory; return where values lie, and a arena."""
    import mmap

    shared = mmap.mmap(memory, 0)
    places, start = [], 0
    for parameter in parameters:
        value, grad = (
            np.frombuffer(shared, parameter.dtype, parameter.size, place).reshape(parameter.shape)
            for place in (start, start + _shared_size(parameter))
        )
        parameter.rebind(value if values else None, grad)
        places.append(value)
        start += 2 * _shared_size(parameter)
    return places, SharedArena(np.frombuffer(shared, np.uint8, offset=start))
