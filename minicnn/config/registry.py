"""The classes and functions that a configuration can name: those of this package."""

import inspect
from collections.abc import Callable
from typing import Any

from minicnn import initializers, losses, ops, schedules
from minicnn.safeguards.claims import all_layers

LAYERS: dict[str, type[Any]] = {}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    f"{module.__name__.rpartition('.')[2]}.{name}": getattr(module, name)
    for module in (initializers, schedules, losses, ops)
    for name in module.__all__
    if inspect.isfunction(getattr(module, name))
}
# Those that return a ConfiguredFunction: a private function of the same name, with settings filled in.
FACTORIES = {name for name, function in FUNCTIONS.items() if f"_{function.__name__}" in function.__globals__}


def is_registered(cls: type[Any]) -> bool:
    """Return whether a layer's class is the one that configurations name so; classes of users are not."""
    return LAYERS.get(cls.__name__) is cls


def custom_classes(model: Any) -> set[type[Any]]:
    """Return the classes of a model and of its layers that are not minicnn's."""
    classes = {type(layer) for layer in all_layers(model)}
    return {cls for cls in classes if not is_registered(cls)}


def register_layers(*classes: type[Any]) -> None:
    """Let configurations name these classes of the package."""
    LAYERS.update((cls.__name__, cls) for cls in classes)


def register_function(name: str, function: Callable[..., Any]) -> None:
    """Let configurations name a function of the package."""
    FUNCTIONS[name] = function
