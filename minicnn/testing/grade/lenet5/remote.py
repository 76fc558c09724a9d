"""The net that a learner's function returns, in its process."""

from typing import Any

import numpy as np

from minicnn.ops.padding import Pair
from minicnn.testing.grade.compare import Call
from minicnn.testing.grade.lenet5.reference import shapes

Problem = tuple[str, str]  # what is wrong, and its usual cause


class FailedError(Exception):
    """The learner's function raised an error, or returned something else."""


class RemoteNet:
    """The net that a learner's function returns, in its process."""

    def __init__(self, call: Call, framework: str, size: Pair) -> None:
        self.call = call
        self.framework = framework
        self.size = size

    def ask(self, method: str, count: int, **named: Any) -> list[np.ndarray]:
        """Return so many arrays of numbers, or raise FailedError."""
        reply = self.call({"method": method, **named})
        if reply.problem:
            raise FailedError(reply.problem)
        for result in reply.results:
            if isinstance(result, str):
                raise FailedError(f"must return numbers, but a result {result}")
        if len(reply.results) != count:
            raise FailedError(f"gave {len(reply.results)} results where {count} are right ({method})")
        return reply.results

    def build(self) -> list[tuple[int, ...]]:
        """Call the learner's function; return the shapes of the weights, in their order."""
        (table,) = self.ask("build", 1, framework=self.framework, size=list(self.size))
        if table.ndim != 2 or table.dtype.kind != "i":
            raise FailedError("has weights of unknown shapes")
        return [tuple(int(n) for n in row if n) for row in table]

    def weights(self, method: str, order: list[int], **named: Any) -> list[np.ndarray]:
        """Return the weights in the order of the exercise's layers."""
        arrays, wanted = self.ask(method, len(order), **named), shapes(self.size)
        found = [arrays[place] for place in order]
        if [array.shape for array in found] != wanted or not all(np.isfinite(array).all() for array in found):
            raise FailedError("has weights that are not finite, or of other shapes than before")
        return found
