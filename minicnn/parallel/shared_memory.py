"""Memory shared with a worker: the weights and gradients of a replica, and an arena for a shard's arrays."""

import os
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

from minicnn.ops.memory import ALIGNMENT
from minicnn.parallel.sums import SumMemory
from minicnn.parameter import Parameter


class SharedArena:
    """Allocates arrays one after the other in shared memory.

    Both processes call `write` and `read` in the same order, so each finds an array where the other put it.

    Parameters
    ----------
    memory : ndarray of uint8
        The shared memory.
    start : int
        The offset of the first array after `clear`.
    """

    def __init__(self, memory: np.ndarray, start: int = 0) -> None:
        self.memory, self.start, self.used = memory, start, start
        self.capacity = memory.nbytes - start

    def clear(self) -> None:
        """Free all arrays, before the next shard."""
        self.used = self.start

    def write(self, array: np.ndarray) -> Any:
        """Copy an array into the arena; return the spec from which `read` finds it.

        An array that does not fit is its own spec: it travels through the pipe.
        """
        if self.used + array.nbytes > self.memory.nbytes:
            return array
        spec = array.shape, array.dtype.str
        np.copyto(self.read(spec), array)
        return spec

    def read(self, spec: Any) -> np.ndarray:
        """Return the array that `write` described, without copying it."""
        if isinstance(spec, np.ndarray):
            return spec
        shape, dtype = spec
        array = np.ndarray(shape, dtype, self.memory.data, self.used)
        self.used += _aligned(array.nbytes)
        return array


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def shared_file(size: int) -> BinaryIO:
    """Return an unnamed file of `size` zeros.

    The file is in memory where the system supports it, otherwise in the folder for temporary files.
    """
    import tempfile

    file: Any
    if hasattr(os, "memfd_create"):
        file = os.fdopen(os.memfd_create("minicnn"), "r+b")
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
    file.write(bytes(size))  # not `truncate`: a lack of memory must show now, as in a step it is fatal
    file.flush()
    return file


def shared_size(parameters: Sequence[Parameter], capacity: int) -> int:
    """Return the size of a file for values, gradients and an arena of `capacity` bytes."""
    return 2 * sum(_aligned(parameter.value.nbytes) for parameter in parameters) + capacity


def map_sums(file: int) -> SumMemory:
    """Return the counters and values in a shared file of `SumMemory.size(...)` bytes."""
    import mmap

    memory = np.frombuffer(mmap.mmap(file, 0), np.uint8)
    return SumMemory(len(memory) // SumMemory.size(1), memory)


def attach(
    parameters: Sequence[Parameter], memory: int, *, values: bool
) -> tuple[list[np.ndarray], SharedArena]:
    """Move gradients, and values if `values` is true, into the file `memory`.

    Returns
    -------
    list of ndarray, SharedArena
        The parameters' values in shared memory, and the arena behind them.
    """
    import mmap

    arena = SharedArena(np.frombuffer(mmap.mmap(memory, 0), np.uint8))
    shared_values = []
    for parameter in parameters:
        spec = parameter.shape, parameter.dtype.str
        value, grad = arena.read(spec), arena.read(spec)
        parameter.rebind(value if values else None, grad)
        shared_values.append(value)
    return shared_values, SharedArena(arena.memory, arena.used)
