"""What `minicnn check package.module:LayerClass --input 8,7,3` does."""

from __future__ import annotations

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
from minicnn.testing.check import CHECKS, check_layer
from minicnn.testing.report import LayerCheckError

USUAL_SHAPES = ((8, 7, 3), (12,))  # rows and columns that cannot be taken for each other


def check_command(target: str, input_shape: tuple[int, ...] | None = None, seed: int = 0) -> tuple[str, bool]:
    """Run all checks on a layer that is named, and return the report and whether it passed.

    Parameters
    ----------
    target : str
        "package.module:LayerClass" or "FILE.py:LayerClass", or with arguments that are plain values,
        "package.module:LayerClass(16, padding='same')". Modules of the current folder are found.
    input_shape : tuple of int, optional
        Shape of one example. Without it an image and a vector are tried, where the layer takes them.
    seed : int
        Decides weights and inputs.

    Raises
    ------
    ValueError
        If there is no such layer, it cannot be made so, or the shape is none.
    """
    layer = load_layer(target)
    if input_shape is not None and (not input_shape or min(input_shape) < 1):
        raise ValueError(
            f"the input shape must have positive sizes, without the batch axis, got {input_shape}"
        )
    shapes = [input_shape] if input_shape else _that_build(layer)
    texts, passed = [], True
    for shape in shapes:
        try:
            check_layer(layer, shape, rng=seed)
            name = " ".join(repr(layer).split())
            texts.append(f"{name} with inputs {shape} passes all {len(CHECKS) - 1} checks")
        except LayerCheckError as error:
            texts.append(str(error))
            passed = False
    return "\n\n".join(texts), passed


def _that_build(layer: Layer) -> list[tuple[int, ...]]:
    shapes: list[tuple[int, ...]] = []
    for shape in USUAL_SHAPES:
        try:
            copy.deepcopy(layer).build(shape, rng=0)
            shapes.append(shape)
        except Exception as caught:
            error = caught
    if not shapes:
        raise ValueError(
            f"the layer needs an input shape of its own (--input); {type(error).__name__}: {error}"
        )
    return shapes


def load_layer(target: str) -> Layer:
    """Return the layer that "package.module:LayerClass" names; raise ValueError with a sentence otherwise."""
    path, colon, what = target.partition(":")
    if not (path and colon and what):
        raise ValueError(f"the layer must be given as package.module:LayerClass, got {target!r}")
    name, arguments, options = _call(what)
    try:
        found: Any = _import(path)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{path!r} cannot be imported: {type(error).__name__}: {error}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise ValueError(f"there is no {name!r} in {path!r}")
        found = getattr(found, part)
    if isinstance(found, Layer):
        return found
    if not callable(found):
        raise ValueError(f"{target!r} must be a Layer class, got {found!r}")
    try:
        layer = found(*arguments, **options)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{what!r} cannot be made: {type(error).__name__}: {error}") from error
    if not isinstance(layer, Layer):
        raise ValueError(f"{target!r} must make a Layer, got {type(layer).__name__}")
    return layer


def _import(path: str) -> ModuleType:
    """Import a module by its name, also from the current folder, or a file by its path."""
    if not path.endswith(".py"):
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())  # as `python -m` does
        return importlib.import_module(path)
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None  # since the name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where pickle looks for the layer's class
    spec.loader.exec_module(module)
    return module


def _call(what: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Take "Name(1, key='value')" apart; arguments are literals, nothing is evaluated."""
    try:
        node = ast.parse(what, mode="eval").body
        if not isinstance(node, ast.Call):
            return what, [], {}
        arguments = [ast.literal_eval(argument) for argument in node.args]
        options = {str(option.arg): ast.literal_eval(option.value) for option in node.keywords}
        return ast.unparse(node.func), arguments, options
    except (SyntaxError, ValueError):
        raise ValueError(
            f"a layer is named by its class, with plain values as arguments, got {what!r}"
        ) from None
