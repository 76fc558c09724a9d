"""The kit in one call: whether a layer honours the contract, and whether its gradients are right."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import threadpoolctl

from minicnn.layers.base import Layer
from minicnn.testing import aliasing, backward, contract, geometry, gradients, modes, replication
from minicnn.testing.layer_under_test import Inputs, LayerUnderTest
from minicnn.testing.reference import check_reference
from minicnn.testing.report import CheckFailed, Failure, LayerCheckError
from minicnn.validation import check_int

Check = Callable[[LayerUnderTest], None]

# From the first thing that can go wrong to the last: what fails first is nearest to the cause.
CHECKS: dict[str, Check] = {
    "build": contract.check_build,
    "shapes": contract.check_shapes,
    "determinism": modes.check_determinism,
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
    "float32": contract.check_float32,
    "needs_dx": backward.check_needs_dx,
    "statistics": geometry.check_statistics,
    "modes": modes.check_modes,
    "examples": modes.check_examples,
    "geometry": geometry.check_geometry,
    "padding": geometry.check_padding,
    "weights": replication.check_weights,
    "pickling": replication.check_pickling,
    "repr": replication.check_repr,
    "reference": check_reference,
}
# Who fails the first fails the others for the same reason.
IMPLIED: dict[str, Collection[str]] = {"build": CHECKS, "shapes": CHECKS, "gradients": ("ties", "kinks")}


def check_layer(
    layer: Layer | Callable[[], Layer],
    input_shape: Sequence[int] | None = None,
    *,
    rng: int | np.random.Generator = 0,
    batch_size: int = 3,
    inputs: Inputs | None = None,
    reference: Layer | Callable[[np.ndarray], np.ndarray] | None = None,
    skip: Collection[str] = (),
    only: Collection[str] | None = None,
) -> None:
    """Raise one readable report unless `layer` honours the contract, in float64 and float32.

    Parameters
    ----------
    layer : Layer, or a class or function that makes one
        It need not be built, and is left as it is: copies of it are checked.
    input_shape : sequence of int, optional
        Shape of one example; that of a built layer if not given.
    rng : int or numpy.random.Generator
        Decides all weights and inputs.
    batch_size : int
        Examples in a batch, at least 2.
    inputs : callable, optional
        `f(rng, shape) -> array`, for a layer that is defined for some inputs only (a logarithm).
    reference : Layer or callable, optional
        What the layer must equal: a layer with the same weights in the same order, whose gradients are
        compared too, or a function of x. Without it nobody can know which function was meant.
    skip, only : collection of str
        Names of checks, see `CHECKS`, to leave out, or to run alone.

    Raises
    ------
    LayerCheckError
        An AssertionError with the report: for each failing check the array, the worst index, analytic and
        numeric value, and the usual cause.

    Notes
    -----
    A step of a finite difference that crosses a kink is no evidence of a bug: see
    `minicnn.testing.finite_differences`. A layer that holds one with `ties="all"` follows the textbook's
    rule on purpose, which is no derivative where values are tied: the check `ties` leaves it alone.

    Examples
    --------
    >>> from minicnn import Conv2D
    >>> check_layer(Conv2D(4, 3, padding="same"), (5, 5, 2))
    """
    subject = make_subject(layer, input_shape, rng, batch_size, inputs, reference)
    failures: list[Failure] = []
    implied: set[str] = set()
    for name in chosen_checks(skip, only):
        failure = None if name in implied else run_check(name, subject)
        if failure is not None:
            failures.append(failure)
            implied.update(IMPLIED.get(name, ()))
    if failures:
        raise LayerCheckError(_one_line(subject.layer), subject.input_shape, failures)


def make_subject(
    layer: Any,
    input_shape: Sequence[int] | None = None,
    rng: int | np.random.Generator = 0,
    batch_size: int = 3,
    inputs: Inputs | None = None,
    reference: Any = None,
) -> LayerUnderTest:
    """Return the subject of all checks; raise a sentence where an argument is wrong."""
    if not isinstance(layer, Layer) and callable(layer):
        layer = layer()
    if not isinstance(layer, Layer):
        raise TypeError(f"`layer` must be a Layer, or a class or function that makes one, got {layer!r}")
    shape = layer.input_shape if input_shape is None else tuple(input_shape)
    if shape is None:
        raise ValueError(f"`input_shape` must be given for a layer that is not built, got {_one_line(layer)}")
    batch_size = check_int(batch_size, "batch_size", low=2)  # with one example nothing could be mixed
    seed = int(rng.integers(2**62)) if isinstance(rng, np.random.Generator) else check_int(rng, "rng", low=0)
    # A list that is the default of an argument stays what it is, so that a layer shows which changes it.
    defaults = {id(a.default): a.default for a in inspect.signature(type(layer)).parameters.values()}
    return LayerUnderTest(copy.deepcopy(layer, defaults), shape, seed, batch_size, inputs, reference)


def run_check(name: str, subject: LayerUnderTest) -> Failure | None:
    """Run one check; return what it found."""
    subject.reseed(name)
    with one_blas_thread(), np.errstate(all="ignore"):
        try:
            CHECKS[name](subject)
        except CheckFailed as failed:
            failed.failure.check = name
            return failed.failure
        except Exception as error:
            return Failure(name, f"the layer must not raise, and raised {type(error).__name__}: {error}")
    return None


def chosen_checks(skip: Collection[str], only: Collection[str] | None = None) -> list[str]:
    """Return the names of the checks to run, in order; raise ValueError for a name that is none."""
    for name in (*skip, *(only or ())):
        if name not in CHECKS:
            raise ValueError(f"checks must be among {', '.join(CHECKS)}; got {name!r}")
    return [name for name in CHECKS if name not in skip and (only is None or name in only)]


def _one_line(layer: Layer) -> str:
    try:
        return " ".join(repr(layer).split())
    except Exception:
        return type(layer).__name__


@lru_cache(maxsize=1)
def _controller() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread: on products as small as a test's, threads cost more than they bring."""
    with _controller().limit(limits=1):
        yield
