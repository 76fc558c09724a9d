"""The report of a failing layer: failures, the error that carries them, and comparisons that raise it.

What a check cannot decide is a remark, a `LayerCheckRemark` warning, and no failure.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

_NOTES: ContextVar[list[str] | None] = ContextVar("what the running check tried", default=None)
SAME = 1e-12  # relative: equal numbers, whatever the alignment of the arrays in memory


@contextmanager
def notes_of_a_check(wanted: bool) -> Iterator[list[str]]:
    """Collect the notes of the checks that run in the block, if they are wanted."""
    notes: list[str] = []
    token = _NOTES.set(notes if wanted else None)
    try:
        yield notes
    finally:
        _NOTES.reset(token)


def note(text: str, *numbers: object) -> None:
    """Note what a check tries; the text is formatted with the numbers only where notes are collected."""
    notes = _NOTES.get()
    if notes is not None:
        notes.append(text.format(*numbers))


@dataclass
class Failure:
    """One failed check.

    Attributes
    ----------
    check : str
        Name of the check, as in `minicnn.testing.CHECKS`.
    what : str
        What is wrong.
    array : str
        The array that is wrong: "y", "dx", or the gradient of a weight, such as "dkernel".
    index : tuple of int or None
        Index of the largest error.
    facts : dict
        Further lines of the report, in order; "analytic" and "numeric" where a gradient is wrong.
    hint : str
        The usual cause.
    drawn : str
        The kind of inputs that reveal it, and the number of examples.
    """

    check: str
    what: str
    array: str = ""
    index: tuple[int, ...] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    hint: str = ""
    drawn: str = ""

    def __str__(self) -> str:
        rows = {"array": self.array or None, "worst index": self.index or None, **self.facts}
        rows["inputs"] = self.drawn or None
        rows["usual cause"] = self.hint or None
        numbers = [value for value in self.facts.values() if isinstance(value, float)]
        given = {name: value for name, value in rows.items() if value is not None}
        lines = [f"    {name:<12} {_format(value, numbers)}" for name, value in given.items()]
        return "\n".join([f"{self.check}: {self.what}", *lines])


class LayerCheckError(AssertionError):
    """A layer failed at least one check; the message is the report.

    Attributes
    ----------
    failures : list of Failure
        One for each failed check, in the order of `CHECKS`; the first is closest to the cause.
    repeat : str
        Code that repeats the first failure.
    """

    def __init__(
        self, layer: str, input_shape: tuple[int, ...], failures: list[Failure], repeat: str = ""
    ) -> None:
        self.failures, self.repeat = failures, repeat
        self._arguments = (layer, input_shape, failures, repeat)
        names = ", ".join(failure.check for failure in failures)
        causes = {failure.check: _cause(failure.check, failures[:i]) for i, failure in enumerate(failures)}
        shown = [failure for failure in failures if not causes[failure.check]]
        blocks = [f"{layer} with input shape {input_shape} fails: {names}", *map(str, shown)]
        for first in dict.fromkeys(filter(None, causes.values())):
            folded = [check for check, cause in causes.items() if cause == first]
            blocks.append(f"{', '.join(folded)}: not shown, since this may follow from {first}")
        if repeat:
            blocks.append(f"to repeat:\n{repeat}")
        super().__init__("\n\n".join(blocks))

    def __reduce__(self) -> tuple[type, tuple]:
        return LayerCheckError, self._arguments  # picklable, as pytest-xdist and process pools require

    @property
    def checks(self) -> list[str]:
        """Names of the failed checks."""
        return [failure.check for failure in self.failures]


# Checks whose failures usually follow from that of another one.
FOLLOWS: dict[str, tuple[str, ...]] = {
    "determinism": (
        "replicas",
        "accumulation",
        "weights",
        "modes",
        "borrowed",
        "aliasing",
        "cache",
        "linearity",
    ),
    "dtypes": ("float32", "finite"),
    "borrowed": ("aliasing", "modes", "cache", "examples", "accumulation", "linearity", "gradients"),
    "accumulation": ("cache", "replicas", "steps", "gradients", "aliasing", "linearity", "modes"),
    "aliasing": ("modes", "replicas"),
    "cache": ("replicas", "steps", "examples", "batches", "gradients"),
    "replicas": ("steps", "batches", "examples"),
    "linearity": ("gradients", "steps", "batches"),
    "gradients": ("needs_dx", "float32", "batches", "kinks", "ties", "examples"),
    "kinks": ("finite",),
    "ties": ("kinks",),
    "statistics": ("modes",),
    "modes": ("weights", "examples"),
    "examples": ("finite", "batches", "steps"),
    "finite": ("padding",),
}


def follows(check: str, first: str) -> bool:
    """Return whether a failure of a check usually follows from an earlier failure."""
    return check in FOLLOWS.get(first, ())


def _cause(check: str, earlier: Sequence[Failure]) -> str:
    """Return the first of the earlier failures from which that of a check usually follows, or ""."""
    return next((failure.check for failure in earlier if follows(check, failure.check)), "")


class LayerCheckRemark(UserWarning):
    """A remark of `check_layer`: a convention, or something that it cannot decide."""


@dataclass(frozen=True)
class Remark:
    """What a check found worth mentioning, but is no failure; `check` names the check."""

    check: str
    what: str

    def __str__(self) -> str:
        return f"{self.check}: {self.what}"


class CheckFailed(Exception):  # noqa: N818 - internal: check_layer turns it into a LayerCheckError
    """Raised by a check to end it, with the failure that it found."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


def fail_check(
    what: str, array: str = "", index: tuple[int, ...] | None = None, hint: str = "", **facts: Any
) -> NoReturn:
    """End the running check with a failure; `run_check` fills in the name of the check."""
    raise CheckFailed(Failure("", what, array, index, facts, hint))


def require_equal(
    got: np.ndarray,
    expected: np.ndarray,
    what: str,
    array: str,
    hint: str = "",
    rtol: float = 1e-9,
    scale: float = 1e-3,
) -> None:
    """Fail unless `got` equals `expected` up to `rtol` times the largest expected value, or times `scale`.

    The scale serves gradients that vanish because their terms cancel, such as that of a bias before a
    normalisation.
    """
    if np.shape(got) != np.shape(expected):
        shapes = [f"shape {np.shape(each)}" for each in (got, expected)]
        fail_check(what, array, hint=hint, got=shapes[0], expected=shapes[1])
    got, expected = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    finite = np.isfinite(expected)
    tolerance = rtol * np.max(np.abs(expected), where=finite, initial=scale)
    with np.errstate(invalid="ignore"):
        error = np.abs(got - expected)
    error = np.where((got == expected) | (np.isnan(got) & np.isnan(expected)), 0.0, error)
    wrong = ~(error <= tolerance)
    note("{}: largest difference {:.3g}, tolerance {:.3g}", array, np.max(error, initial=0.0), tolerance)
    if wrong.any():
        index = worst_index(np.where(np.isnan(error), np.inf, error))
        facts = {"got": float(got[index]), "expected": float(expected[index])}
        fail_check(what, array, index, hint, **facts, wrong=f"{wrong.sum()} of {wrong.size} elements")


def require_all_equal(
    got: dict[str, np.ndarray], expected: dict[str, np.ndarray], what: str, hint: str = "", **tolerance: float
) -> None:
    """Fail unless each array equals the expected array of the same name."""
    for name, array in got.items():
        require_equal(array, expected[name], what, name, hint, **tolerance)


def worst_index(error: np.ndarray) -> tuple[int, ...]:
    """Return the index of the largest error, as plain integers."""
    return tuple(int(i) for i in np.unravel_index(np.argmax(error), error.shape))


def _format(value: Any, numbers: list[float]) -> str:
    """Format a value of the report; close numbers get enough digits to show their difference."""
    if not isinstance(value, float):
        return str(value)
    close = len(numbers) > 1 and abs(numbers[0] - numbers[1]) < 1e-4 * abs(numbers[0])
    return f"{value:.12g}" if close else f"{value:.6g}"
