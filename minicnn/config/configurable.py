"""The configuration of a layer: its class and constructor arguments, in types that JSON has."""

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from minicnn.config.decoder import ARRAY_DTYPES, Decoder
from minicnn.config.registry import FACTORIES, FUNCTIONS, is_registered
from minicnn.parameter_tree import constructor_parameters
from minicnn.validation import ConfiguredFunction

_MAX_ARRAY = 100_000  # values; larger arrays are weights, and belong into a Parameter


class Configurable:
    """An object that is made again from its class and its constructor's arguments.

    Attributes
    ----------
    class_names : list of str or None
        The names of a model's classes; `load_model` sets them from the file.
    preprocessing : dict, str or None
        How pictures become the model's inputs, as `save_model` takes it.
    made_by : dict
        What made the file that a model was loaded from: versions and, if recorded, data and settings.
    """

    class_names: list[str] | None = None
    preprocessing: dict[str, Any] | str | None = None
    made_by: Mapping[str, Any] = MappingProxyType({})

    def to_config(self) -> dict[str, Any]:
        """Return the architecture: class and constructor arguments, nested layers included, for JSON.

        Weights and input shape are not in it; `save_model` saves those as well.

        Raises
        ------
        ValueError
            If `__init__` does not keep an argument under its own name, or an argument is something that a
            file cannot hold, such as a function of the user's own.

        Examples
        --------
        >>> from minicnn import Dense
        >>> Dense(10).to_config()["arguments"]["units"]
        10
        """
        cls = type(self)
        if not cls.__name__.isidentifier():
            raise ValueError(f"a class must have an identifier as its name to be saved, got {cls.__name__!r}")
        arguments = {name: self._argument(name) for name in constructor_parameters(cls)}
        config: dict[str, Any] = {"class": cls.__name__, "arguments": arguments}
        return config if is_registered(cls) else config | {"custom": True}

    def _argument(self, name: str) -> Any:
        kind = type(self).__name__
        if not hasattr(self, name):
            raise ValueError(
                f"{kind} cannot be saved: its __init__ must keep the argument `{name}` as self.{name}"
            )
        try:
            return _encoded(getattr(self, name))
        except _UnsavableError as error:
            raise ValueError(f"{kind} cannot be saved: its argument `{name}` {error}") from None

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_layers: Iterable[type[Any]] = ()) -> Self:
        """Return a layer, not built, from what `to_config` returned.

        Parameters
        ----------
        config : mapping
            From `to_config`, or from JSON.
        custom_layers : iterable of class
            The classes of the layers in it that are not minicnn's.

        Raises
        ------
        ValueError
            If the configuration is broken, or has layers that are neither minicnn's nor in `custom_layers`.

        Examples
        --------
        >>> from minicnn import Dense, Sequential
        >>> Sequential.from_config(Sequential([Dense(10)]).to_config())
        Sequential([
            Dense(10),
        ])
        """
        layer = Decoder(custom_layers).layer(config)
        if not isinstance(layer, cls):
            raise ValueError(f"the configuration must be of a {cls.__name__}, got a {type(layer).__name__}")
        return layer


class _UnsavableError(Exception):
    """What an argument is that cannot be saved."""


def _encoded(value: Any) -> Any:
    """Return a value in types that JSON has; all but plain ones are objects with the kind as their key."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        number = int(value) if isinstance(value, int) else float(value)
        return number if math.isfinite(number) else {"float": str(number)}
    if isinstance(value, list):
        return [_encoded(item) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [_encoded(item) for item in value]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": [[key, _encoded(item)] for key, item in value.items()]}
    if isinstance(value, np.ndarray) and value.dtype.name in ARRAY_DTYPES and value.size <= _MAX_ARRAY:
        return {"array": _encoded(value.tolist()), "dtype": value.dtype.name}
    if isinstance(value, Configurable):
        return value.to_config()
    return _encoded_function(value)


def _encoded_function(value: Any) -> dict[str, Any]:
    plain = value.func if isinstance(value, ConfiguredFunction) else value
    name = getattr(plain, "__name__", "").removeprefix("_" if plain is not value else "")
    name = f"{getattr(plain, '__module__', '').rpartition('.')[2]}.{name}"
    if plain is not value and name in FACTORIES:
        return {"function": name, "settings": {key: _encoded(item) for key, item in value.keywords.items()}}
    found = next((known for known, function in FUNCTIONS.items() if function is value), None)
    if found is None:
        raise _UnsavableError(
            f"is {value!r:.80}; a file can hold numbers, strings, lists, tuples, dicts, small arrays, "
            f"layers, and minicnn's initializers, schedules, losses and ops"
        )
    return {"function": found}
