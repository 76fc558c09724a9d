"""Where an object holds its weights and their gradients, by the usual conventions."""

import copy
import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from minicnn.testing.adapters.adapted import ArrayModule
from minicnn.testing.contents import reachable
from minicnn.testing.report import LayerCheckRemark

CONTAINERS = (("params", "grads"), ("parameters", "gradients"), ("weights", "grads"), ("_params", "_grads"))
GRADIENT_NAMES = ("d{}", "grad_{}", "{}_grad", "d_{}", "g{}")
STATE_PREFIXES = ("running_", "moving_")
VALUES = ("value", "data")  # attributes of a parameter that is an object, beside `grad`
Path: TypeAlias = tuple[Any, ...]  # from the object to an array: names of attributes, and [key] of items


def find_weights(made: Any, used: Any, module: ArrayModule) -> list[tuple[str, Path, Path]]:
    """Return (name, path of the value, path of the gradient) of each weight, by the usual conventions.

    `made` is the object before its first step, without caches; `used` has gradients.
    """
    for params, grads in CONTAINERS:
        keys = _keys(follow(made, (params,)))
        arrays: list[tuple[str, Path, Path]] = [
            (key if isinstance(key, str) else f"param{key}", (params, [key]), (grads, [key]))
            for key in keys
            if module.is_float(follow(made, (params, [key])))
        ]
        if arrays and any(follow(used, gradient) is not None for _, _, gradient in arrays):
            return arrays
        objects: list[tuple[str, Path, Path]] = [
            (_name(made, params, key), (params, [key], value), (params, [key], "grad"))
            for key in keys
            for value in VALUES
            if module.is_float(follow(made, (params, [key], value)))
        ]
        if objects:
            return objects
    return [
        (name, (name,), (pattern.format(name),))
        for name, array in getattr(made, "__dict__", {}).items()
        for pattern in GRADIENT_NAMES
        if module.is_float(array) and module.is_float(grad := follow(used, (pattern.format(name),)))
        if grad.shape == array.shape
    ]


def warn_of_arrays(made: Any, weights: list[tuple[str, Path, Path]], module: ArrayModule) -> None:
    """Warn of an array that may be a weight, but has no gradient: a bug in it would not be found."""
    known = {id(follow(made, path)) for _, *paths in weights for path in paths}
    gradients = {pattern.format(name) for name in vars(made) for pattern in GRADIENT_NAMES}
    arrays = [
        name
        for name, array in vars(made).items()
        if module.is_float(array)
        and id(array) not in known
        and name not in gradients
        and not name.startswith(STATE_PREFIXES)
    ]
    if arrays:
        what = f"of the array `{arrays[0]}`, so it counts as a constant"
        name = arrays[0]
    elif not weights and _holds_other_arrays(made, module):
        what, name = "of the arrays in the objects that it holds, so they count as constants", "W"
    else:
        return
    warnings.warn(
        f"{type(made).__name__}: no gradient is known {what}; if it is a weight, name its gradient: "
        f"grads={{{name!r}: 'd{name}'}}, or `grads={{}}` if there is none",
        LayerCheckRemark,
        stacklevel=2,
    )


def _holds_other_arrays(made: Any, module: ArrayModule) -> bool:
    """Return whether an object holds arrays of floats, at any depth, beside running statistics."""
    statistics = [array for name, array in vars(made).items() if name.startswith(STATE_PREFIXES)]
    known = {id(part) for array in statistics for part in (array, *reachable(array))}
    return any(module.is_float(part) and id(part) not in known for part in reachable(made))


def after_a_step(made: Any, input_shape: tuple[int, ...], module: ArrayModule) -> Any:
    """Return a copy of an object that has run forward and backward, and so holds gradients."""
    used = copy.deepcopy(made)
    set_mode(used, True)
    x = np.random.default_rng(0).standard_normal((2, *input_shape))
    y = module.take(getattr(used, "forward", used)(module.give(x)))
    used.backward(module.give(np.ones_like(y)))
    return used


def set_mode(made: Any, training: bool) -> None:
    """Tell an object the mode, by `train()` and `eval()` or by `training`, if it has these."""
    if callable(getattr(made, "train", None)) and callable(getattr(made, "eval", None)):
        made.train() if training else made.eval()
    elif hasattr(made, "training"):
        made.training = training


def follow(found: Any, path: Path) -> Any:
    """Return what a path leads to, or None."""
    for step in path:
        try:
            found = found[step[0]] if isinstance(step, list) else getattr(found, step, None)
        except (KeyError, IndexError, TypeError):
            return None
        found = list(found()) if inspect.ismethod(found) else found
    return found


def _name(made: Any, params: str, key: Any) -> str:
    return str(getattr(follow(made, (params, [key])), "name", None) or f"param{key}")


def _keys(container: Any) -> Sequence[Any]:
    if isinstance(container, Mapping):
        return [*container]
    return range(len(container)) if isinstance(container, list | tuple) else ()
