"""Whether a layer of the user's is there what it says: both must compute the same of random inputs."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.errors import noted
from minicnn.layers import Layer
from minicnn.safeguards.claims import all_layers

_EXAMPLES = 2
_TOLERANCE = 1e-3  # of the largest output: other runtimes round otherwise, and compute in float32
_JUMPS = 1e-4  # of the outputs may differ: those beside a jump, such as that of a quantizer


def check_counterpart(
    name: str, layer: Layer, method: str, compute: Callable[[np.ndarray], np.ndarray]
) -> None:
    """Raise ValueError unless the counterpart that a method of a layer has made computes what it does.

    Parameters
    ----------
    name : str
        What the layer is called in the message.
    layer : Layer
        In evaluation mode. If it takes no normal inputs, or its output does not repeat, nothing is compared.
    method : str
        The method that says what the layer is there.
    compute : callable
        Returns the outputs of the counterpart for a batch.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(_EXAMPLES, *(layer.input_shape or ()))).astype(layer.dtype)
    with np.errstate(all="ignore"):
        try:
            expected, again = layer(x), layer(x)
        except Exception:  # it takes other values only, such as indices
            return
        if not np.array_equal(expected, again, equal_nan=True):
            return
        with noted(f"in what `{method}` of {name} made"):
            found = np.asarray(compute(x))
    differs = f"`{method}` of {name} makes something else of it than `forward`: for normal inputs"
    if found.shape != expected.shape:
        raise ValueError(f"{differs} of shape {x.shape}, {found.shape} in place of {expected.shape}")
    sizes = np.abs(expected[np.isfinite(expected)])
    scale = _TOLERANCE * float(sizes.max(initial=0))
    wrong = ~np.isclose(found, expected, rtol=_TOLERANCE, atol=scale, equal_nan=True)
    if wrong.sum() > _JUMPS * wrong.size:
        index = tuple(map(int, np.argwhere(wrong)[0]))
        raise ValueError(f"{differs}, {found[index]:.4g} in place of {expected[index]:.4g} at {index}")


def check_chains(model: Layer) -> None:
    """Raise ValueError if a layer says by `to_layers` that it consists of layers that compute others."""
    for layer in all_layers(model):
        own: Any = layer
        if hasattr(own, "to_layers"):
            with noted(f"in `to_layers` of {type(own).__name__}"):
                parts = [*own.to_layers()]
            check_counterpart(type(own).__name__, own, "to_layers", functools.partial(_run, parts))


def _run(layers: list[Layer], x: np.ndarray) -> np.ndarray:
    for layer in layers:
        x = layer(x)
    return x
