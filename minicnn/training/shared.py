"""Where weights and gradients lie: those of a replica side by side, perhaps in memory that two processes see.

There, too, is a desk for what a shard needs.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minicnn.ops.memory import ALIGNMENT, aligned_zeros
from minicnn.parameter import Parameter


class Desk:
    """Shared memory for the arrays of one shard, which each process lays there, or takes, in the same order.

    What finds no room is sent through the pipe.
    """

    def __init__(self, memory: np.ndarray) -> None:
        self.memory, self.used = memory, 0

    def clear(self) -> None:
        """Begin with the next shard."""
        self.used = 0

    def put(self, array: np.ndarray) -> Any:
        """Copy an array here, and return what to say of it."""
        if array.dtype.kind in "OV" or self.used + array.nbytes > self.memory.nbytes:
            return array
        told = array.shape, array.dtype.str
        np.copyto(self.take(told), array)
        return told

    def take(self, told: Any) -> np.ndarray:
        """Return the array of which that was said."""
        if isinstance(told, np.ndarray):
            return told
        shape, dtype = told
        array = np.ndarray(shape, dtype, self.memory.data, self.used)
        self.used += _rounded(array.nbytes)
        return array


@contextlib.contextmanager
def memory_for(parameters: Sequence[Parameter], room: int) -> Iterator[int]:
    """Make a file of zeros without a name for all that is shared, in memory where that can be said."""
    size = 2 * sum(map(_room, parameters)) + room
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


def _room(parameter: Parameter) -> int:
    return _rounded(parameter.value.nbytes)


def _rounded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def share(
    parameters: Sequence[Parameter], memory: int, *, values: bool
) -> tuple[list[np.ndarray], list[np.ndarray], Desk]:
    """Let gradients, and values if wanted, lie in shared memory.

    Returns
    -------
    places : list of ndarray
        Where the value of each parameter lies.
    grads : list of ndarray
        All gradients, as `side_by_side` returns them.
    desk : Desk
        The rest of the memory.
    """
    import mmap

    shared = np.frombuffer(mmap.mmap(memory, 0), np.uint8)
    size = sum(map(_room, parameters))
    places = _parts(parameters, shared[:size])
    grads = side_by_side(parameters, shared[size : 2 * size])
    if values:
        for parameter, place in zip(parameters, places, strict=True):
            parameter.move(place, parameter.grad)
    return places, grads, Desk(shared[2 * size :])


def side_by_side(parameters: Sequence[Parameter], memory: np.ndarray | None = None) -> list[np.ndarray]:
    """Let gradients lie side by side, so that one call reaches all of them; they are zero then.

    Returns
    -------
    list of ndarray
        All gradients of one dtype, one after the other, with zeros between them.
    """
    ordered = sorted(parameters, key=lambda parameter: parameter.dtype.str)
    if memory is None:
        memory = aligned_zeros(sum(map(_room, parameters)), np.uint8)
    grads, start = [], 0
    for parameter, grad in zip(ordered, _parts(ordered, memory), strict=True):
        parameter.move(None, grad)
    for dtype, group in itertools.groupby(ordered, key=lambda parameter: parameter.dtype):
        stop = start + sum(map(_room, group))
        grads.append(memory[start:stop].view(dtype))
        start = stop
    return grads


def _parts(parameters: Sequence[Parameter], memory: np.ndarray) -> list[np.ndarray]:
    """Return an array for each parameter, one after the other in these bytes."""
    parts, start = [], 0
    for parameter in parameters:
        part = memory[start : start + parameter.value.nbytes].view(parameter.dtype)
        parts.append(part.reshape(parameter.shape))
        start += _room(parameter)
    return parts
