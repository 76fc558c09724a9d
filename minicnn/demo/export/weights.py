"""The file of weights of a static copy."""

import numpy as np


class Weights:
    """Arrays one after the other, as float32; `add` returns where an array begins."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self.size = 0

    def add(self, array: np.ndarray) -> int:
        """Append an array and return the number of values before it."""
        start = self.size
        self.arrays.append(np.ravel(array).astype("<f4"))
        self.size += array.size
        return start

    @property
    def are_finite(self) -> bool:
        """Whether all values are."""
        return all(np.isfinite(array).all() for array in self.arrays)

    def to_bytes(self) -> bytes:
        """Return all values, little-endian."""
        return b"".join(array.tobytes() for array in self.arrays)
