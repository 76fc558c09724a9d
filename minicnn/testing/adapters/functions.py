"""`from_functions`: a forward and a backward function."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.testing.adapters.adapted import Adapted, Params, Shared, accepted, arrays_of, told_the_mode


def from_functions(
    forward: Callable,
    backward: Callable,
    params: Params = None,
    *,
    batch_dependent: bool = False,
    asarray: Callable | None = None,
) -> Layer:
    """Return a layer for `check_layer`, made of two functions on arrays.

    Parameters
    ----------
    forward : callable
        `forward(x, *params)` returns `y`, or `(y, saved)`. An argument `training` (or `is_training`, `train`,
        `is_train`, `train_flg`) gets whether the layer is in training mode, an argument `rng` a NumPy
        generator.
    backward : callable
        `backward(dy, saved)`, or `backward(dy, x, *params)` if forward returns `y` alone. It returns `dx`, or
        `(dx, *dparams)`; in place of the gradients of the weights, one dict by their names.
    params : dict or list of array, or callable, optional
        The weights, or a function `(input_shape, rng)` that draws them. A list takes its names from the
        arguments of forward.
    batch_dependent : bool
        Whether the examples of a batch influence each other in training mode, as in BatchNorm.
    asarray : callable, optional
        For functions on arrays of another module, such as CuPy: `cupy.asarray`. They get such arrays only,
        and may return such arrays.

    Examples
    --------
    >>> from minicnn.testing import check_layer
    >>> def affine_forward(x, w, b):
    ...     return x @ w + b, (x, w)
    >>> def affine_backward(dy, saved):
    ...     x, w = saved
    ...     return dy @ w.T, x.T @ dy, dy.sum(axis=0)
    >>> layer = from_functions(affine_forward, affine_backward, [np.eye(5, 3), np.zeros(3)])
    >>> check_layer(layer, (5,))
    """
    for name, function in (("forward", forward), ("backward", backward)):
        if not callable(function):
            raise TypeError(f"`{name}` must be a function, got {function!r}")
    return FromFunctions(forward, backward, params, batch_dependent, asarray)


class FromFunctions(Adapted):
    """A layer made of two functions."""

    factory = "from_functions"

    def __init__(
        self,
        forward: Callable,
        backward: Callable,
        params: Params,
        batch_dependent: bool,
        asarray: Callable | None,
    ) -> None:
        super().__init__(Shared(forward), batch_dependent, asarray)
        self.backward_function, self.params = Shared(backward), params

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Hold the weights, and a generator if forward draws numbers."""
        plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        arguments = [
            a.name for a in inspect.signature(self.adapted.function).parameters.values() if a.kind in plain
        ]
        self.hold(arrays_of(self.params, input_shape, rng), arguments[1:])
        self.stream = rng.spawn(1)[0]
        self._stream.seed(int(self.stream.spawn(1)[0].integers(2**31)))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Call the forward function."""
        told = {**told_the_mode(self.training), "rng": self.stream}
        options = accepted(self.adapted.function, told)
        arguments = [self.module.give(array) for array in (x, *self.values())]
        with self.own_stream():
            result = self.adapted(*arguments, **options)
        if not isinstance(result, tuple):
            result = result, None
        if len(result) != 2:
            raise ValueError(f"forward must return `y` or `(y, saved)`, got a tuple of {len(result)}")
        y, saved = result
        self.cache = tuple(arguments) if saved is None else (saved,)
        return self.module.take(y)

    def backward(self, dy: np.ndarray) -> Any:
        """Call the backward function."""
        with self.own_stream():
            result = self.backward_function(self.module.give(dy), *self.cache)
        dx, *dparams = result if isinstance(result, tuple | list) else (result,)
        self.add_grads(dparams[0] if len(dparams) == 1 and isinstance(dparams[0], dict) else dparams)
        return self.module.take(dx)
