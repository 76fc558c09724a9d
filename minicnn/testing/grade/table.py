"""The CSV file of all verdicts."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minicnn.testing.grade.report import Grade
from minicnn.testing.grade.signatures import EXERCISES

COLUMNS = ("file", "function", "verdict", "convention", "cause", "detail", "note")


@contextmanager
def csv_table(path: str | None) -> Iterator[Any]:
    """Yield a function that writes the rows of a grade, at once: what is graded is never lost."""
    if path is None:
        yield lambda grade: None
        return
    with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)

        def write(grade: Grade) -> None:
            writer.writerows([_harmless(text) for text in row] for row in rows(grade))
            stream.flush()

        yield write


def rows(grade: Grade) -> Iterator[tuple[str, ...]]:
    """Yield a row for each function, or one for a file that could not be graded."""
    if grade.problem:
        yield grade.path, "", "not graded", "", "", grade.problem, grade.note
        return
    for name in EXERCISES:
        verdict = grade.functions.get(name)
        if verdict is None:
            yield grade.path, name, "not defined", "", "", "", ""
        else:
            word = "correct" if verdict.passed else "other convention" if verdict.convention else "wrong"
            detail = _detail(name, verdict.case)
            yield grade.path, name, word, verdict.convention, verdict.cause, detail, grade.note


def _detail(name: str, case: str) -> str:
    """Return the line of a case that says what is wrong."""
    return next((line for line in case.splitlines() if line.startswith(f"{name}(")), case)


def _harmless(text: str) -> str:
    """Return text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
