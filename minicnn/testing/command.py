"""The command `minicnn check package.module:LayerClass --input 8,7,3`."""

import ast
import copy
import importlib
import importlib.util
import math
import shlex
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from minicnn.layers.base import Layer
from minicnn.suggestions import did_you_mean
from minicnn.testing.adapters import from_object, from_torch
from minicnn.testing.check import error_of, make_target
from minicnn.testing.report import LayerCheckError
from minicnn.testing.running import CheckReport, chosen_checks, run_checks

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
        draw = _load(inputs if ":" in inputs else f"{target.partition(':')[0]}:{inputs}")[0]
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


def load_layer(target: str, batch_dependent: bool = False) -> Layer:
    """Return the layer that "package.module:LayerClass" names; raise ValueError if there is none."""
    found, (_, arguments, options) = _load(target)
    layer = None if isinstance(found, type) else _as_layer(found, batch_dependent)
    if layer is None and not callable(found):
        raise ValueError(f"{target!r} must be a Layer class, got {found!r}")
    if layer is None:
        try:
            made = found(*arguments, **options)
        except (Exception, SystemExit) as error:
            expression = target.partition(":")[2]
            raise ValueError(f"{expression!r} cannot be created: {type(error).__name__}: {error}") from error
        layer = _as_layer(made, batch_dependent)
        if layer is None:
            raise ValueError(f"{target!r} must return a Layer, got {type(made).__name__}")
    return layer


def _as_layer(made: Any, batch_dependent: bool) -> Layer | None:
    """Return a layer, or an adapter of an object that is one in another sense, or None."""
    if isinstance(made, Layer):
        return made
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(made, torch.nn.Module):
        return from_torch(made, batch_dependent=batch_dependent)
    if callable(getattr(made, "backward", None)):
        return from_object(made, batch_dependent=batch_dependent)
    return None


def _load(target: str) -> tuple[Any, tuple[str, list[Any], dict[str, Any]]]:
    """Return the object that a target names, and name, arguments and options of the call."""
    path, colon, expression = target.partition(":")
    if not (path and colon and expression):
        raise ValueError(f"the layer must be given as FILE.py:NAME or package.module:NAME, got {target!r}")
    call = _parse_call(expression)
    found: Any = import_target(path)
    for part in call[0].split("."):
        if not hasattr(found, part):
            raise ValueError(f"{path!r} has no {call[0]!r}{did_you_mean(part, dir(found))}")
        found = getattr(found, part)
    return found, call


def import_target(path: str) -> ModuleType:
    """Import a module by name, or a file by path; raise ValueError if that fails."""
    if path.endswith(".py") and not Path(path).exists():
        raise ValueError(f"no such file: {path}")
    try:
        return _import(path)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{path!r} cannot be imported: {type(error).__name__}: {error}") from error


def _import(path: str) -> ModuleType:
    """Import a module by name (the current folder included), or a file by path (its folder included)."""
    if not path.endswith(".py"):
        _make_importable(Path.cwd())  # like `python -m`
        return importlib.import_module(path)
    file = Path(path).resolve()
    package = file.parent
    while (package / "__init__.py").exists():
        package = package.parent
    _make_importable(package)  # like `python FILE`
    if package != file.parent:  # relative imports need the package
        return importlib.import_module(".".join(file.relative_to(package).with_suffix("").parts))
    spec = importlib.util.spec_from_file_location(file.stem, path)
    assert spec is not None  # the name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where pickle looks up the class of the layer
    spec.loader.exec_module(module)
    return module


def _make_importable(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _parse_call(expression: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Parse "Name(1, key='value')" into name, arguments and options; only literals are accepted."""
    try:
        node = ast.parse(expression, mode="eval").body
        if not isinstance(node, ast.Call):
            return expression, [], {}
        arguments = [ast.literal_eval(argument) for argument in node.args]
        options = {str(option.arg): ast.literal_eval(option.value) for option in node.keywords}
        return ast.unparse(node.func), arguments, options
    except (SyntaxError, ValueError):
        raise ValueError(
            f"the layer must be a name, with literal values as arguments, got {expression!r}"
        ) from None
