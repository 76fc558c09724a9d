"""The grade of a file of textbook functions, and its text."""

import textwrap
from dataclasses import dataclass, field

from minicnn.plural import counted
from minicnn.testing.grade.signatures import EXERCISES
from minicnn.testing.grade.verdict import Verdict
from minicnn.testing.grade.wire import printable


@dataclass
class Grade:
    """The result of grading one file.

    Attributes
    ----------
    path : str
        The file.
    problem : str
        Why no function could be tested, in one sentence; empty otherwise.
    functions : dict of Verdict
        For each function that the file defines, its verdict.
    note : str
        What to look at in the file, although its results are right; empty if nothing.
    """

    path: str
    problem: str = ""
    functions: dict[str, Verdict] = field(default_factory=dict)
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the file defines at least one of the functions, and all that it defines are correct."""
        return not self.problem and all(verdict.passed for verdict in self.functions.values())

    def __str__(self) -> str:
        lines = [printable(self.path) + (f": {self.problem}" if self.problem else "")]
        for name in EXERCISES if not self.problem else ():
            lines += _report(name, self.functions.get(name))
        if self.note:
            lines.append(
                textwrap.fill(f"  note: {printable(self.note)}", width=80, subsequent_indent=" " * 4)
            )
        return "\n".join(lines)


def _report(name: str, verdict: Verdict | None) -> list[str]:
    if verdict is None:
        return [f"  {name:<13} not defined"]
    convention = verdict.convention
    if verdict.passed:
        limit = f" in {counted(verdict.calls, 'case')}, then time ran out" if verdict.calls else ""
        return [_wrapped(name, f"correct{limit}" + (f"; {convention}" if convention else ""))]
    summary = f"correct by another convention: {convention}" if convention else "wrong"
    summary += f"; usual cause: {verdict.cause}" if verdict.cause else ""
    case = verdict.case
    if name == "lenet5":  # sentences; elsewhere, code
        case = "\n".join(textwrap.fill(line, width=74) for line in case.splitlines())
    return [_wrapped(name, summary), textwrap.indent(case, " " * 6)]


def _wrapped(name: str, summary: str) -> str:
    """Return a line of the report, wrapped at 80 columns."""
    return textwrap.fill(f"  {name:<13} {summary}", width=80, subsequent_indent=" " * 16)
