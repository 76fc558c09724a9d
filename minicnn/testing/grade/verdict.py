"""The verdict on one function: correct or not, by which convention, and what the usual cause is."""

import contextlib
import time
from dataclasses import dataclass
from typing import Any

from minicnn.testing.grade.cases import distinguishing_cases
from minicnn.testing.grade.causes import causes
from minicnn.testing.grade.compare import Call, mismatch
from minicnn.testing.grade.conventions import Convention, conventions
from minicnn.testing.grade.process import EndedError
from minicnn.testing.grade.search import EXAMPLES, Clock, smallest_failure
from minicnn.testing.grade.wire import Reply

FEWEST_CALLS = 20  # in which a function must be correct


@dataclass(frozen=True)
class Verdict:
    """The result of testing one function.

    Attributes
    ----------
    passed : bool
        Whether it was correct in all cases.
    case : str
        The smallest failing case as text, or why the function could not be tested.
    convention : str
        A description, if the function is correct by a known convention.
    cause : str
        The usual cause, if a known mistake explains all results.
    calls : int
        The number of tested cases if time ran out, otherwise 0.
    """

    passed: bool
    case: str = ""
    convention: str = ""
    cause: str = ""
    calls: int = 0


def grade_function(name: str, call: Call, timeout: float = 60.0, clock: Clock = time.monotonic) -> Verdict:
    """Test a function; half of the time is for the search of a failing case."""
    textbook, *others = conventions(name)
    calls, start = 0, clock()

    def counting(named: dict[str, Any]) -> Reply:
        nonlocal calls
        calls += 1
        return call(named)

    case = smallest_failure(name, counting, textbook, timeout / 2, clock=clock)
    timed_out = clock() - start > timeout / 2
    if case is None:
        if timed_out and calls < FEWEST_CALLS:
            return Verdict(
                False, f"is too slow: it was correct in {calls} cases of {EXAMPLES}, then time ran out"
            )
        return Verdict(True, convention=textbook.description, calls=calls if timed_out else 0)
    known: list[Convention] = []
    mistakes: list[Convention] = []
    with contextlib.suppress(EndedError):  # while it is explained why the function is wrong
        known = matching(name, counting, others, timeout / 8, clock=clock)
        mistakes = [] if known else matching(name, counting, causes(name), timeout / 8, clock=clock)
    convention, cause = (found[0].description if found else "" for found in (known, mistakes))
    return Verdict(False, case, convention, cause, calls if timed_out else 0)


def matching(
    name: str,
    call: Call,
    known: list[Convention],
    seconds: float = 15.0,
    examples: int = EXAMPLES,
    clock: Clock = time.monotonic,
) -> list[Convention]:
    """Return those of the known conventions, or mistakes, that give what a function returns in all cases."""
    share = seconds / len(known) if known else 0.0
    return [
        convention
        for convention in known
        # A slow function leaves no time for all cases, so those that distinguish the conventions come first.
        if not any(mismatch(name, call, convention, case) for case in distinguishing_cases(name))
        and smallest_failure(name, call, convention, share, examples, shrink=False, clock=clock) is None
    ]
