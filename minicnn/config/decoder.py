"""From a configuration to a layer.

Nothing that a configuration says is imported or evaluated: classes and functions are looked up by name among
those of this package, and among the classes that the caller passes.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from minicnn.config.registry import FACTORIES, FUNCTIONS, LAYERS
from minicnn.parameter_tree import ParameterTree, constructor_parameters

MAX_DEPTH, MAX_LAYERS = 100, 10_000  # of values in values; of all layers of a configuration
ARRAY_DTYPES = ("bool", *(f"{kind}{8 * size}" for kind in ("int", "uint") for size in (1, 2, 4, 8)))
ARRAY_DTYPES += ("float16", "float32", "float64")
# What a constructor raises for arguments that it does not take.
_REFUSALS = (TypeError, ValueError, ArithmeticError, AttributeError, LookupError)


def classes_by_name(custom_layers: Iterable[type[Any]]) -> dict[str, type[Any]]:
    """Return the classes of layers that a caller passes, by their names; raise unless they are such."""
    if isinstance(custom_layers, str | bytes) or not isinstance(custom_layers, Iterable):
        raise TypeError(f"`custom_layers` must be a list of layer classes, got {custom_layers!r:.80}")
    found: dict[str, type[Any]] = {}
    for cls in custom_layers:
        if not (isinstance(cls, type) and issubclass(cls, ParameterTree)):
            raise TypeError(f"`custom_layers` must contain layer classes, got {cls!r:.80}")
        if found.setdefault(cls.__name__, cls) is not cls:
            raise ValueError(
                f"`custom_layers` must not contain two classes of the same name, got two {cls.__name__}"
            )
    return found


class Decoder:
    """Makes layers from one configuration."""

    def __init__(self, custom_layers: Iterable[type[Any]]) -> None:
        self.custom = classes_by_name(custom_layers)
        self.count = 0

    def layer(self, config: Any) -> Any:
        """Return the layer of a configuration, if all class names in it are known."""
        unknown = sorted(self._unknown(config, 0))
        if unknown:
            names = ", ".join(unknown)
            raise ValueError(f"unknown layers: {names}; pass their classes: custom_layers=[{names}]")
        return self._layer(config)

    def _unknown(self, value: Any, depth: int) -> set[str]:
        """Return the names of the classes that are missing; raise where there are too many layers."""
        if depth > MAX_DEPTH:
            raise ValueError(f"its architecture is nested more than {MAX_DEPTH} levels deep")
        if isinstance(value, list):
            return set().union(*(self._unknown(item, depth + 1) for item in value))
        if not isinstance(value, Mapping):
            return set()
        found = set().union(*(self._unknown(item, depth + 1) for item in value.values()))
        if "class" in value:
            self.count += 1
            name, custom = value["class"], value.get("custom", False)
            if self.count > MAX_LAYERS:
                raise ValueError(f"its architecture has more than {MAX_LAYERS:,} layers")
            if not isinstance(name, str) or not name.isidentifier() or len(name) > 200:
                raise ValueError(f"`class` must be the name of a class, got {name!r:.60}")
            if name not in (self.custom if custom is True else LAYERS):
                found.add(name)
        return found

    def _layer(self, config: Any) -> Any:
        if not isinstance(config, Mapping) or config.keys() - {"custom"} != {"class", "arguments"}:
            raise ValueError(f"a layer must have `class` and `arguments`, got {config!r:.80}")
        if config.get("custom", True) is not True or not isinstance(config["arguments"], Mapping):
            raise ValueError("`custom` must be true or absent, and `arguments` an object")
        name = config["class"]
        cls = (self.custom if "custom" in config else LAYERS)[name]
        values = {key: self._value(value) for key, value in config["arguments"].items()}
        with _explained(name):
            return _call(cls, values)

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        if "class" in value:
            return self._layer(value)
        match dict(value):
            case {"tuple": list(items), **rest} if not rest:
                return tuple(self._value(item) for item in items)
            case {"dict": list(items), **rest} if not rest:
                return {key: self._value(item) for key, item in map(_pair, items)}
            case {"float": ("nan" | "inf" | "-inf") as text, **rest} if not rest:
                return float(text)
            case {"array": items, "dtype": str(name), **rest} if not rest and name in ARRAY_DTYPES:
                with _explained("an array"):
                    return np.array(items, name)
            case {"function": str(name), **rest} if not rest and name in FUNCTIONS:
                return FUNCTIONS[name]
            case {"function": str(name), "settings": Mapping() as items, **rest} if not rest:
                if name in FACTORIES:
                    settings = {key: self._value(item) for key, item in items.items()}
                    with _explained(name):
                        return FUNCTIONS[name](**settings)
        raise ValueError(f"unknown kind of value: {dict(value)!r:.80}")


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Let what a constructor raises say of what it is."""
    try:
        yield
    except _REFUSALS as error:
        raise ValueError(f"{name} cannot be made from these arguments: {error}") from error


def _pair(item: Any) -> tuple[str, Any]:
    if not (isinstance(item, list) and len(item) == 2 and isinstance(item[0], str)):
        raise ValueError(f"an item of a dict must be a string and a value, got {item!r:.80}")
    return item[0], item[1]


def _call(cls: type[Any], values: dict[str, Any]) -> Any:
    """Call a class with arguments by name, those of `*args` and `**options` included."""
    positional, named = [], dict(values)
    parameters = constructor_parameters(cls)
    if values.keys() - parameters.keys():
        raise ValueError(f"it has no argument {', '.join(map(repr, values.keys() - parameters.keys()))}")
    several = any(p.kind is p.VAR_POSITIONAL for p in parameters.values())
    for name, parameter in parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional += named.pop(name, ())
            several = False
        elif parameter.kind is parameter.VAR_KEYWORD:
            named |= named.pop(name, {})
        elif name in named and (several or parameter.kind is parameter.POSITIONAL_ONLY):
            positional.append(named.pop(name))
    return cls(*positional, **named)
