"""`from_object`: an object with forward, backward, parameters and gradients under some usual names."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.testing.adapters.adapted import Adapted, Shared, to_numpy
from minicnn.testing.adapters.discovery import (
    Path,
    after_a_step,
    find_statistics,
    find_weights,
    follow,
    run_forward,
    set_mode,
    warn_of_arrays,
)
from minicnn.testing.contents import reachable


def from_object(
    made: Any,
    grads: Mapping[str, str] | None = None,
    *,
    batch_dependent: bool = False,
    asarray: Callable | None = None,
) -> Layer:
    """Return a layer for `check_layer`, made of an object of NumPy code with its own conventions.

    The object has `forward(x)` (or is called) and `backward(dy)`, which returns dx. Parameters and gradients
    are found as, in this order:

    - `params` and `grads` (or `parameters` and `gradients`, `weights` and `grads`): two dicts, or two lists;
    - `parameters()` or `params`: objects with `value` or `data`, and `grad`;
    - pairs of attributes: `W` and `dW`, `grad_W`, `W_grad`, `d_W` or `gW`; also those of the objects with a
      backward that it holds, in attributes, lists or dicts.

    Gradients are set to zero before each backward, so it may store or add them. Arrays named `running_...`
    or `moving_...` are running statistics. The object is told the mode by `train()` and `eval()`, or by an
    attribute or argument of forward named `training`, `is_training`, `train`, `is_train` or `train_flg`.

    Parameters
    ----------
    made : object, or callable
        The object, with its weights; or a function `(input_shape, rng)` that makes it.
    grads : dict of str, optional
        Attributes of the weights and of their gradients, if they have other names: `{"W": "delta_W"}`.
    batch_dependent : bool
        Whether the examples of a batch influence each other in training mode, as in BatchNorm.
    asarray : callable, optional
        For an object with arrays of another module, such as CuPy: `cupy.asarray`.

    Examples
    --------
    >>> from minicnn.testing import check_layer
    >>> class Affine:
    ...     def __init__(self):
    ...         self.W, self.b = np.eye(5, 3), np.zeros(3)
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x @ self.W + self.b
    ...     def backward(self, dy):
    ...         self.dW, self.db = self.x.T @ dy, dy.sum(axis=0)
    ...         return dy @ self.W.T
    >>> check_layer(from_object(Affine()), (5,))
    """
    if not hasattr(made, "backward") and not callable(made):
        raise TypeError(f"`made` must have a method backward, got {made!r}")
    return FromObject(made, grads, batch_dependent, asarray)


class FromObject(Adapted):
    """A layer made of an object.

    The object's arrays are replaced by the buffers of the parameters, wherever the object holds them; arrays
    of another module than NumPy by copies, before each forward, which are read back after each call.
    """

    factory = "from_object"

    def __init__(
        self,
        made: Any,
        grads: Mapping[str, str] | None,
        batch_dependent: bool,
        asarray: Callable | None,
    ) -> None:
        super().__init__(Shared(made), batch_dependent, asarray)
        self.grads = grads
        self.object: Any = None
        self.bound: list[Any] = []  # the arrays that the object holds
        self.gradients: list[Path] = []  # of the weights
        self.state: list[Path] = []  # of the running statistics

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Make the object or copy it, and hold its weights and running statistics."""
        made = self.adapted.function
        self.object = copy.deepcopy(made) if hasattr(made, "backward") else made(input_shape, rng)
        self._stream.seed(int(rng.integers(2**31)))
        with self.own_stream():
            used = after_a_step(self.object, input_shape, self.module)
        if self.grads is not None:
            weights = [(w, (w,), (g,)) for w, g in self.grads.items()]
        else:
            weights = find_weights(self.object, used, self.module)
            warn_of_arrays(self.object, weights, self.module)
        values = {name: follow(self.object, path) for name, path, _ in weights}
        self.gradients = [gradient for _, _, gradient in weights]
        found = find_statistics(self.object, self.module)
        self.state = [path for _, path in found]
        statistics = {name: follow(self.object, path) for name, path in found}
        self.bound = [*values.values(), *statistics.values()]
        self.hold(values)
        self.hold(statistics, trainable=False)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Call the object, and keep its new running statistics."""
        self._bind()
        set_mode(self.object, self.training)
        with self.own_stream():
            y = run_forward(self.object, self.module.give(x), self.training)
        first = len(self.gradients)
        for i, (path, parameter) in enumerate(zip(self.state, self.held()[first:], strict=True), start=first):
            new = follow(self.object, path)
            if new is not self.bound[i]:
                parameter.value = self.module.take(new)
                self.bound[i] = new if self.module.asarray else parameter.value
                setattr(follow(self.object, path[:-1]), path[-1], self.bound[i])
        self._read_back()
        self.cache = True
        return self.module.take(y)

    def backward(self, dy: np.ndarray) -> Any:
        """Call the object's backward, and read its gradients."""
        self.cache  # noqa: B018 - raises if forward has not run
        for path in self.gradients:
            old = follow(self.object, path)
            if self.module.is_float(old) and hasattr(old, "fill"):
                old.fill(0.0)
        with self.own_stream():
            dx = self.object.backward(self.module.give(dy))
        if isinstance(dx, tuple | list):
            raise TypeError(
                f"backward must return dx alone, got {len(dx)} results: store the gradients of weights in "
                "attributes, or use from_functions, whose backward returns them after dx"
            )
        self._read_back()
        for name, parameter, path in zip(self._names, self.held(), self.gradients, strict=False):
            grad = follow(self.object, path)
            if grad is None:
                raise ValueError(f"backward must leave a gradient of {name!r}, and left none")
            parameter.add_grad(to_numpy(grad))
        return self.module.take(dx)

    def generators(self) -> list[np.random.Generator]:
        """Return the object's generators."""
        return [part for part in reachable(self.object) if isinstance(part, np.random.Generator)]

    def _bind(self) -> None:
        values: list[Any] = self.values()
        if self.module.asarray is not None:
            values = [self.module.give(value) for value in values]
        if any(old is not new for old, new in zip(self.bound, values, strict=True)):
            memo: dict[int, Any] = {id(old): new for old, new in zip(self.bound, values, strict=True)}
            memo |= {id(rng): rng for rng in self.generators()}
            self.object, self.bound = copy.deepcopy(self.object, memo), values

    def _read_back(self) -> None:
        """Copy arrays of another module that the object has written into to the parameters."""
        if self.module.asarray is not None:
            for parameter, array in zip(self.held(), self.bound, strict=True):
                parameter.value = self.module.take(array)
