"""Search for a failing case of a learner's function, and shrink it to the smallest one."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from minicnn.testing.grade.cases import Geometry
from minicnn.testing.grade.compare import Call, mismatch
from minicnn.testing.grade.conventions import Convention

EXAMPLES = 150  # the same each time
FRESH = 30  # others each time: a file may have a table of the right results for those above
Clock = Callable[[], float]


class Deadline:
    """A time limit."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self.seconds = seconds
        self.clock = clock
        self.time = clock() + seconds

    def passed(self) -> bool:
        """Return whether the time is over."""
        return self.clock() >= self.time

    def extend(self) -> None:
        """Grant half of the time once more."""
        self.time += self.seconds / 2


def smallest_failure(
    name: str,
    call: Call,
    convention: Convention,
    seconds: float = 30.0,
    examples: int = EXAMPLES,
    shrink: bool = True,
    clock: Clock = time.monotonic,
) -> str | None:
    """Return the smallest case in which a function violates `convention`, as text; None if there is none.

    A slow function is tested in fewer cases: after `seconds`, the remaining cases count as passed.
    """
    deadline = Deadline(seconds, clock)

    def describe(case: Geometry) -> str:
        return "" if deadline.passed() else mismatch(name, call, convention, case)

    case = next(filter(describe, _cases(examples, pool=name.startswith("pool"))), None)
    if case is None:
        return None
    deadline.extend()
    return describe(_smallest(case, describe) if shrink else case) or "fails intermittently"


def _cases(examples: int, pool: bool) -> Iterator[Geometry]:
    same, fresh = np.random.default_rng(0), np.random.default_rng()
    for _ in range(examples):
        yield _geometry(same, pool)
    for _ in range(FRESH):
        yield replace(_geometry(fresh, pool), seed=int(fresh.integers(2**62)))


def _smallest(case: Geometry, describe: Callable[[Geometry], str]) -> Geometry:
    """Shrink the case field by field, as long as some values still fail."""
    smaller = next((each for each in _smaller(case) if describe(each)), None)
    return case if smaller is None else _smallest(smaller, describe)


def _smaller(case: Geometry) -> Iterator[Geometry]:
    """Yield cases that are smaller in one field, each with a few seeds, because the values change with it."""
    changes: list[dict[str, Any]] = []
    for key, least in (("images", 1), ("channels", 1), ("filters", 1), ("activation", 0)):
        changes += [{key: n} for n in range(least, getattr(case, key))]
    for key in ("size", "kernel", "stride"):
        rows, columns = getattr(case, key)
        changes += [{key: (n, columns)} for n in range(1, rows)]
        changes += [{key: (rows, n)} for n in range(1, columns)]
    for key, plain in (("padding", "valid"), ("mode", "max"), ("near", False), ("whole", True)):
        changes += [{key: plain}] if getattr(case, key) != plain else []
    for change in changes:
        for seed in range(6):
            yield replace(case, **change, seed=seed)


def _geometry(rng: np.random.Generator, pool: bool) -> Geometry:
    """Draw a case; the window fits into the image, also without padding."""

    def number(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    kernel = number(1, 4), number(1, 4)
    padding = "valid" if pool or number(0, 1) else "same"
    low, lower = kernel if padding == "valid" else (1, 1)
    return Geometry(
        images=number(1, 2),
        size=(number(low, low + 4), number(lower, lower + 4)),
        channels=number(1, 2),
        filters=1 if pool else number(1, 2),
        kernel=kernel,
        stride=(number(1, 3), number(1, 3)),
        padding=padding,
        mode="avg" if pool and number(0, 1) else "max",
        activation=0 if pool else number(0, 2),
        whole=bool(number(0, 1)),
        seed=number(0, 2**16),
        near=pool and not number(0, 3),
    )
