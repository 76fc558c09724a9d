"""The command `minicnn check package.module:LayerClass --input 8,7,3`."""

import ast
import copy
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from minicnn.layers.base import Layer
from minicnn.testing.check import chosen_checks, error_of, make_target, run_checks

DEFAULT_SHAPES = ((8, 7, 3), (12,))  # numbers of rows and columns differ, so that mixing them up shows


def check_command(target: str, input_shape: tuple[int, ...] | None = None, seed: int = 0) -> tuple[str, bool]:
    """Run all checks on the layer that `target` names; return the report, and whether all passed.

    Parameters
    ----------
    target : str
        "package.module:LayerClass" or "FILE.py:LayerClass", with literal arguments if it needs some:
        "package.module:LayerClass(16, padding='same')". Modules in the current folder can be imported.
    input_shape : tuple of int, optional
        Shape of one example. Default: an image and a vector, if the layer builds with them.
    seed : int
        Seed of weights and inputs.

    Raises
    ------
    ValueError
        If the layer cannot be imported or created, or the shape is not valid.
    """
    layer = load_layer(target)
    if input_shape is not None and (not input_shape or min(input_shape) < 1):
        raise ValueError(f"`input_shape` must be positive sizes, without the batch axis, got {input_shape}")
    shapes = [input_shape] if input_shape else _buildable_shapes(layer)
    texts, passed = [], True
    for shape in shapes:
        target_layer = make_target(layer, shape, seed)
        report = run_checks(target_layer, chosen_checks(("reference",)))
        text = f"{report.layer} with input shape {shape} passes all {len(report.checks)} checks"
        if report.failures:
            text, passed = str(error_of(target_layer, report)), False
        texts.append("\n\n".join([text, *(f"remark: {remark}" for remark in report.remarks)]))
    return "\n\n".join(texts), passed


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


def load_layer(target: str) -> Layer:
    """Return the layer that "package.module:LayerClass" names; raise ValueError if there is none."""
    path, colon, expression = target.partition(":")
    if not (path and colon and expression):
        raise ValueError(f"the layer must be given as FILE.py:NAME or package.module:NAME, got {target!r}")
    name, arguments, options = _parse_call(expression)
    found: Any = import_target(path)
    for part in name.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{path!r} has no {name!r}")
        found = getattr(found, part)
    if isinstance(found, Layer):
        return found
    if not callable(found):
        raise ValueError(f"{target!r} must be a Layer class, got {found!r}")
    try:
        layer = found(*arguments, **options)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{expression!r} cannot be created: {type(error).__name__}: {error}") from error
    if not isinstance(layer, Layer):
        raise ValueError(f"{target!r} must return a Layer, got {type(layer).__name__}")
    return layer


def import_target(path: str) -> ModuleType:
    """Import a module by name, or a file by path; raise ValueError if that fails."""
    if path.endswith(".py") and not Path(path).exists():
        raise ValueError(f"no such file: {path}")
    try:
        return _import(path)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{path!r} cannot be imported: {type(error).__name__}: {error}") from error


def _import(path: str) -> ModuleType:
    """Import a module by name (the current folder included), or a file by path."""
    if not path.endswith(".py"):
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())  # like `python -m`
        return importlib.import_module(path)
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None  # the name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where pickle looks up the class of the layer
    spec.loader.exec_module(module)
    return module


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
