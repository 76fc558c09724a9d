"""What a failing check says: one readable report for a person who has a bug to find."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

SAME = 1e-12  # relative: the same numbers, however memory is aligned


@dataclass
class Failure:
    """One check that a layer failed.

    Attributes
    ----------
    check : str
        Name of the check, as in `minicnn.testing.CHECKS`.
    what : str
        What must hold, then what came.
    array : str
        The array it was seen in: "y", "dx", or the gradient of a weight, "dkernel".
    index : tuple of int or None
        Where the difference is worst.
    facts : dict
        More lines of the report, in order; "analytic" and "numeric" where a gradient is wrong.
    hint : str
        The usual cause.
    """

    check: str
    what: str
    array: str = ""
    index: tuple[int, ...] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    hint: str = ""

    def __str__(self) -> str:
        lines = {"array": self.array or None, "worst index": self.index or None, **self.facts}
        lines["usual cause"] = self.hint or None
        numbers = [value for value in self.facts.values() if isinstance(value, float)]
        told = [
            f"    {name:<12} {_tell(value, numbers)}" for name, value in lines.items() if value is not None
        ]
        return "\n".join([f"{self.check}: {self.what}", *told])


class LayerCheckError(AssertionError):
    """A layer does not honour the contract; the message is the report.

    Attributes
    ----------
    failures : list of Failure
        All checks that failed, in the order of `CHECKS`; the first is nearest to the cause.
    """

    def __init__(self, layer: str, input_shape: tuple[int, ...], failures: list[Failure]) -> None:
        self.failures = failures
        self._told_by = (layer, input_shape, failures)
        names = ", ".join(failure.check for failure in failures)
        blocks = [f"{layer} with inputs {input_shape} fails: {names}", *map(str, failures)]
        super().__init__("\n\n".join(blocks))

    def __reduce__(self) -> tuple[type, tuple]:
        return LayerCheckError, self._told_by  # so that it may come from another process

    @property
    def checks(self) -> list[str]:
        """Names of the checks that failed."""
        return [failure.check for failure in self.failures]


class CheckFailed(Exception):  # noqa: N818 - it never leaves the kit: check_layer makes a LayerCheckError of it
    """Ends a check, with what it found."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


def fail(
    what: str, array: str = "", index: tuple[int, ...] | None = None, hint: str = "", **facts: Any
) -> NoReturn:
    """End the running check; its name is filled in by whoever runs it."""
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
    """Fail unless `got` equals `expected` up to `rtol` of the largest expected value, or of `scale`.

    The scale is for gradients that vanish, as that of a bias before a normalisation: sums that cancel.
    """
    if np.shape(got) != np.shape(expected):
        fail(what, array, hint=hint, got=f"shape {np.shape(got)}", expected=f"shape {np.shape(expected)}")
    got, expected = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    finite = np.isfinite(expected)
    tolerance = rtol * np.max(np.abs(expected), where=finite, initial=scale)
    with np.errstate(invalid="ignore"):
        error = np.abs(got - expected)
    error = np.where((got == expected) | (np.isnan(got) & np.isnan(expected)), 0.0, error)
    wrong = ~(error <= tolerance)
    if wrong.any():
        index = worst(np.where(np.isnan(error), np.inf, error))
        facts = {"got": float(got[index]), "expected": float(expected[index])}
        fail(what, array, index, hint, **facts, wrong=f"{wrong.sum()} of {wrong.size} values")


def require_all_equal(
    got: dict[str, np.ndarray], expected: dict[str, np.ndarray], what: str, hint: str = "", **tolerance: float
) -> None:
    """Fail unless each array that came equals the expected one of its name."""
    for name, array in got.items():
        require_equal(array, expected[name], what, name, hint, **tolerance)


def worst(error: np.ndarray) -> tuple[int, ...]:
    """Return the index of the largest value, as plain integers."""
    return tuple(int(i) for i in np.unravel_index(np.argmax(error), error.shape))


def _tell(value: Any, numbers: list[float]) -> str:
    """Return a value as text, a number with as many digits as tell it from the others."""
    if not isinstance(value, float):
        return str(value)
    alike = len(numbers) > 1 and abs(numbers[0] - numbers[1]) < 1e-4 * abs(numbers[0])
    return f"{value:.12g}" if alike else f"{value:.6g}"
