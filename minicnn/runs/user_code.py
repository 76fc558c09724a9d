"""Models and layers in a file of the user's own, which is executed because the command line names it."""

import functools
import os
import traceback
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from minicnn.config.registry import is_registered
from minicnn.layers import Layer, Sequential
from minicnn.models import MODELS
from minicnn.suggestions import did_you_mean

_FILES: dict[str, str] = {}  # that were executed, by their paths, with their names for messages


def custom_layers(files: Iterable[str]) -> list[type[Layer]]:
    """Execute files, or import modules, and return the classes of layers in them that are not minicnn's.

    Raises
    ------
    ValueError
        If there is no such file or module, it cannot be executed, or it has no layers.
    """
    found: dict[type[Layer], None] = {}
    for file in files:
        classes = _layers(_module(file))
        if not classes:
            raise ValueError(f"{file!r} defines no layer class")
        found |= dict.fromkeys(classes)
    return list(found)


def is_builtin(name: str) -> bool:
    """Return whether a model is one of the registry; raise ValueError if it is not FILE.py:NAME either."""
    if name in MODELS:
        return True
    path, colon, attribute = name.rpartition(":")
    if colon and path and attribute:
        return False
    suggestion = did_you_mean(name, MODELS)
    raise ValueError(
        f"`model` must be one of {', '.join(MODELS)}, FILE.py:NAME or MODULE:NAME, got {name!r}{suggestion}"
    )


def make_model(name: str, num_classes: int) -> Layer:
    """Return the model that FILE.py:NAME or MODULE:NAME names.

    NAME is a function of the number of classes that returns a model, or a model.
    """
    path, _, attribute = name.rpartition(":")
    module = _module(path)
    found: Any = getattr(module, attribute, None)
    if found is None:
        suggestion = did_you_mean(attribute, [known for known in vars(module) if not known.startswith("_")])
        raise ValueError(f"{path!r} has no {attribute!r}{suggestion}")
    if isinstance(found, Layer):
        return found
    if not callable(found):
        raise ValueError(
            f"{name!r} must be a function of the number of classes, or a model, got {found!r:.60}"
        )
    try:
        model = found(num_classes)
    except Exception as error:  # in the user's code, or because it takes other arguments
        raise ValueError(
            f"{name!r} failed for {num_classes} classes: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(model, Layer):
        raise ValueError(f"{name!r} must return a model, got {model!r:.80}")
    return model


def layers_of(name: str) -> list[type[Layer]]:
    """Return the classes of layers in the file or module of FILE.py:NAME or MODULE:NAME."""
    return _layers(_module(name.rpartition(":")[0]))


def own_model(config: Any, input_shape: tuple[int, ...], num_classes: int) -> Sequential:
    """Return the model that a config names by FILE.py:NAME, built for the data."""
    model = make_model(config.model, num_classes)
    net = model if isinstance(model, Sequential) else Sequential([model])
    if model.input_shape is None:
        try:
            net.build(input_shape, rng=config.seed)
        except Exception as error:  # in the user's code
            reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            raise ValueError(
                f"{config.model!r} cannot be built for images {input_shape}: {reason}"
            ) from error
    elif net is not model:
        raise ValueError(f"{config.model!r} is built, so it must be a Sequential, got {type(model).__name__}")
    if (net.input_shape, net.output_shape) != (input_shape, (num_classes,)):
        raise ValueError(
            f"{config.model!r} must turn images {input_shape} into {num_classes} logits, one per class; "
            f"it turns {net.input_shape} into {net.output_shape}"
        )
    return net


def place_of(error: BaseException | None) -> str | None:
    """Return the line of the user's files in which an error arose, as "FILE.py, line 3"; None if in none."""
    found = None
    while error is not None:  # the first of a chain is where it arose
        lines = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
        found = next((f"{_FILES[file]}, line {line}" for file, line in lines[::-1] if file in _FILES), found)
        error = error.__cause__
    return found


@functools.cache  # executed twice, a file would have two classes of each name
def _module(path: str) -> ModuleType:
    from minicnn.testing.targets import import_target  # imported here, since only some commands need it

    if path.endswith(".py"):
        _FILES[os.path.abspath(path)] = path
    module = import_target(path)
    if file := getattr(module, "__file__", None):
        _FILES.setdefault(file, os.path.basename(file))
    return module


def _layers(module: ModuleType) -> list[type[Layer]]:
    values = [
        value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Layer)
    ]
    return [cls for cls in values if cls is not Layer and not is_registered(cls)]
