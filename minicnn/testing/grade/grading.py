"""Grade files of textbook functions, each in a process of its own."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from minicnn.testing.grade.compare import case_text
from minicnn.testing.grade.folder import copy_folder, mentions, rivals, solutions, unreadable
from minicnn.testing.grade.isolation import best_isolation
from minicnn.testing.grade.lenet5 import LIBRARIES, grade_lenet5, needs_tensorflow, without_tensorflow
from minicnn.testing.grade.process import EndedError, Solution
from minicnn.testing.grade.report import Grade
from minicnn.testing.grade.signatures import EXERCISES, SEARCHED, other_course, wrong_signature
from minicnn.testing.grade.verdict import Verdict, grade_function
from minicnn.testing.grade.wire import Reply

MEMORY = 2 << 30
_DEFINITION = re.compile(r"(\w+)\((.*)\)")


def grade_all(path: str, timeout: float = 60.0, memory: int = MEMORY) -> Iterator[Grade]:
    """Yield the grades of a file, or of all Python files in a folder; arguments as those of `grade`."""
    _check_timeout(timeout)
    for each in solutions(path):
        yield grade(str(each), timeout, memory)


def grade(path: str, timeout: float = 60.0, memory: int = MEMORY) -> Grade:
    """Test the functions of a file: the textbook's against `minicnn.functional`, `lenet5` against `minicnn`.

    The file runs in a process of its own, which gets the inputs and returns arrays. It can neither read nor
    write your files, but for a copy of its folder, where Linux has user namespaces or Landlock;
    `isolation.protection` says what holds here. Files beside it that define the same functions are left out
    of the copy, unless it needs them, and then the grade has a note.

    Parameters
    ----------
    path : str
        A Python file with any of `conv_forward`, `pool_forward`, `conv_backward`, `pool_backward`, `lenet5`.
    timeout : float
        Time limit in seconds for running the file, and for testing each function; on Linux, without the
        time in which the file waits for a core that others use.
    memory : int
        Limit of memory in bytes.

    Returns
    -------
    Grade
        Its `str` is the report.

    Raises
    ------
    ValueError
        If there is no such file.
    """
    _check_timeout(timeout)
    (file,) = solutions(path) if not Path(path).is_dir() else [Path(path)]
    problem = unreadable(file) or without_tensorflow(file)
    if problem:
        return Grade(path, problem)
    others = rivals(file)
    result = _grade(file, path, timeout, memory, [*others])
    used = [each for each in others if mentions(file, each)]
    if used and not result.passed:
        result = _grade(file, path, timeout, memory, [])
        defines = [f"{each.name}, which defines {', '.join(others[each])}, too" for each in used]
        result.note = f"it needs what lies beside it: {'; '.join(defines)}" * result.passed
    if needs_tensorflow(file) and result.functions.keys() - {"lenet5"}:
        result.note += (
            "; " * bool(result.note) + "it imports TensorFlow, which can compute the textbook functions"
        )
    return result


def _grade(file: Path, path: str, timeout: float, memory: int, without: list[Path]) -> Grade:
    """Grade a file in a copy of its folder without some of the files there."""
    result = Grade(path)
    pending = list(EXERCISES)
    while pending and not result.problem:
        # A function that hangs or ends the process fails; those after it run in a new process.
        try:
            with _running(file, timeout, memory, without) as (solution, loaded):
                pending = _grade_functions(solution, loaded, pending, result)
        except OSError as error:  # a full disk, too many processes; the next file may have better luck
            result.problem = f"could not be graded: {error.strerror}"
    return result


def _check_timeout(timeout: float) -> None:
    if not 0 < timeout < float("inf"):
        raise ValueError(f"`timeout` must be positive, got {timeout:g}")


@contextmanager
def _running(
    file: Path, timeout: float, memory: int, without: list[Path]
) -> Iterator[tuple[Solution | None, Reply]]:
    """Yield the process of a file, if it could be started, and what came of importing the file."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        name = copy_folder(file, Path(scratch, "folder"), without)
        isolation = best_isolation(memory)
        try:
            if needs_tensorflow(file):
                solution = Solution(Path(scratch), name, isolation.for_tensorflow(), timeout, LIBRARIES)
            else:
                solution = Solution(Path(scratch), name, isolation, timeout)
        except EndedError as error:
            yield None, Reply(problem=str(error))
            return
        try:
            yield solution, _loaded(solution)
        finally:
            solution.close()


def _loaded(solution: Solution) -> Reply:
    try:
        return solution.load(SEARCHED)
    except EndedError as error:
        return Reply(problem=str(error))


def _grade_functions(
    solution: Solution | None, loaded: Reply, pending: list[str], result: Grade
) -> list[str]:
    """Test functions in one process; return those that are left when one of them ends the process."""
    if solution is None or loaded.problem:
        if not result.functions:
            result.problem = f"the file {loaded.problem}"
            return []
        # It could be imported before: a function that comes later may be testable again.
        result.functions[pending[0]] = Verdict(False, f"the file {loaded.problem} when imported again")
        return pending[1:]
    defined = dict(_definitions(loaded))
    if not set(defined) & set(EXERCISES) and not result.functions:
        result.problem = f"defines none of {', '.join(EXERCISES)}{other_course(list(defined))}"
    for place, name in enumerate(pending):
        if name in defined:
            try:
                result.functions[name] = _verdict(solution, name, defined[name])
            except EndedError as error:
                result.functions[name] = Verdict(False, str(error))
            if solution.ended:
                return pending[place + 1 :]
    return []


def _definitions(loaded: Reply) -> Iterator[tuple[str, list[str]]]:
    """Yield names and parameters of the functions that a file defines."""
    for text in loaded.results:
        found = _DEFINITION.fullmatch(text) if isinstance(text, str) else None
        if found and found[1] in SEARCHED:
            yield found[1], [each for each in found[2].split(",") if each]


def _verdict(solution: Solution, name: str, parameters: list[str]) -> Verdict:
    solution.renew()
    if name == "lenet5":
        try:
            return grade_lenet5(partial(_ask_net, solution), parameters)
        except EndedError as error:
            raise EndedError(f"lenet5({', '.join(parameters)}) {error}") from error
    last: dict[str, Any] = {}

    def call(named: dict[str, Any]) -> Reply:
        last.update(named)
        return solution.call(name, named)

    try:
        verdict = grade_function(name, call, solution.timeout, solution.stopwatch.elapsed)
    except EndedError as error:
        raise EndedError(case_text(name, last, str(error))) from error
    signature = "" if verdict.passed else wrong_signature(name, parameters)
    return replace(verdict, cause=signature) if signature else verdict


def _ask_net(solution: Solution, named: dict[str, Any]) -> Reply:
    """Send a request about the net that `lenet5` returned."""
    return solution.call(f"lenet5.{named.pop('method')}", named)
