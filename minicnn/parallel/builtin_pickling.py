"""Pickles models and losses of this package alone: classes and functions by name."""

from __future__ import annotations

import functools
import io
import pickle
import types
from typing import Any

import numpy as np

from minicnn.parameter import Parameter


def builtin_pickle(part: Any) -> bytes:
    """Return the pickle of a model or loss of this package; empty if there is other code in it."""
    file = io.BytesIO()
    try:
        _BuiltinPickler(file).dump(part)
    except Exception:  # the `__reduce__` of a user's class may raise anything
        return b""
    return file.getvalue()


class _BuiltinPickler(pickle.Pickler):
    """Pickles objects of this package and of NumPy, and raises PicklingError for all others."""

    def reducer_override(self, obj: Any) -> Any:
        module = getattr(obj, "__module__", None) or type(obj).__module__
        if obj is functools.partial or type(obj) is functools.partial:
            return NotImplemented  # what it holds is looked at
        if module.partition(".")[0] not in ("minicnn", "numpy", "copyreg", "builtins"):
            raise pickle.PicklingError(f"{obj!r} belongs neither to minicnn nor to NumPy")
        if isinstance(obj, type) and module.startswith("minicnn"):
            refuse_replaced_methods(obj)
        return skeleton(obj)


def refuse_replaced_methods(cls: type) -> None:
    """Raise PicklingError if a class of this package has a method of other code, which a worker lacks."""
    functions = [value for value in vars(cls).values() if isinstance(value, types.FunctionType)]
    if any(function.__module__.partition(".")[0] != "minicnn" for function in functions):
        raise pickle.PicklingError(f"{cls!r} has a method that was replaced")


def skeleton(obj: Any) -> Any:
    """Return how to pickle a weight or generator without its state; NotImplemented for other objects."""
    if type(obj) is Parameter:
        return _parameter, (obj.shape, obj.dtype.str, obj._trainable, obj.frozen)
    if isinstance(obj, np.random.Generator):
        seeds = getattr(obj.bit_generator, "seed_seq", None)
        if isinstance(seeds, np.random.SeedSequence):
            return _generator, (type(obj.bit_generator), seeds)
    return NotImplemented


def _parameter(shape: tuple[int, ...], dtype: str, trainable: bool, frozen: bool) -> Parameter:
    parameter = Parameter(np.zeros(shape, dtype), trainable)
    parameter.frozen = frozen
    return parameter


def _generator(kind: type[np.random.BitGenerator], seeds: np.random.SeedSequence) -> np.random.Generator:
    return np.random.Generator(kind(seeds))
