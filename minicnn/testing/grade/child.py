"""The child process of `minicnn grade`: it runs a learner's file, tests its functions and writes events.

Events are lines of JSON in a separate file, so that nothing the learner's code prints, closes or raises can
be mistaken for one. The parent process reads them, and stops this process if it hangs.
"""

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minicnn.testing.grade.cases import RESULTS, distinguishing_cases
from minicnn.testing.grade.compare import describe_error, mismatch
from minicnn.testing.grade.conventions import Convention, conventions
from minicnn.testing.grade.search import EXAMPLES, smallest_failure


def main(path: str, events: str, names: str, timeout: str) -> None:
    """Test the functions in `names`, separated by commas, that the file defines."""
    with Path(events).open("a", encoding="utf-8") as stream:

        def emit(**event: Any) -> None:
            stream.write(json.dumps(event) + "\n")
            stream.flush()

        process = os.getpid()
        emit(event="started")
        try:
            module = _load(path)
            _exit_if_forked(process)
        except BaseException as error:  # including SystemExit: the file may call exit()
            emit(event="failed", text=describe_error(error, path))
            return
        defined = [name for name in RESULTS if callable(getattr(module, name, None))]
        emit(event="defines", names=defined)
        for name in names.split(","):
            if name in defined:
                emit(event="testing", name=name)
                result = grade_function(name, getattr(module, name), path, float(timeout))
                emit(event="tested", name=name, **result)
        emit(event="finished")


def grade_function(
    name: str, function: Callable[..., Any], path: str = "", timeout: float = 60.0
) -> dict[str, Any]:
    """Return whether a function is correct, its smallest failing case, and the convention that it follows.

    "calls" is the number of tested cases if time ran out, otherwise 0.
    """
    textbook, *others = conventions(name)
    calls, process, start = 0, os.getpid(), time.monotonic()

    def counting(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        try:
            return function(*arguments)
        finally:
            _exit_if_forked(process)

    case = smallest_failure(name, counting, textbook, path, timeout / 2)
    timed_out = time.monotonic() - start > timeout / 2
    known = [textbook] if case is None else matching_conventions(name, counting, others, path, timeout / 4)
    description = known[0].description if known else ""
    return {
        "passed": case is None,
        "case": case or "",
        "convention": description,
        "calls": calls if timed_out else 0,
    }


def matching_conventions(
    name: str,
    function: Callable[..., Any],
    known: list[Convention],
    path: str = "",
    seconds: float = 15.0,
    examples: int = EXAMPLES,
) -> list[Convention]:
    """Return those of the known conventions by which a function is correct."""
    share = seconds / len(known) if known else 0.0
    return [
        convention
        for convention in known
        # A slow function leaves no time for all cases, so those that distinguish the conventions come first.
        if not any(mismatch(name, function, convention, case, path) for case in distinguishing_cases(name))
        and smallest_failure(name, function, convention, path, share, examples, shrink=False) is None
    ]


def _exit_if_forked(process: int) -> None:
    """Exit if this is a process that the learner's code forked from the child process."""
    if os.getpid() != process:
        os._exit(0)


def _load(path: str) -> Any:
    """Import the learner's file; its `if __name__ == "__main__"` part does not run."""
    sys.path.insert(0, str(Path(path).parent))  # for imports of neighbouring files
    spec = importlib.util.spec_from_file_location("solution", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
