"""What a target of `minicnn check` names: a layer, a function or a module, by file or by import."""

import ast
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from minicnn.layers.base import Layer
from minicnn.suggestions import did_you_mean
from minicnn.testing.adapters import from_object, from_torch


def load_layer(target: str, batch_dependent: bool = False) -> Layer:
    """Return the layer that "package.module:LayerClass" names; raise ValueError if there is none."""
    found, (_, arguments, options) = load_target(target)
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


def load_target(target: str) -> tuple[Any, tuple[str, list[Any], dict[str, Any]]]:
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
