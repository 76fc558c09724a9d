"""`minicnn grade`: a learner's textbook functions against ours, in a process that may crash or hang."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minicnn import functional

FUNCTIONS = ("conv_forward", "pool_forward", "conv_backward", "pool_backward")
STARTUP = 60.0  # seconds that Python itself may take on a busy machine
_CHILD = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from minicnn.testing.grade_child import main
main(*sys.argv[2:])
"""


@dataclass
class Grade:
    """What came of one file.

    Attributes
    ----------
    path : str
        The file.
    problem : str
        Why nothing could be tested, in one sentence; empty otherwise.
    functions : dict of dict
        For each function that the file defines "passed" (bool), "case" (the smallest failing case, as
        text, or why it could not be tested), "convention" (in words, where one is known to be followed) and
        "calls" (the number of cases, where there was no time for all; else 0).
    """

    path: str
    problem: str = ""
    functions: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether the file defines at least one of the functions, and all it defines are right."""
        return not self.problem and all(result["passed"] for result in self.functions.values())

    def __str__(self) -> str:
        lines = [self.path + (f": {self.problem}" if self.problem else "")]
        for name in FUNCTIONS if not self.problem else ():
            lines += _lines(name, self.functions.get(name))
        return "\n".join(lines)


def grade(path: str, timeout: float = 60.0) -> Grade:
    """Test the textbook functions that a file defines against `minicnn.functional`.

    Parameters
    ----------
    path : str
        A Python file with any of `conv_forward`, `pool_forward`, `conv_backward`, `pool_backward`.
    timeout : float
        Seconds that running the file may take, and then testing each function.

    Returns
    -------
    Grade
        Its text is the report.

    Raises
    ------
    ValueError
        If there is no such file, or hypothesis is not installed.
    """
    if not Path(path).is_file():
        raise ValueError(f"there is no file {path}")
    if not timeout > 0:
        raise ValueError(f"`timeout` must be positive, got {timeout:g}")
    try:
        import hypothesis  # noqa: F401 - the other process needs it
    except ImportError:
        raise ValueError('grading needs hypothesis: pip install "minicnn-numpy[testing]"') from None
    result = Grade(str(path))
    wanted = list(FUNCTIONS)
    while wanted and not result.problem:
        broken_off = _run(result, wanted, timeout)
        # What hung or ended the process is judged; those after it get a process of their own.
        wanted = wanted[wanted.index(broken_off) + 1 :] if broken_off else []
    if not result.problem and not result.functions:
        result.problem = f"it must define at least one of {', '.join(FUNCTIONS)}, and defines none"
    return result


def grade_command(path: str, timeout: float = 60.0) -> tuple[str, bool]:
    """Grade a file, or all Python files of a folder; return the report, and whether all passed."""
    paths = sorted(Path(path).glob("*.py")) if Path(path).is_dir() else [Path(path)]
    if not paths:
        raise ValueError(f"there is no Python file in {path}")
    grades = [grade(str(each), timeout) for each in paths]
    return "\n\n".join(map(str, grades)), all(each.passed for each in grades)


def _run(result: Grade, wanted: list[str], timeout: float) -> str | None:
    """Test in one process; return the function at which it broke off."""
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder, "events")
        events.touch()
        path = str(Path(result.path).resolve())
        package = str(Path(functional.__file__).parents[1])
        command = [sys.executable, "-I", "-B", "-c", _CHILD, json.dumps([package, *sys.path[1:]])]
        process = subprocess.Popen(
            [*command, path, str(events), ",".join(wanted), str(timeout)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path(path).parent,
            start_new_session=True,
            # Nothing is left beside the learner's file, and products as small as these need no threads.
            env={**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": folder, "OPENBLAS_NUM_THREADS": "1"},
        )
        try:
            return _watch(process, events, result, timeout)
        finally:
            _kill(process)


def _watch(process: subprocess.Popen, events: Path, result: Grade, timeout: float) -> str | None:
    """Read events until the process ends or hangs; return the function at which it did."""
    current, seen, deadline = "", 0, time.monotonic() + STARTUP + timeout
    while True:
        ended = process.poll() is not None
        lines = events.read_text(encoding="utf-8").split("\n")[:-1]  # what follows is not whole yet
        for event in map(json.loads, lines[seen:]):
            deadline = time.monotonic() + timeout
            kind = event.pop("event")
            if kind == "finished":
                return None
            if kind == "failed":
                result.problem = f"the file {event['text']}"
                return None
            if kind == "testing":
                current = event["name"]
            elif kind == "tested":
                result.functions[event.pop("name")] = event
                current = ""
        seen = len(lines)
        if ended or time.monotonic() > deadline:
            text = (
                f"ended the process (status {process.returncode})"
                if ended
                else f"did not finish within {timeout:g} s"
            )
            if not current:
                result.problem = f"the file {text}"
                return None
            result.functions[current] = {"passed": False, "case": f"it {text}", "convention": "", "calls": 0}
            return current
        time.sleep(0.02)


def _kill(process: subprocess.Popen) -> None:
    """End the process, and those that the learner's code has started from it."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _lines(name: str, result: dict[str, Any] | None) -> list[str]:
    if result is None:
        return [f"  {name:<13} not defined"]
    convention = result["convention"]
    if result["passed"]:
        hurried = f" in the {calls} cases that there was time for" if (calls := result["calls"]) else ""
        return [f"  {name:<13} right{hurried}" + (f"; {convention}" if convention else "")]
    verdict = f"right by another convention: {convention}" if convention else "wrong"
    return [f"  {name:<13} {verdict}", textwrap.indent(result["case"], " " * 6)]
