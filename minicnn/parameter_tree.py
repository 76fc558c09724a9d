"""Parameters and layers are found in the attributes that hold them; nothing is registered."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minicnn.parameter import Parameter
from minicnn.safeguards.claims import changing, check_thread, is_trained_elsewhere, reading
from minicnn.validation import check_numbers

_CONTAINERS = (dict, list, tuple)


class ParameterTree:
    """An object whose attributes hold parameters and other such objects, also in lists, tuples and dicts."""

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield (name, parameter) for all weights, in assignment order; the name is its path.

        >>> from minicnn import Dense, Sequential
        >>> [name for name, _ in Sequential([Dense(2)]).build((3,)).named_parameters()]
        ['layers.0.kernel', 'layers.0.bias']
        """
        return self._find(Parameter)

    def parameters(self) -> list[Parameter]:
        """Return all weights, trainable or not, in the order of `named_parameters`."""
        return [parameter for _, parameter in self.named_parameters()]

    def generators(self) -> list[np.random.Generator]:
        """Return the random generators that the object holds (those of Dropout), in assignment order."""
        return [generator for _, generator in self._find(np.random.Generator)]

    def zero_grad(self) -> None:
        """Set all accumulated gradients to zero."""
        check_thread(self)
        for parameter in self.parameters():
            parameter.zero_grad()

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of all weights, in Keras's order."""
        with reading(self):
            return [parameter.value.copy() for parameter in self.parameters()]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Copy `weights`, a list as `get_weights` returns it, into the layer: all, or none on an error.

        Raises
        ------
        ValueError
            If the number of arrays, or the shape of one, is not that of the layer's weights.
        """
        named = list(self.named_parameters())
        if len(weights) != len(named):
            raise ValueError(f"`weights` must have {len(named)} arrays, got {len(weights)}")
        for (name, parameter), value in zip(named, weights, strict=True):
            check_numbers(value, name)
            if np.shape(value) != parameter.shape:
                raise ValueError(f"{name!r} must have shape {parameter.shape}, got {np.shape(value)}")
        with changing(self):
            for (_, parameter), value in zip(named, weights, strict=True):
                parameter.value = value

    def _find(self, *kinds: type, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """Yield (path, object) for all objects of these kinds that this one holds, recursively."""
        for name, found in find_objects(self.__getstate__(), *kinds, ParameterTree):
            if isinstance(found, kinds):
                yield prefix + name, found
            if isinstance(found, ParameterTree):
                yield from found._find(*kinds, prefix=f"{prefix}{name}.")

    def refuse_tied_weights(self) -> None:
        """Raise ValueError if a weight or layer is held in two places, or two have the same name."""
        seen: dict[int, str] = {}
        names: set[str] = set()
        for name, part in self._find(Parameter, ParameterTree):
            if id(part) in seen:
                raise ValueError(
                    f"tied weights are not supported: {seen[id(part)]!r} and {name!r} are the same "
                    f"{type(part).__name__}; hold each parameter and layer in one place only"
                )
            if name in names:
                raise ValueError(f"two weights or layers have the same name, {name!r}; use other keys")
            seen[id(part)] = name
            names.add(name)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        # Of a replica it does not matter: it shares the weights.
        weights = self.parameters() if is_trained_elsewhere(self) else []
        waits = weights and not any(id(parameter) in memo for parameter in weights)
        with reading(self) if waits else contextlib.nullcontext():
            return copy._reconstruct(self, memo, *super().__reduce_ex__(4))  # type: ignore[attr-defined]

    def __reduce_ex__(self, protocol: Any) -> Any:
        if is_trained_elsewhere(self):  # what pickle gets now, it looks at later
            return copy.deepcopy(self).__reduce_ex__(protocol)
        return super().__reduce_ex__(protocol)

    def __getstate__(self) -> dict[str, Any]:
        state = vars(self).copy()
        state.pop("_cache", None)  # neither pickled nor copied
        return state

    def __repr__(self) -> str:
        arguments = []
        for name, argument in constructor_parameters(type(self)).items():
            value = getattr(self, name, ...)  # a layer may not have stored an argument
            if argument.default is argument.empty:
                arguments.append(repr(value))
            elif repr(value) != repr(argument.default):
                arguments.append(f"{name}={getattr(value, '__name__', None) or repr(value)}")
        return f"{type(self).__name__}({', '.join(arguments)})"


def constructor_parameters(cls: type[Any]) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a class's constructor by name."""
    # Of `object.__init__` there is a text only, which `inspect` would have to compile.
    return {} if cls.__init__ is object.__init__ else inspect.signature(cls).parameters


def find_objects(value: Any, *kinds: type, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, object) for the objects of these kinds: `value` itself, or in its lists, tuples, dicts."""
    if isinstance(value, kinds):
        yield path, value
    elif isinstance(value, _CONTAINERS):
        wanted = (*_CONTAINERS, *kinds)  # a generator for each number would take long
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(item, wanted):
                yield from find_objects(item, *kinds, path=f"{path}.{key}" if path else str(key))
