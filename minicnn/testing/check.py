"""`check_layer`: all checks of a layer in one call."""

import copy
import inspect
import sys
import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.testing.adapters.adapted import Adapted
from minicnn.testing.inputs import Inputs
from minicnn.testing.layer_under_test import LAYOUTS, LayerUnderTest
from minicnn.testing.report import LayerCheckError, LayerCheckRemark
from minicnn.testing.running import CheckReport, chosen_checks, one_line_repr, run_checks
from minicnn.validation import check_int


def check_layer(
    layer: Layer | Callable[[], Layer],
    input_shape: Sequence[int] | None = None,
    *,
    rng: int | np.random.Generator = 0,
    batch_size: int | None = None,
    inputs: Inputs | None = None,
    reference: Layer | Callable[[np.ndarray], np.ndarray] | None = None,
    layout: str | None = None,
    skip: str | Collection[str] = (),
    only: str | Collection[str] | None = None,
    explain: bool = False,
) -> None:
    """Check the gradients of a layer and the rest of the layer contract, in float64 and float32.

    Parameters
    ----------
    layer : Layer, or a class or function that makes one
        Built or not. It is not changed, since the checks run on copies.
    input_shape : sequence of int, optional
        Shape of one example. Default: the input shape of a built layer.
    rng : int or numpy.random.Generator
        Seed of all weights and inputs.
    batch_size : int, optional
        Number of examples in a batch, at least 2. Default: 3, or 2 for a heavy layer (see Notes).
    inputs : callable, optional
        `f(rng, shape) -> array`, for a layer that is not defined for all inputs, such as a logarithm.
    reference : Layer or callable, optional
        A correct layer with the same weights in the same order, or a function of x, to compare with. It
        reveals a layer that computes the wrong function, whose gradients may fit that function.
    layout : {"NHWC", "NCHW"}, optional
        Order of the axes of image batches. Default: found out. Only the checks of windows, padding and batch
        statistics use it.
    skip, only : str or collection of str
        Names of the checks to leave out, or of the only ones to run; all names are in `CHECKS`. A string is
        the name of one check, or of a group in `PRESETS`: "gradients", a backward that fits its forward;
        "mathematics", those and all else that is wrong in any framework; "contract", the rest.
    explain : bool
        Whether to print what each check tries, in order, with the numbers.

    Raises
    ------
    LayerCheckError
        If a check fails. It is an AssertionError; its message reports, for each failed check, the array, the
        worst index, the analytic and the numeric value, and the usual cause.

    Warns
    -----
    LayerCheckRemark
        For a convention that differs from that of this package, and for what cannot be decided.

    Notes
    -----
    A layer is heavy from about a million multiplications, 16,384 input values or a thousand lines of Python
    code on, for one example. If it can be built for smaller images with weights of the same shapes, most
    checks run on those; shapes, float32 and the first kinds of inputs of the check of gradients keep the full
    size.

    Finite differences that cross a kink, such as the zero of a ReLU, do not count as evidence: see
    `minicnn.testing.finite_differences`. The check `ties` skips layers with `ties="all"`, the textbook's rule
    for max pooling, which is not the derivative where values are tied.

    Examples
    --------
    >>> from minicnn import Conv2D
    >>> check_layer(Conv2D(4, 3, padding="same"), (5, 5, 2))
    """
    __tracebackhide__ = True  # pytest shows the caller's line
    target = make_target(layer, input_shape, rng, batch_size, inputs, reference, layout)
    report = run_checks(target, chosen_checks(skip, only), explain)
    for remark in report.remarks:
        try:
            warnings.warn(f"{report.layer}: {remark}", LayerCheckRemark, stacklevel=2)
        except LayerCheckRemark:  # where warnings are errors
            if not report.failures:
                raise
    if report.failures:
        raise error_of(target, report)


def repeat_snippet(target: LayerUnderTest, report: CheckReport) -> str:
    """Return the code that repeats the first failure; for adapted code, the call alone."""
    kind, lines = type(target.layer), ["    from minicnn.testing import check_layer"]
    options = [f"rng={target.seed}"]
    options += [f"batch_size={target.given_batch_size}"] if target.given_batch_size else []
    options += [f"{name}={name}" for name in ("inputs", "reference") if getattr(target, name) is not None]
    options += [f"layout={target.layout!r}"] if target.layout else []
    adapted = isinstance(target.layer, Adapted)
    arguments = ["layer" if adapted else report.layer, str(target.input_shape), *options]
    call = f"    check_layer({', '.join(arguments)}, only=({report.failures[0].check!r},))"
    if not adapted and getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind:
        lines.insert(0, f"    from {kind.__module__} import {kind.__qualname__}")
    # What is defined in a function, or in a notebook, cannot be imported.
    return "\n".join([*lines, f"{call}  # layer: {report.layer}" if adapted else call])


def error_of(target: LayerUnderTest, report: CheckReport, repeat: str = "") -> LayerCheckError:
    """Return the error of a report with failures, with the code or command that repeats the first one."""
    snippet = repeat or repeat_snippet(target, report)
    return LayerCheckError(report.layer, target.input_shape, report.failures, snippet)


def make_target(
    layer: Any,
    input_shape: Sequence[int] | None = None,
    rng: int | np.random.Generator = 0,
    batch_size: int | None = None,
    inputs: Inputs | None = None,
    reference: Any = None,
    layout: str | None = None,
) -> LayerUnderTest:
    """Return the object that all checks run on, after validating the arguments of `check_layer`."""
    if not isinstance(layer, Layer) and callable(layer):
        layer = layer()
    if not isinstance(layer, Layer):
        raise TypeError(f"`layer` must be a Layer, or a class or function that makes one, got {layer!r}")
    shape = layer.input_shape if input_shape is None else tuple(input_shape)
    if shape is None:
        raise ValueError(
            f"`input_shape` must be given for a layer that is not built, got {one_line_repr(layer)}"
        )
    if batch_size is not None:
        batch_size = check_int(batch_size, "batch_size", low=2)  # one example cannot be mixed with others
    if layout is not None and layout not in LAYOUTS:
        raise ValueError(f"`layout` must be among {', '.join(LAYOUTS)}, got {layout!r}")
    seed = int(rng.integers(2**62)) if isinstance(rng, np.random.Generator) else check_int(rng, "rng", low=0)
    # Default arguments are not copied, so that a layer that changes one is detected.
    defaults = {id(a.default): a.default for a in inspect.signature(type(layer)).parameters.values()}
    return LayerUnderTest(copy.deepcopy(layer, defaults), shape, seed, batch_size, inputs, reference, layout)
