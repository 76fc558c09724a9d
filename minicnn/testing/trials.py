"""Checks of functions and optimizers: each runs alone, and their failures become one report."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minicnn.testing.report import CheckFailed, Failure, LayerCheckError, fail_check
from minicnn.validation import check_int

Labels = str | Callable[[np.random.Generator, tuple[int, ...]], Any]
LABELS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "classes": lambda rng, shape: rng.integers(shape[-1], size=shape[0]),
    "binary": lambda rng, shape: rng.integers(2, size=shape).astype(np.float64),
    "values": lambda rng, shape: rng.standard_normal(shape),
}


def run_trials(name: str, shape: tuple[int, ...], trials: Mapping[str, Callable[[], None]]) -> None:
    """Run all; raise LayerCheckError if one fails."""
    __tracebackhide__ = True
    failures = []
    for check, trial in trials.items():
        try:
            with np.errstate(all="ignore"):
                trial()
        except CheckFailed as failed:
            failed.failure.check = check
            failures.append(failed.failure)
        except Exception as error:
            failures.append(Failure(check, f"raised {type(error).__name__}: {error}"))
        if failures and check == "results":
            break  # the others would fail for the same reason
    if failures:
        raise LayerCheckError(name, shape, failures)


def label_source(labels: Labels) -> Callable[[np.random.Generator, tuple[int, ...]], Any]:
    """Return the function that draws labels."""
    if callable(labels):
        return labels
    if labels not in LABELS:
        raise ValueError(f"`labels` must be a function or among {', '.join(LABELS)}, got {labels!r}")
    return LABELS[labels]


def checked_shape(shape: Any, batch_size: int) -> tuple[int, ...]:
    """Return the shape of a batch of predictions."""
    sizes = tuple(check_int(size, "predictions_shape", low=1) for size in shape)
    return (check_int(batch_size, "batch_size", low=2), *sizes)


def name_of(function: Any) -> str:
    """Return a name for the report."""
    return getattr(function, "__name__", None) or type(function).__name__


def require_close(got: float, expected: float, what: str, hint: str = "", rtol: float = 1e-9) -> None:
    """Fail unless two numbers are equal up to rounding."""
    if not abs(got - expected) <= rtol * max(abs(expected), 1e-3):
        fail_check(what, hint=hint, got=float(got), expected=float(expected))


def require_unchanged(before: Any, after: Any, name: str) -> None:
    """Fail if an argument was written into."""
    if not np.array_equal(before, after, equal_nan=np.asarray(before).dtype.kind == "f"):
        fail_check(
            f"`{name}` is changed, which belongs to the caller", hint="an operation in place: copy first"
        )
