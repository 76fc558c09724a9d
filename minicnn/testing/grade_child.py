"""The other process of `minicnn grade`: runs a learner's file, tests its functions, writes events.

Events are lines of JSON in a file of their own, so that nothing which the learner's code prints, closes or
raises can be taken for one. Whoever started this process watches them, and ends it when it hangs.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from minicnn.testing.grade_cases import RESULTS, Convention, Geometry, conventions, telling
from minicnn.testing.grade_compare import mismatch, told

EXAMPLES = 150


def main(path: str, events: str, wanted: str, timeout: str) -> None:
    """Test the functions `wanted`, with commas between them, as far as the file defines them."""
    with Path(events).open("a", encoding="utf-8") as stream:

        def tell(**event: Any) -> None:
            stream.write(json.dumps(event) + "\n")
            stream.flush()

        process = os.getpid()
        tell(event="started")
        try:
            module = _load(path)
            _end_copies(process)
        except BaseException as error:  # also SystemExit: the file may call exit()
            tell(event="failed", text=told(error, path))
            return
        names = [name for name in RESULTS if callable(getattr(module, name, None))]
        tell(event="defines", names=names)
        for name in wanted.split(","):
            if name in names:
                tell(event="testing", name=name)
                tell(event="tested", name=name, **judge(name, getattr(module, name), path, float(timeout)))
        tell(event="finished")


def judge(name: str, function: Callable[..., Any], path: str = "", timeout: float = 60.0) -> dict[str, Any]:
    """Return whether a function is right, its smallest failing case, and the convention that it follows.

    "calls" is the number of cases there was time for, 0 where there was time for all.
    """
    ours, *others = conventions(name)
    calls, process, start = 0, os.getpid(), time.monotonic()

    def alone(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        try:
            return function(*given)
        finally:
            _end_copies(process)

    case = smallest_failure(name, alone, ours, path, timeout / 2)
    hurried = time.monotonic() - start > timeout / 2
    known = [ours] if case is None else followed(name, alone, others, path, timeout / 4)
    words = known[0].words if known else ""
    return {"passed": case is None, "case": case or "", "convention": words, "calls": calls if hurried else 0}


def followed(
    name: str,
    function: Callable[..., Any],
    known: list[Convention],
    path: str = "",
    seconds: float = 15.0,
    examples: int = EXAMPLES,
) -> list[Convention]:
    """Return those of the known conventions by which a function is right."""
    share = seconds / len(known) if known else 0.0
    return [
        convention
        for convention in known
        # A slow function leaves no time for all cases: those that tell come first.
        if not any(mismatch(name, function, convention, case, path) for case in telling(name))
        and smallest_failure(name, function, convention, path, share, examples, shrink=False) is None
    ]


def smallest_failure(
    name: str,
    function: Callable[..., Any],
    convention: Convention,
    path: str = "",
    seconds: float = 30.0,
    examples: int = EXAMPLES,
    shrink: bool = True,
) -> str | None:
    """Return the smallest case in which `function` is not right by `convention`, as text; None if none is.

    A slow function is tested in fewer cases: when the time is over, the rest pass unseen.
    """
    found: list[Geometry] = []
    deadline = 0.0  # from the first case on: what hypothesis needs to start is not the function's time

    def wrong(case: Geometry) -> str:
        nonlocal deadline
        deadline = deadline or time.monotonic() + seconds
        return mismatch(name, function, convention, case, path) if time.monotonic() < deadline else ""

    @settings(
        max_examples=examples,
        phases=(Phase.generate,),
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=_geometries(pool=name.startswith("pool")))
    def run(case: Geometry) -> None:
        if wrong(case):
            found.append(case)
            raise AssertionError

    try:
        run()
        return None
    except Exception:  # the assertion, or hypothesis' word for a function that does not fail twice alike
        if not found:
            raise
    case = found[0]
    deadline += seconds
    return wrong(_smallest(case, wrong) if shrink else case) or "it fails now and then, and not twice alike"


def _smallest(case: Geometry, wrong: Callable[[Geometry], str]) -> Geometry:
    """Return the case made smaller, one field after the other, as long as some values still fail."""
    smaller = next((each for each in _smaller(case) if wrong(each)), None)
    return case if smaller is None else _smallest(smaller, wrong)


def _smaller(case: Geometry) -> Iterator[Geometry]:
    """Yield cases that are smaller in one field, each with a few seeds, since its values are others then."""
    changes: list[dict[str, Any]] = []
    for key, least in (("images", 1), ("channels", 1), ("filters", 1), ("activation", 0)):
        changes += [{key: n} for n in range(least, getattr(case, key))]
    for key in ("size", "kernel", "stride"):
        rows, columns = getattr(case, key)
        changes += [{key: (n, columns)} for n in range(1, rows)] + [
            {key: (rows, n)} for n in range(1, columns)
        ]
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


def _end_copies(process: int) -> None:
    """End a process that the learner's code has forked from the one that tests it."""
    if os.getpid() != process:
        os._exit(0)


def _load(path: str) -> Any:
    """Import the learner's file; its `if __name__ == "__main__"` part does not run."""
    sys.path.insert(0, str(Path(path).parent))  # for what it imports from beside itself
    spec = importlib.util.spec_from_file_location("solution", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
