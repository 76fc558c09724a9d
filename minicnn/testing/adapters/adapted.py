"""What all adapters share: the weights of somebody else's code, as parameters of a `Layer`."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import Any, TypeAlias

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parameter import Parameter

Arrays: TypeAlias = Mapping[str, Any] | Iterable[Any]
Params: TypeAlias = Arrays | Callable[[tuple[int, ...], np.random.Generator], Arrays] | None


class ArrayModule:
    """The arrays of the adapted code: those of NumPy, or of the module that `asarray` belongs to."""

    def __init__(self, asarray: Callable | None) -> None:
        if asarray is not None and not callable(asarray):
            raise TypeError(f"`asarray` must be a function such as cupy.asarray, got {asarray!r}")
        self.asarray = asarray

    def give(self, array: np.ndarray) -> Any:
        """Return an array of the module, a copy that the adapted code may keep."""
        return array if self.asarray is None else self.asarray(array.copy())

    def take(self, result: Any) -> Any:
        """Return an array of NumPy for one of the module; anything else as it is, for the checks to see."""
        return to_numpy(result) if self.asarray is not None and _is_array(result) else result

    def is_float(self, array: Any) -> bool:
        """Return whether something is an array of floats, of this module."""
        if isinstance(array, np.ndarray) or self.asarray is None:
            return isinstance(array, np.ndarray) and array.dtype.kind == "f"
        return _is_array(array) and "float" in str(array.dtype)


def _is_array(found: Any) -> bool:
    return not isinstance(found, np.generic) and all(hasattr(found, name) for name in ("shape", "dtype"))


def to_numpy(array: Any) -> np.ndarray:
    """Return the values of an array of any module, by `get()` as of CuPy, `__array__` or DLPack."""
    if isinstance(array, np.ndarray) or not _is_array(array):
        return np.asarray(array)
    if callable(getattr(array, "get", None)):
        return np.asarray(array.get())
    if hasattr(array, "__array__"):
        return np.array(array)
    if hasattr(array, "__dlpack__"):
        return np.from_dlpack(array).copy()
    raise TypeError(f"an array must have `get()`, `__array__` or `__dlpack__`, got {type(array).__name__}")


class Shared:
    """A function or an object that copies of a layer share: not each can be copied."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call the function."""
        return self.function(*arguments, **options)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Shared":
        return self


class GlobalDraws:
    """Whether adapted code draws from NumPy's global stream: None before its first step; copies share it."""

    def __init__(self) -> None:
        self.found: bool | None = None
        self.lock = RLock()  # the stream is global

    def __deepcopy__(self, memo: dict[int, Any]) -> "GlobalDraws":
        return self


class Adapted(Layer):
    """Base class: `self.adapted` is somebody else's code, `self.values()` are its weights.

    Attributes
    ----------
    exempt : frozenset of str
        Checks of what the adapter does, and not the code that it adapts.
    factory : str
        The public function that makes such a layer.
    """

    factory = ""
    exempt = frozenset({"initialization", "needs_dx", "pickling", "promises", "repr"})

    def __init__(self, adapted: Any, batch_dependent: bool = False, asarray: Callable | None = None) -> None:
        self.adapted, self.batch_dependent = adapted, batch_dependent
        self.module = ArrayModule(asarray)
        self._names: list[str] = []
        self.global_draws, self._stream = GlobalDraws(), np.random.RandomState(0)

    @contextmanager
    def own_stream(self) -> Iterator[None]:
        """Let code that draws from NumPy's global stream draw from one of this layer, which copies repeat."""
        draws = self.global_draws
        if draws.found is False:
            yield
            return
        with draws.lock:
            outside: Any = np.random.get_state()  # noqa: NPY002
            before: Any = self._stream.get_state()
            np.random.set_state(before)  # noqa: NPY002
            try:
                yield
            finally:
                after: Any = np.random.get_state()  # noqa: NPY002
                np.random.set_state(outside)  # noqa: NPY002
                moved = before[2] != after[2] or not np.array_equal(before[1], after[1])
                if self.training or moved:
                    draws.found = bool(draws.found) or moved
                if moved:
                    self._stream.set_state(after)

    def hold(self, arrays: Arrays, names: Iterable[str] = (), trainable: bool = True) -> None:
        """Make a parameter of each array, named by the keys of a mapping, by `names`, or by numbers."""
        if not isinstance(arrays, Mapping):
            arrays, given = list(arrays), list(names)
            names = [*given, *(f"param{i}" for i in range(len(given), len(arrays)))]
            arrays = dict(zip(names, arrays, strict=False))
        for name, array in arrays.items():
            free = f"{name}_" if hasattr(self, name) and name not in self._names else name
            if self.module.asarray is None and _is_array(array) and not isinstance(array, np.ndarray):
                name = type(array).__module__.partition(".")[0]
                raise TypeError(
                    f"weights must be arrays of NumPy, got one of {name}: pass `asarray={name}.asarray`"
                )
            setattr(self, free, Parameter(to_numpy(array), trainable))
            self._names.append(free)

    def held(self) -> list[Parameter]:
        """Return the parameters, in order."""
        return [vars(self)[name] for name in self._names]

    def values(self) -> list[np.ndarray]:
        """Return the values of the weights, in order."""
        return [parameter.value for parameter in self.held()]

    def add_grads(self, grads: Any) -> None:
        """Add gradients, in the order of the weights or by their names."""
        if isinstance(grads, Mapping):
            missing = [name for name in self._names if name not in grads]
            if missing:
                raise ValueError(f"backward must return a gradient of {missing[0]!r}, got {[*grads]}")
            grads = [grads[name] for name in self._names]
        if len(grads) != len(self._names):
            raise ValueError(
                f"backward must return a gradient for each of {len(self._names)} weights, got {len(grads)}"
            )
        for parameter, grad in zip(self.held(), grads, strict=True):
            parameter.add_grad(to_numpy(grad))

    def __repr__(self) -> str:
        adapted = self.adapted.function if isinstance(self.adapted, Shared) else self.adapted
        name = getattr(adapted, "__name__", None) or " ".join(repr(adapted).split())
        if " at 0x" in name:
            name = type(adapted).__name__  # stable from run to run
        return f"{self.factory}({name})"


def arrays_of(params: Params, input_shape: tuple[int, ...], rng: np.random.Generator) -> Arrays:
    """Return the weights that `params` gives."""
    return (params(input_shape, rng) if callable(params) else params) or {}


def told_the_mode(training: bool) -> dict[str, bool]:
    """Return the mode under the names that arguments and attributes usually have.

    >>> [*told_the_mode(True)]
    ['training', 'is_training', 'train', 'is_train', 'train_flg']
    """
    return dict.fromkeys(("training", "is_training", "train", "is_train", "train_flg"), training)


def accepted(function: Callable, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of `options` that are arguments of a function."""
    try:
        known = inspect.signature(function).parameters
    except (TypeError, ValueError):  # written in C
        return {}
    return {name: value for name, value in options.items() if name in known}
