"""All checks by name, and runs of them on a layer."""

import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import threadpoolctl

from minicnn.layers.base import Layer
from minicnn.testing import (
    aliasing,
    backward,
    contract,
    examples,
    geometry,
    gradients,
    initialization,
    modes,
    precision,
    promises,
    repetition,
    replication,
    statistics,
)
from minicnn.testing.adapters.adapted import Adapted
from minicnn.testing.inputs import InputsError
from minicnn.testing.layer_under_test import LayerUnderTest
from minicnn.testing.presets import named_checks
from minicnn.testing.reference import check_reference
from minicnn.testing.report import CheckFailed, Failure, Remark, notes_of_a_check

Check = Callable[[LayerUnderTest], None]

# The basics come first, so that the first failure is the one closest to the cause.
CHECKS: dict[str, Check] = {
    "build": contract.check_build,
    "shapes": contract.check_shapes,
    "determinism": modes.check_determinism,
    "initialization": initialization.check_initialization,
    "dtypes": contract.check_dtypes,
    "borrowed": aliasing.check_borrowed,
    "accumulation": backward.check_accumulation,
    "aliasing": aliasing.check_aliasing,
    "cache": backward.check_cache,
    "replicas": replication.check_replicas,
    "linearity": backward.check_linearity,
    "gradients": gradients.check_gradients,
    "ties": gradients.check_ties,
    "kinks": gradients.check_kinks,
    "promises": promises.check_promises,
    "float32": precision.check_float32,
    "needs_dx": backward.check_needs_dx,
    "statistics": statistics.check_statistics,
    "modes": modes.check_modes,
    "examples": examples.check_examples,
    "finite": precision.check_finite,
    "steps": repetition.check_steps,
    "batches": repetition.check_batches,
    "memory": repetition.check_memory,
    "geometry": geometry.check_geometry,
    "padding": geometry.check_padding,
    "weights": replication.check_weights,
    "pickling": replication.check_pickling,
    "repr": replication.check_repr,
    "reference": check_reference,
}
# A heavy layer runs the other checks on smaller images; that of gradients begins with those of full size.
AT_FULL_SIZE = {
    "build",
    "shapes",
    "initialization",
    "gradients",
    "float32",
    "pickling",
    "repr",
    "reference",
}
# A layer that fails the first check would fail the others for the same reason: these do not run then.
IMPLIED: dict[str, Collection[str]] = {
    "build": CHECKS,
    "shapes": CHECKS,
    "gradients": ("ties", "kinks", "steps"),
}


@dataclass(frozen=True)
class CheckReport:
    """The result of checks: the layer's repr, the names of the checks that ran, failures and remarks."""

    layer: str
    checks: list[str]
    failures: list[Failure]
    remarks: list[Remark]


def run_checks(target: LayerUnderTest, names: Sequence[str], explain: bool = False) -> CheckReport:
    """Run checks, in order; those that would only repeat an earlier failure are left out.

    So are the checks of what an adapter does. With `explain`, print what each of them tries.
    """
    failures: list[Failure] = []
    done: list[str] = []
    left_out: set[str] = set(target.layer.exempt if isinstance(target.layer, Adapted) else ())
    for name in names:
        if name in left_out:
            continue
        done.append(name)
        with notes_of_a_check(explain) as notes:
            failure = run_check(name, target if name in AT_FULL_SIZE else target.smaller)
        if explain:
            print("\n    ".join([f"{name}: {'failed' if failure else 'passed'}", *notes]))
        if failure is not None:
            failures.append(failure)
            left_out.update(IMPLIED.get(name, ()))
    return CheckReport(one_line_repr(target.layer), done, failures, target.remarks)


def run_check(name: str, target: LayerUnderTest) -> Failure | None:
    """Run one check; return its failure, or None if it passes."""
    target.start(name)
    with one_blas_thread(), np.errstate(all="ignore"):
        try:
            CHECKS[name](target)
        except CheckFailed as failed:
            failed.failure.check = name
            failed.failure.drawn = failed.failure.drawn or target.drawn
            return failed.failure
        except InputsError:
            raise
        except Exception as error:
            return Failure(
                name,
                f"the layer raised {type(error).__name__}: {error}",
                drawn=target.drawn,
                hint=_place_of(error),
            )
    return None


def chosen_checks(skip: str | Collection[str], only: str | Collection[str] | None = None) -> list[str]:
    """Return the names of the checks to run, in order; raise ValueError for an unknown name."""
    left_out = named_checks(skip, CHECKS)
    chosen = named_checks(CHECKS if only is None else only, CHECKS)
    return [name for name in CHECKS if name in chosen and name not in left_out]


def one_line_repr(layer: Layer) -> str:
    """Return `repr(layer)` on one line, or the name of its class if repr fails."""
    try:
        return " ".join(repr(layer).split())
    except Exception:
        return type(layer).__name__


@lru_cache(maxsize=1)
def _controller() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread: for products as small as those of a test, more threads are slower."""
    with _controller().limit(limits=1):
        yield


def _place_of(error: Exception) -> str:
    """Return where in the layer's code an exception was raised, for the report."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "minicnn/testing/" not in f.filename]
    return (
        f"see line {frames[-1].lineno} of {Path(frames[-1].filename).name}: {frames[-1].line}"
        if frames
        else ""
    )
