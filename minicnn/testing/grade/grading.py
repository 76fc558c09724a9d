"""The grade of a file of textbook functions, and the report of it."""

import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minicnn.plural import counted
from minicnn.testing.grade.process import Events, run_tests

FUNCTIONS = ("conv_forward", "pool_forward", "conv_backward", "pool_backward")


@dataclass
class Grade:
    """The result of grading one file.

    Attributes
    ----------
    path : str
        The file.
    problem : str
        Why no function could be tested, in one sentence; empty otherwise.
    functions : dict of dict
        For each function that the file defines: "passed" (bool), "case" (the smallest failing case as text,
        or why the function could not be tested), "convention" (a description, if the function follows a
        known convention) and "calls" (the number of tested cases if time ran out, otherwise 0).
    """

    path: str
    problem: str = ""
    functions: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether the file defines at least one of the functions, and all that it defines are correct."""
        return not self.problem and all(result["passed"] for result in self.functions.values())

    def __str__(self) -> str:
        lines = [self.path + (f": {self.problem}" if self.problem else "")]
        for name in FUNCTIONS if not self.problem else ():
            lines += _report(name, self.functions.get(name))
        return "\n".join(lines)


def grade(path: str, timeout: float = 60.0) -> Grade:
    """Test the textbook functions that a file defines against `minicnn.functional`.

    Parameters
    ----------
    path : str
        A Python file with any of `conv_forward`, `pool_forward`, `conv_backward`, `pool_backward`.
    timeout : float
        Time limit in seconds for running the file, and for testing each function.

    Returns
    -------
    Grade
        Its `str` is the report.

    Raises
    ------
    ValueError
        If there is no such file.
    """
    if not Path(path).is_file():
        raise ValueError(f"no such file: {path}")
    if not timeout > 0:
        raise ValueError(f"`timeout` must be positive, got {timeout:g}")
    events = Events()
    names = list(FUNCTIONS)
    while names and not events.problem:
        interrupted = run_tests(str(path), names, timeout, events)
        # A function that hangs or ends the process fails; those after it run in a new process.
        names = names[names.index(interrupted) + 1 :] if interrupted else []
    if not events.problem and not events.functions:
        events.problem = f"defines none of {', '.join(FUNCTIONS)}"
    return Grade(str(path), events.problem, events.functions)


def grade_command(path: str, timeout: float = 60.0) -> tuple[str, bool]:
    """Grade a file, or all Python files in a folder; return the report, and whether all passed."""
    paths = sorted(Path(path).glob("*.py")) if Path(path).is_dir() else [Path(path)]
    if not paths:
        raise ValueError(f"no Python file in {path}")
    grades = [grade(str(each), timeout) for each in paths]
    return "\n\n".join(map(str, grades)), all(each.passed for each in grades)


def _report(name: str, result: dict[str, Any] | None) -> list[str]:
    if result is None:
        return [f"  {name:<13} not defined"]
    convention = result["convention"]
    if result["passed"]:
        calls = result["calls"]
        limit = f" in {counted(calls, 'case')}, then time ran out" if calls else ""
        return [_wrapped(name, f"correct{limit}" + (f"; {convention}" if convention else ""))]
    summary = f"correct by another convention: {convention}" if convention else "wrong"
    return [_wrapped(name, summary), textwrap.indent(result["case"], " " * 6)]


def _wrapped(name: str, summary: str) -> str:
    """Return a line of the report, wrapped at 80 columns."""
    return textwrap.fill(f"  {name:<13} {summary}", width=80, subsequent_indent=" " * 16)
