"""Gradients of evaluation mode, in which layers keep nothing for their backward pass.

A layer that computes the same in both modes needs nothing of this: it is left in training mode.
"""

import copy
import threading
from collections.abc import Callable

import numpy as np

from minicnn.config.registry import is_registered
from minicnn.layers import Layer
from minicnn.parameter_tree import find_objects
from minicnn.safeguards.claims import all_layers

_DIRECTIONS = 3
_STEP = 3e-3  # of finite differences, relative to the inputs: some digits remain in float32
_TOLERANCE = 0.1  # relative to the gradient: kinks between the two ends cost some percent
Backward = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of dy and the input


def differentiate_in_evaluation(layer: Layer) -> None:
    """Let a layer in training mode compute as in evaluation mode, with the gradients of that."""
    parts = [part for part in all_layers(layer) if _differs(part)]
    probes = [None if is_registered(type(part)) else copy.deepcopy(part).eval() for part in parts]
    for part, probe in zip(parts, probes, strict=True):
        _replace(part, _affine(part) if probe is None else _verified(part, probe))


def _differs(part: Layer) -> bool:
    """Return whether a layer itself, apart from those in it, may compute something else in training mode."""
    return part.batch_dependent or any(find_objects(part.__getstate__(), np.random.Generator))


def _replace(part: Layer, backward: Backward) -> None:
    """Switch a layer, but not those in it, to evaluation mode, with a backward of (dy, input)."""
    forward = part.forward
    inputs: list[np.ndarray] = []
    part.training = False

    def recorded_forward(x: np.ndarray) -> np.ndarray:
        inputs[:] = [x]
        return forward(x)

    part.forward = recorded_forward  # type: ignore[method-assign]
    part.backward = lambda dy: backward(dy, *inputs)  # type: ignore[method-assign]


def _affine(part: Layer) -> Backward:
    """Return a backward for a layer that is affine in each value, as Dropout and BatchNorm are."""
    forward = part.forward
    return lambda dy, x: dy * (forward(np.ones_like(x)) - forward(np.zeros_like(x)))


def _verified(part: Layer, probe: Layer) -> Backward:
    """Return a backward for a layer of the user's: the first of two that agrees with finite differences.

    One is its own after a forward pass in evaluation mode, of which it keeps the cache. The other, for a
    layer without layers in it, takes it for affine in each value: its own may be that of training.
    """
    own = part.backward
    _keep_cache(part)
    ways: list[Callable] = [lambda dy, x: own(dy)]
    if not any(part.named_layers()):
        ways.append(_affine(probe))

    def backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
        for way in ways:
            try:
                dx = way(dy, x)
            except Exception:  # in the user's code, which may need what only training mode leaves
                continue
            if dx is not None and dx.shape == x.shape and _agrees(probe, x, dy, dx):
                return dx
        raise ValueError(
            f"{type(part).__name__} draws random numbers or needs the whole batch, and its backward does not "
            f"give the gradient of evaluation mode: let it keep in self.cache what it needs, in both modes"
        )

    return backward


def _keep_cache(layer: Layer) -> None:
    """Let a layer keep its cache in evaluation mode, too."""

    def keep(self: Layer, value: object) -> None:
        self._cache = (value, threading.get_ident())

    cls = type(layer)
    layer.__class__ = type(cls.__name__, (cls,), {"cache": vars(Layer)["cache"].setter(keep)})


def _agrees(probe: Layer, x: np.ndarray, dy: np.ndarray, dx: np.ndarray) -> bool:
    """Return whether a gradient is that of finite differences along some directions."""
    rng = np.random.default_rng(0)
    step = _STEP * (float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) or 1.0)
    size = float(np.linalg.norm(dx))
    for _ in range(_DIRECTIONS):
        direction = np.where(x == 0, 0, rng.standard_normal(x.shape))  # an activation may bend at 0
        moved = (step * direction).astype(x.dtype)
        change = np.sum(dy * (probe(x + moved) - probe(x - moved)), dtype=np.float64) / 2
        told = np.sum(dx * moved, dtype=np.float64)
        if not abs(change - told) <= _TOLERANCE * step * max(size, abs(change) / step):
            return False
    return True
