"""Where an object holds its weights and their gradients, by the usual conventions."""

import copy
import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from minicnn.testing.adapters.adapted import ArrayModule, accepted, told_the_mode
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
    own: list[tuple[str, Path, Path]] = [
        (name, (name,), (pattern.format(name),))
        for name, array in getattr(made, "__dict__", {}).items()
        for pattern in GRADIENT_NAMES
        if module.is_float(array) and module.is_float(grad := follow(used, (pattern.format(name),)))
        if grad.shape == array.shape
    ]
    for path, part in direct_parts(made):
        found = find_weights(part, follow(used, path), module)
        own += [(f"{_label(path)}.{name}", path + value, path + grad) for name, value, grad in found]
    return own


def direct_parts(made: Any) -> list[tuple[Path, Any]]:
    """Return (path, object) of what an object holds, in attributes or lists, and that has a backward."""
    found: list[tuple[Path, Any]] = []
    for name, held in getattr(made, "__dict__", {}).items():
        found.append(((name,), held))
        found += [((name, [key]), held[key]) for key in _keys(held)]
    return [(path, part) for path, part in found if hasattr(part, "backward") and hasattr(part, "__dict__")]


def all_parts(made: Any) -> list[tuple[Path, Any]]:
    """Return (path, object) of an object itself, and of all that it holds and that have a backward."""
    inner = [(path + below, p) for path, part in direct_parts(made) for below, p in all_parts(part)]
    return [((), made), *inner]


def _label(path: Path) -> str:
    return ".".join(str(step[0]) if isinstance(step, list) else step for step in path)


def find_statistics(made: Any, module: ArrayModule) -> list[tuple[str, Path]]:
    """Return (name, path) of each array of running statistics."""
    return [
        (_label((*path, name)), (*path, name))
        for path, part in all_parts(made)
        for name, array in vars(part).items()
        if name.startswith(STATE_PREFIXES) and module.is_float(array)
    ]


def warn_of_arrays(made: Any, weights: list[tuple[str, Path, Path]], module: ArrayModule) -> None:
    """Warn of an array that may be a weight, but has no gradient: a bug in it would not be found."""
    known = {id(follow(made, path)) for _, *paths in weights for path in paths}
    arrays = [
        name
        for _, part in all_parts(made)
        for name, array in vars(part).items()
        if module.is_float(array)
        and id(array) not in known
        and name not in {pattern.format(other) for other in vars(part) for pattern in GRADIENT_NAMES}
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
    y = module.take(run_forward(used, module.give(x), training=True))
    used.backward(module.give(np.ones_like(y)))
    return used


def run_forward(made: Any, x: Any, training: bool) -> Any:
    """Run forward, which may have an argument for the mode."""
    forward = getattr(made, "forward", made)
    return forward(x, **accepted(forward, told_the_mode(training)))


def set_mode(made: Any, training: bool) -> None:
    """Tell an object, and those that it holds, the mode: by `train()` and `eval()` or by attributes."""
    if callable(getattr(made, "train", None)) and callable(getattr(made, "eval", None)):
        made.train() if training else made.eval()
        return
    for name, mode in told_the_mode(training).items():
        if isinstance(getattr(made, name, None), bool):
            setattr(made, name, mode)
    for _, part in direct_parts(made):
        set_mode(part, training)


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
