"""The memory of an optimizer: state arrays over all parameters end to end, and their division into blocks."""

import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from minicnn.ops.memory import aligned_zeros
from minicnn.optimizers._groups import Settings

BLOCK = 1 << 16  # values: few NumPy calls, and five arrays of it (float32) still fit into a usual L2 cache

# The index of each parameter among all that are given, its shape and its dtype.
Layout: TypeAlias = list[tuple[int, tuple[int, ...], np.dtype]]
_Segment: TypeAlias = tuple[int, slice, slice]  # index of a parameter, its part, its place in the block


class Memory:
    """The state arrays of an optimizer, zeros at first, for parameters of a fixed layout.

    Attributes
    ----------
    layout : list of (int, shape, dtype)
        Of the trainable parameters.
    groups : sequence of Settings
        Of each parameter, in the order of the layout.
    blocks : list of list of (int, slice, slice)
        For each block the parts of parameters in it, which are of one group.
    arrays : dict from str to ndarray
        A flat array per slot.
    buffer : ndarray
        Scratch memory of two blocks.

    Raises
    ------
    ValueError
        If there are no parameters, or they have several dtypes.
    """

    def __init__(self, layout: Layout, groups: Sequence[Settings], slots: tuple[str, ...]) -> None:
        if len({dtype for _, _, dtype in layout}) != 1:
            raise ValueError(
                f"an optimizer needs trainable parameters of one dtype, got {describe_layout(layout)}"
                + ("" if layout else ": the model has no weights, or all are frozen by `trainable = False`")
            )
        sizes, dtype = [math.prod(shape) for _, shape, _ in layout], layout[0][2]
        self.layout, self.groups = layout, groups
        self.blocks = _split(sizes, groups)
        self.arrays = {slot: aligned_zeros(sum(sizes), dtype) for slot in slots}
        self.buffer = aligned_zeros(2 * BLOCK, dtype)

    def named_views(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield ("0.m", view) for each parameter's part of each state array, in the parameter's shape."""
        for slot, flat in self.arrays.items():
            stop = 0
            for i, shape, _ in self.layout:
                start, stop = stop, stop + math.prod(shape)
                yield f"{i}.{slot}", flat[start:stop].reshape(shape)


def describe_layout(layout: Layout) -> str:
    """Return the layout as text for a message."""
    return ", ".join(f"{shape} {dtype}" for _, shape, dtype in layout) or "none"


def _split(sizes: Sequence[int], groups: Sequence[Settings], block: int = BLOCK) -> list[list[_Segment]]:
    """Return the blocks into which parameters of these sizes, end to end, are divided; each of one group.

    >>> _split([3, 4], [(), ()], block=5)
    [[(0, slice(0, 3, None), slice(0, 3, None)), (1, slice(0, 2, None), slice(3, 5, None))],
     [(1, slice(2, 4, None), slice(0, 2, None))]]
    """
    blocks: list[list[_Segment]] = []
    used = block
    for i, size in enumerate(sizes):
        if i and groups[i] != groups[i - 1]:
            used = block
        done = 0
        while done < size:
            if used == block:
                blocks.append([])
                used = 0
            take = min(size - done, block - used)
            blocks[-1].append((i, slice(done, done + take), slice(used, used + take)))
            done, used = done + take, used + take
    return blocks
