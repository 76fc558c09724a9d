"""An activation before a maximum, computed after it, on fewer values, where the results are the same.

    max(f(a), f(b), ...) = f(max(a, b, ...))        for f that never falls

So a Chain computes [ReLU(), Pool2D(2)] as pooling and then ReLU, on a quarter of the values. Outputs and
gradients keep their bits. In the given order, the gradient goes to the first x with f(x) = max f, to all of
them, or in shares; in the exchanged one, to those with x = max x. They are the same, unless f takes its
maximum at different x. There the derivative of f must be 0, as that of ReLU is where all x <= 0: neither
order has a gradient. A layer promises all this by `commutes_with_max`. ReLU can; Sigmoid, Tanh, ELU and
LeakyReLU cannot, since rounding maps different x to the same value at any slope.

The layers' caches are then those of the exchanged order. Code that reads `cache` nevertheless gets what
the layer would have cached: it is computed on demand.
"""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Layer: TypeAlias = Any  # that of `minicnn.layers.base`, which imports this module
_METHODS = frozenset(("__call__", "forward", "backward"))


class Exchangeable:
    """What a layer promises, so that a Chain may exchange it with its neighbour.

    A promise holds for the methods of the class that makes it: a subclass with another `forward` or
    `backward` has to make it again. `minicnn.testing.check_layer` checks `commutes_with_max`.

    Attributes
    ----------
    commutes_with_max : bool
        Whether the layer is an elementwise function f without weights, state and randomness, with
        f(a) <= f(b) for all a < b, as computed, and derivative 0 at a and b if f(a) = f(b).
    takes_max : bool
        Whether each output is the maximum of some inputs, and the gradient goes to those that equal it.
    """

    commutes_with_max: bool = False
    takes_max: bool = False


class Exchanged(NamedTuple):
    """Stands for the cached value of a layer that ran in exchanged order."""

    x: np.ndarray  # the input of the first layer
    caches: tuple  # of both layers
    first: Layer  # for the second layer; None for the first

    def value(self, layer: Layer) -> Any:
        """Return what `layer` would have cached, and cache it."""
        x = self.x if self.first is None else copy.copy(self.first).eval().forward(self.x)
        twin = copy.copy(layer).train()
        twin.forward(x)
        layer._cache = twin._cache
        return twin.cache


def forward(function: Layer, maximum: Layer, x: np.ndarray) -> np.ndarray | None:
    """Return the output of the two layers, computed in exchanged order; None if that must not be."""
    if not (maximum.takes_max and _may_exchange(function, maximum)):
        return None
    try:
        largest = maximum(x)
        # Where there is no largest value, gradients do not keep their bits.
        if function.training and np.isnan(largest.max()):
            return None
        y = function(largest)
    except Exception:  # computed in the given order, the message names the right layer
        return None
    caches = (_, thread), _ = function._cache, maximum._cache
    if thread is not None:  # it is None in evaluation mode
        function._cache = Exchanged(x, caches, None), thread
        maximum._cache = Exchanged(x, caches, function), thread
    return y


def backward(function: Layer, maximum: Layer, dy: np.ndarray) -> np.ndarray | None:
    """Return dL/dx; None unless both layers ran in exchanged order, and no cache was read since."""
    first, second = function._cache, maximum._cache
    if not (isinstance(first[0], Exchanged) and isinstance(second[0], Exchanged)):
        return None
    if first[0].caches is not second[0].caches:
        return None
    function._cache, maximum._cache = first[0].caches
    try:
        return maximum.backward(function.backward(dy))
    except Exception:  # as above
        return None
    finally:
        function._cache, maximum._cache = first, second


def _may_exchange(function: Layer, maximum: Layer) -> bool:
    kinds: tuple[Any, Any] = type(function), type(maximum)
    return (
        function.training == maximum.training
        and not has_own_methods(function)
        and not has_own_methods(maximum)
        and promises(kinds[0], "commutes_with_max")
        and promises(kinds[1], "takes_max")
    )


def has_own_methods(layer: Layer) -> bool:
    """Return whether a method was replaced in the object itself, as a hook does."""
    return not _METHODS.isdisjoint(vars(layer))


@lru_cache(maxsize=256)
def promises(kind: Any, name: str) -> bool:
    """Return whether a class makes the promise for the methods that it has."""
    for cls in kind.__mro__:
        if name in vars(cls):
            return True
        if not _METHODS.isdisjoint(vars(cls)):
            return False
    return False
