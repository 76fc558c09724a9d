"""The command `minicnn check package.module:LayerClass --input 8,7,3`."""

import copy
import math
import shlex
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from minicnn.layers.base import Layer
from minicnn.testing.check import error_of, make_target
from minicnn.testing.report import LayerCheckError
from minicnn.testing.running import CheckReport, chosen_checks, run_checks
from minicnn.testing.targets import load_layer, load_target

LINE = 76  # characters of a command in one line of a terminal
DEFAULT_SHAPES = ((8, 7, 3), (12,))  # numbers of rows and columns differ, so that mixing them up shows


@dataclass(frozen=True)
class CheckedLayer:
    """A target, the report of its checks with one input shape, and the error if it fails."""

    target: str
    input_shape: tuple[int, ...]
    report: CheckReport
    error: LayerCheckError | None

    def __str__(self) -> str:
        report = self.report
        passed = f"all {len(report.checks)} checks" if len(report.checks) > 1 else f"`{report.checks[0]}`"
        text = f"{report.layer} with input shape {self.input_shape} passes {passed}"
        remarks = [f"remark: {remark}" for remark in report.remarks]
        return "\n\n".join([str(self.error) if self.error else text, *remarks])

    def to_json(self) -> dict[str, Any]:
        """Return the report in types that JSON has; numbers that are not finite are strings."""
        failures = [
            {
                "check": failure.check,
                "what": failure.what,
                "array": failure.array or None,
                "index": None if failure.index is None else [int(i) for i in failure.index],
                "facts": {name: _plain(value) for name, value in failure.facts.items()},
                "inputs": failure.drawn or None,
                "usual_cause": failure.hint or None,
            }
            for failure in self.report.failures
        ]
        return {
            "target": self.target,
            "layer": self.report.layer,
            "input_shape": list(self.input_shape),
            "passed": self.error is None,
            "checks": self.report.checks,
            "failures": failures,
            "remarks": [{"check": remark.check, "what": remark.what} for remark in self.report.remarks],
            "repeat": self.error.repeat if self.error else None,
        }


def _plain(value: Any) -> Any:
    if isinstance(value, bool | int | str):
        return value
    return float(value) if isinstance(value, float) and math.isfinite(value) else str(value)


def check_command(
    target: str,
    input_shape: tuple[int, ...] | None = None,
    seed: int = 0,
    skip: str | Collection[str] = (),
    only: str | Collection[str] | None = None,
    inputs: str | None = None,
    layout: str | None = None,
    batch_dependent: bool = False,
) -> list[CheckedLayer]:
    """Check the layer that `target` names, with each input shape.

    Parameters
    ----------
    target : str
        "package.module:LayerClass" or "FILE.py:LayerClass", with literal arguments if it needs some:
        "package.module:LayerClass(16, padding='same')". Modules in the current folder, and in that of the
        file, can be imported. An object that is no Layer, but has a method backward, is adapted by
        `from_object`, and a module of PyTorch by `from_torch`.
    input_shape : tuple of int, optional
        Shape of one example. Default: an image and a vector, if the layer builds with them.
    seed : int
        Seed of weights and inputs.
    skip, only, layout
        As for `check_layer`.
    inputs : str, optional
        The argument of `check_layer`, named as a target or by the name of a function beside the layer.
    batch_dependent : bool
        The argument of `from_object` and `from_torch`, for a target that they adapt.

    Raises
    ------
    ValueError
        If the layer cannot be imported or created, or the shape is not valid.
    """
    names = [name for name in chosen_checks(skip, only) if name != "reference"]
    layer = load_layer(target, batch_dependent)
    if input_shape is not None and (not input_shape or min(input_shape) < 1):
        raise ValueError(f"`input_shape` must be positive sizes, without the batch axis, got {input_shape}")
    draw = None
    if inputs is not None:
        draw = load_target(inputs if ":" in inputs else f"{target.partition(':')[0]}:{inputs}")[0]
        if not callable(draw):
            raise ValueError(f"{inputs!r} must be a function (rng, shape) that returns inputs, got {draw!r}")
    results = []
    for shape in [input_shape] if input_shape else _buildable_shapes(layer):
        under_test = make_target(layer, shape, seed, inputs=draw, layout=layout)
        report = run_checks(under_test, names)
        error = None
        if report.failures:
            options: dict[str, str | int | None] = {"inputs": inputs, "layout": layout, "seed": seed or None}
            options["batch-dependent"] = "" if batch_dependent else None
            error = error_of(under_test, report, _command(target, shape, report, options))
        results.append(CheckedLayer(target, shape, report, error))
    return results


def _command(
    target: str, shape: tuple[int, ...], report: CheckReport, options: dict[str, str | int | None]
) -> str:
    """Return the command that repeats the first failure."""
    given = {"input": ",".join(map(str, shape)), **options, "only": report.failures[0].check}
    words = [
        f"--{name} {shlex.quote(str(value))}" if value != "" else f"--{name}"  # a flag
        for name, value in given.items()
        if value is not None
    ]
    command = f"minicnn check {shlex.quote(target)}"
    whole = " ".join([command, *words])
    return "    " + (whole if len(whole) < LINE else " \\\n        ".join([command, " ".join(words)]))


def _buildable_shapes(layer: Layer) -> list[tuple[int, ...]]:
    shapes: list[tuple[int, ...]] = []
    for shape in DEFAULT_SHAPES:
        try:
            copy.deepcopy(layer).build(shape, rng=0)
            shapes.append(shape)
        except Exception as caught:
            error = caught
    if not shapes:
        raise ValueError(
            f"the layer does not build with {' or '.join(map(str, DEFAULT_SHAPES))}, pass its input shape "
            f"with --input: {type(error).__name__}: {error}"
        )
    return shapes
