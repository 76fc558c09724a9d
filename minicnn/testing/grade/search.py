"""Search for a failing case of a learner's function, and shrink it to the smallest one."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from minicnn.testing.grade.cases import Geometry
from minicnn.testing.grade.compare import mismatch
from minicnn.testing.grade.conventions import Convention

EXAMPLES = 150


class Deadline:
    """A time limit that starts with the first call of `passed`: hypothesis's startup does not count."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.time = 0.0

    def passed(self) -> bool:
        """Return whether the time is over."""
        self.time = self.time or time.monotonic() + self.seconds
        return time.monotonic() >= self.time

    def extend(self) -> None:
        """Grant the same time once more."""
        self.time += self.seconds


def smallest_failure(
    name: str,
    function: Callable[..., Any],
    convention: Convention,
    path: str = "",
    seconds: float = 30.0,
    examples: int = EXAMPLES,
    shrink: bool = True,
) -> str | None:
    """Return the smallest case in which `function` violates `convention`, as text; None if there is none.

    A slow function is tested in fewer cases: after `seconds`, the remaining cases count as passed.
    """
    deadline = Deadline(seconds)

    def describe(case: Geometry) -> str:
        return "" if deadline.passed() else mismatch(name, function, convention, case, path)

    case = _first_failure(_geometries(pool=name.startswith("pool")), describe, examples)
    if case is None:
        return None
    deadline.extend()
    return describe(_smallest(case, describe) if shrink else case) or "fails intermittently"


def _first_failure(
    cases: st.SearchStrategy[Geometry], describe: Callable[[Geometry], str], examples: int
) -> Geometry | None:
    """Return the first drawn case that `describe` describes as wrong."""
    found: list[Geometry] = []

    @settings(
        max_examples=examples,
        phases=(Phase.generate,),
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def run(case: Geometry) -> None:
        if describe(case):
            found.append(case)
            raise AssertionError

    try:
        run()
        return None
    except Exception:  # the assertion, or hypothesis's error for a function that fails intermittently
        if not found:
            raise
    return found[0]


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
    for key, plain in (("padding", "valid"), ("mode", "max"), ("whole", True)):
        changes += [{key: plain}] if getattr(case, key) != plain else []
    for change in changes:
        for seed in range(6):
            yield replace(case, **change, seed=seed)


@st.composite
def _geometries(draw: Callable[..., Any], pool: bool) -> Geometry:
    kernel = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    padding = "valid" if pool else draw(st.sampled_from(["valid", "same"]))
    least = kernel if padding == "valid" else (1, 1)
    size = draw(st.integers(least[0], least[0] + 4)), draw(st.integers(least[1], least[1] + 4))
    return Geometry(
        images=draw(st.integers(1, 2)),
        size=size,
        channels=draw(st.integers(1, 2)),
        filters=1 if pool else draw(st.integers(1, 2)),
        kernel=kernel,
        stride=(draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        padding=padding,
        mode=draw(st.sampled_from(["max", "avg"])) if pool else "max",
        activation=0 if pool else draw(st.integers(0, 2)),
        whole=draw(st.sampled_from([True, False])),
        seed=draw(st.integers(0, 2**16)),
    )
