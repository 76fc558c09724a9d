"""Pickles a model and a loss for a worker process, and finds out whether a model's structure has changed.

A worker imports this package only. Models and losses with code of the user (a layer, a loss, an initializer)
are not pickled; they are trained on threads.
"""

from __future__ import annotations

import io
import os
import pickle
import select
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parameter import Parameter

# Parameters of the largest model for which workers are used. The weights are copied to each worker in every
# step; and NumPy calls on so many weights are long, so that threads are as fast.
LARGEST_MODEL = 1 << 21

LARGEST_HASHED = 1 << 20  # bytes; larger arrays count as changed only if they were replaced


def pickled_model(model: Layer, loss: Callable) -> bytes | None:
    """Return `(model, loss)` pickled for a worker, or None where there can be no worker for them."""
    small = sum(parameter.size for parameter in model.parameters()) <= LARGEST_MODEL
    if not (small and _can_start_workers()):
        return None
    file = io.BytesIO()
    try:
        _BuiltinPickler(file).dump((model, loss))
    except Exception:  # the `__reduce__` of a user's class may raise anything
        return None
    return file.getvalue()


def _can_start_workers() -> bool:
    """Return whether this process can start a Python interpreter and exchange messages with it."""
    return (
        os.name == "posix"
        and hasattr(select, "poll")
        and bool(sys.executable)
        and not hasattr(sys, "frozen")
        # Set in a worker: there `sys.executable` may not be an interpreter but the user's program again.
        and "MINICNN_WORKER" not in os.environ
    )


def structure_digest(model: Layer) -> bytes | None:
    """Return a digest of the model except its weights and random streams; None if it cannot be pickled."""
    import hashlib  # imported here to keep `import minicnn` fast

    digest = hashlib.sha256()
    try:
        _StructurePickler(types.SimpleNamespace(write=digest.update)).dump(model)
    except Exception:  # as above
        return None
    return digest.digest()


class _BuiltinPickler(pickle.Pickler):
    """Pickles objects of this package and of NumPy, and raises PicklingError for all others."""

    def reducer_override(self, obj: Any) -> Any:
        module = getattr(obj, "__module__", None) or type(obj).__module__
        if module.partition(".")[0] not in ("minicnn", "numpy", "copyreg", "builtins"):
            raise pickle.PicklingError(f"{obj!r} belongs neither to minicnn nor to NumPy")
        if isinstance(obj, type) and module.startswith("minicnn"):
            functions = [value for value in vars(obj).values() if isinstance(value, types.FunctionType)]
            if any(function.__module__.partition(".")[0] != "minicnn" for function in functions):
                raise pickle.PicklingError(f"{obj!r} has a method that was replaced")
        return NotImplemented


class _StructurePickler(pickle.Pickler):
    """Skips what each step changes, and represents code by its name and large arrays by their identity."""

    def persistent_id(self, obj: Any) -> str | None:
        if isinstance(obj, Parameter | np.random.Generator):
            return type(obj).__name__
        if isinstance(obj, np.ndarray) and obj.nbytes > LARGEST_HASHED:
            return str(id(obj))
        if isinstance(obj, type | types.FunctionType):
            return f"{obj.__module__}.{obj.__qualname__}"
        return None
