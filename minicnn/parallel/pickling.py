"""What a worker process is sent to begin with: a model and a loss, if a worker can know them.

It knows this package only: what has code of others in it, be it a layer, a loss or an initializer, is not
sent.
"""

from __future__ import annotations

import io
import os
import pickle
import select
import sys
import types
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parallel.shard import Loss
from minicnn.parameter import Parameter

# More weights than this are not copied for each step; and where there are so many, calls are long, and
# threads do as well.
LARGEST_MODEL = 1 << 21

LARGE = 1 << 20  # bytes of an array, from which on its values are not looked at


def pickled_model(model: Layer, parameters: Sequence[Parameter], loss: Loss) -> bytes | None:
    """Return what a worker must know; None where there can be no worker for this model and this loss."""
    few = sum(parameter.size for parameter in parameters) <= LARGEST_MODEL
    if (
        os.name != "posix"
        or not hasattr(select, "poll")
        or not sys.executable
        or hasattr(sys, "frozen")
        or not few
    ):
        return None
    if "MINICNN_WORKER" in os.environ:  # then `sys.executable` is no interpreter, but this program again
        return None
    message = io.BytesIO()
    try:
        _BuiltinPickler(message).dump((model, loss))
    except Exception:  # code of others, which may raise whatever it likes when it is packed
        return None
    return message.getvalue()


def structure_digest(model: Layer) -> bytes | None:
    """Return a digest of all that a model is but for weights and random streams; None if there is none."""
    import hashlib  # not with the package, which is to take little more time than NumPy

    digest = hashlib.sha256()
    try:
        _StructurePickler(types.SimpleNamespace(write=digest.update)).dump(model)
    except Exception:  # code of others, as above
        return None
    return digest.digest()


class _BuiltinPickler(pickle.Pickler):
    """Packs objects of this package and of NumPy, and raises for those of others."""

    def reducer_override(self, thing: Any) -> Any:
        module = getattr(thing, "__module__", None) or type(thing).__module__
        if module.partition(".")[0] not in ("minicnn", "numpy", "copyreg", "builtins"):
            raise pickle.PicklingError(f"{thing!r} is neither minicnn's nor NumPy's")
        if isinstance(thing, type) and module.startswith("minicnn"):
            functions = [value for value in vars(thing).values() if isinstance(value, types.FunctionType)]
            if any(function.__module__.partition(".")[0] != "minicnn" for function in functions):
                raise pickle.PicklingError(f"{thing!r} has methods of others")
        return NotImplemented


class _StructurePickler(pickle.Pickler):
    """Leaves out what changes in each step, takes code by its name, large arrays by their place."""

    def persistent_id(self, thing: Any) -> str | None:
        if isinstance(thing, Parameter | np.random.Generator):
            return type(thing).__name__
        if isinstance(thing, np.ndarray) and thing.nbytes > LARGE:
            return str(id(thing))
        if isinstance(thing, type | types.FunctionType):
            return f"{thing.__module__}.{thing.__qualname__}"
        return None
