"""Pickles model and loss for a worker process, and finds out whether a model's structure has changed.

Pickles have neither the values of the weights, which are in shared memory, nor the states of the generators,
which a worker gets with each shard.
"""

import os
import pickle
import select
import sys
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parallel.builtin_pickling import builtin_pickle
from minicnn.parameter import Parameter

# Parameters of the largest model for which workers are used. The weights are copied to each worker in every
# step; and NumPy calls on that many weights take so long that threads are as fast.
LARGEST_MODEL = 1 << 21

LARGEST_HASHED = 1 << 20  # bytes; larger arrays count as changed only if they were replaced


class PickledModel(NamedTuple):
    """A model and its loss for workers.

    Attributes
    ----------
    model, loss : bytes
        The pickles.
    is_builtin : bool
        Whether both are this package's own code.
    """

    model: bytes
    loss: bytes
    is_builtin: bool


def is_builtin(model: Layer, loss: Callable) -> bool:
    """Return whether model and loss are this package's own code."""
    return bool(builtin_pickle(model) and builtin_pickle(loss))


def pickled_model(model: Layer, loss: Callable) -> PickledModel:
    """Return the pickles of model and loss.

    Raises
    ------
    pickle.PicklingError
        If one of them cannot be pickled; it says which, and why.
    """
    parts = builtin_pickle(model), builtin_pickle(loss)
    if all(parts):
        return PickledModel(*parts, is_builtin=True)
    return PickledModel(parts[0] or _user_pickle(model, model), pickled_loss(model, loss), is_builtin=False)


def pickled_loss(model: Layer, loss: Callable) -> bytes:
    """Return the pickle of the loss of a model, see `pickled_model`."""
    return builtin_pickle(loss) or _user_pickle(loss, model)


def _user_pickle(part: Any, model: Layer) -> bytes:
    from minicnn.parallel.user_pickling import user_pickle  # here, since it imports cloudpickle

    return user_pickle(part, model)


def is_small(model: Layer) -> bool:
    """Return whether workers can be faster than threads for a model of this size."""
    return sum(parameter.size for parameter in model.parameters()) <= LARGEST_MODEL


def can_start_workers() -> bool:
    """Return whether this process can start a Python interpreter and exchange messages with it."""
    return (
        os.name == "posix"
        and hasattr(select, "poll")
        and bool(sys.executable)
        and not hasattr(sys, "frozen")
        # Set in a worker: there `sys.executable` may not be an interpreter but the user's program again.
        and "MINICNN_WORKER" not in os.environ
    )


def structure_digest(model: Any) -> bytes | None:
    """Return a digest of a model except its weights and generators; None if it cannot be pickled."""
    import hashlib  # imported here to keep `import minicnn` fast

    digest = hashlib.sha256()
    try:
        _StructurePickler(types.SimpleNamespace(write=digest.update)).dump(model)
    except Exception:  # the `__reduce__` of a user's class may raise anything
        return None
    return digest.digest()


class _StructurePickler(pickle.Pickler):
    """Skips what each step changes, and represents code by its name and large arrays by their identity."""

    def persistent_id(self, obj: Any) -> str | None:
        if isinstance(obj, Parameter):
            return f"Parameter {obj.trainable}"
        if isinstance(obj, np.random.Generator):
            return type(obj).__name__
        if isinstance(obj, np.ndarray) and obj.nbytes > LARGEST_HASHED:
            return str(id(obj))
        if isinstance(obj, type | types.FunctionType):
            return f"{obj.__module__}.{obj.__qualname__}"
        return None
