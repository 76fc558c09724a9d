"""Pickles layers and losses with the user's code, by cloudpickle.

Classes and functions of modules that a worker can import are pickled by reference. All others are pickled by
value, with the globals they use: those of scripts and notebooks (`__main__`), lambdas, functions within
functions, and modules that a new interpreter would not find.
"""

import functools
import io
import pickle
import sys
import threading
import types
from collections.abc import Callable, Collection
from typing import Any

import cloudpickle
import numpy as np

from minicnn.layers.base import Layer
from minicnn.parallel.builtin_pickling import refuse_replaced_methods, skeleton
from minicnn.parameter import Parameter

LARGEST_PICKLE = 1 << 28  # bytes; a function may use a global that holds the whole data set

_registry_lock = threading.RLock()  # cloudpickle's list of modules to pickle by value is global


def user_pickle(part: Layer | Callable, model: Layer) -> bytes:
    """Return the pickle of `part`, the model or its loss.

    Raises
    ------
    pickle.PicklingError
        If it cannot be pickled; it names the layer, and the reason.
    """
    parameters = model.parameters()
    is_loss = part is not model
    own = set() if is_loss else {*map(id, [*parameters, *model.generators()])}
    weights = [parameter.value for parameter in parameters] if is_loss else []
    try:
        return _dump(part, own, weights)
    except Exception as error:  # the `__reduce__` of a user's class may raise anything
        where = "the loss" if is_loss else _first_failing(model, own)
        text = " ".join(str(error).split()) or type(error).__name__
        raise pickle.PicklingError(f"{where} cannot be sent to a worker: {text}") from error


def _first_failing(model: Layer, own: Collection[int]) -> str:
    """Return the name of the innermost layer that cannot be pickled, the first if there are several."""
    failing = [type(model).__name__]
    path = ""
    for name, layer in model.named_layers():
        if path and not name.startswith(f"{path}."):
            break
        try:
            _dump(layer, own, [])
        except Exception:
            path, failing = name, [f"{name} ({type(layer).__name__})"]
    return failing[0]


def _dump(part: Any, own: Collection[int], weights: Collection[np.ndarray]) -> bytes:
    file = _LimitedFile()
    with _registry_lock:
        pickler = _UserPickler(file, own, weights)
        try:
            pickler.dump(part)
        finally:
            for module in pickler.registered:
                cloudpickle.unregister_pickle_by_value(module)
    return file.getvalue()


class _LimitedFile(io.BytesIO):
    """A file in memory with a limit to its size."""

    def write(self, data: Any) -> int:
        if self.tell() + memoryview(data).nbytes > LARGEST_PICKLE:
            raise pickle.PicklingError(f"its attributes and globals exceed {LARGEST_PICKLE >> 20} MiB")
        return super().write(data)


class _UserPickler(cloudpickle.Pickler):
    """Refuses what would not be the same in a worker, and decides which modules are pickled by value.

    Parameters
    ----------
    file : file
        Where the pickle is written.
    own : collection of int
        The ids of the model's parameters and generators. Other parameters are refused, since they would not
        follow the training.
    weights : collection of ndarray
        Arrays that training changes, and that must therefore not be sent either.
    """

    def __init__(self, file: Any, own: Collection[int], weights: Collection[np.ndarray]) -> None:
        super().__init__(file)
        self.own, self.weights = own, weights
        self.registered: list[types.ModuleType] = []

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Parameter) and id(obj) not in self.own:
            raise pickle.PicklingError("it uses weights that are not its own")
        if isinstance(obj, np.ndarray) and any(np.may_share_memory(obj, weight) for weight in self.weights):
            raise pickle.PicklingError("it uses weights of the model")
        if isinstance(obj, io.IOBase):
            raise pickle.PicklingError("it holds an open file")
        if isinstance(obj, type) and obj.__module__.startswith("minicnn."):
            refuse_replaced_methods(obj)
        if isinstance(obj, type | types.FunctionType | types.ModuleType):
            self._decide(obj.__name__ if isinstance(obj, types.ModuleType) else obj.__module__)
        reduced = skeleton(obj) if id(obj) in self.own else NotImplemented
        return super().reducer_override(obj) if reduced is NotImplemented else reduced

    def _decide(self, name: str | None) -> None:
        """Register a module to be pickled by value if a worker cannot import it."""
        if name is None or name == "__main__" or name.partition(".")[0] in ("minicnn", "numpy", "builtins"):
            return
        by_value = name not in sys.modules or name in cloudpickle.list_registry_pickle_by_value()
        if not by_value and not _importable(name):
            cloudpickle.register_pickle_by_value(sys.modules[name])
            self.registered.append(sys.modules[name])


def _importable(name: str) -> bool:
    """Return whether a new interpreter finds the file of this loaded module under the same name."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    if spec is None or getattr(spec, "_initializing", False):
        return False  # a module that trains while it is imported would train again in the worker
    return spec.origin in ("built-in", "frozen") or _finds(name, spec.origin)


@functools.cache  # it looks at the disk
def _finds(name: str, origin: str | None) -> bool:
    parent = name.rpartition(".")[0]
    if parent and not _importable(parent):
        return False
    path = sys.modules[parent].__path__ if parent else None
    finders = (finder for finder in sys.meta_path if hasattr(finder, "find_spec"))
    found = next((spec for finder in finders if (spec := finder.find_spec(name, path))), None)
    return found is not None and found.origin == origin
