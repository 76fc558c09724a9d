"""Parameters, MACs and cached bytes of each layer, and the table that `Sequential.summary` returns."""

import copy
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parameter_tree import find_objects
from minicnn.safeguards.claims import all_layers, reading


class LayerCost(NamedTuple):
    """One row of the table; MACs (multiply-accumulate operations) and bytes are per example."""

    name: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    bytes_cached: int


def layer_costs(model: Layer, layers: Sequence[Layer]) -> list[LayerCost]:
    """Return the cost of each of a built model's layers.

    Cached bytes are measured: a copy of the model runs forward on one example in training mode. An array
    cached by two layers is counted for the first. If layers are frozen, it runs as in a fit, where what is
    below the lowest trainable weight caches nothing.

    Examples
    --------
    >>> from minicnn import Dense, ReLU, Sequential
    >>> model = Sequential([Dense(8), ReLU()]).build((4,), rng=0)
    >>> layer_costs(model, list(model))[0]
    LayerCost(name='0 Dense', output_shape=(8,), parameters=40, macs=32, bytes_cached=16)
    """
    shape = model.input_shape
    if shape is None:
        raise RuntimeError("the model is not built yet: call build(input_shape) before its summary")
    # A copy, to leave BatchNorm's running statistics unchanged; both are copied at once, to stay one model.
    with reading(model):
        model, layers = copy.deepcopy((model, layers))
    if any(parameter.frozen for parameter in model.parameters()):
        model.needs_dx = False
    with np.errstate(all="ignore"):
        model.train()(np.zeros((1, *shape), model.dtype))
    seen: set[int] = set()
    return [
        LayerCost(
            f"{i} {type(layer).__name__}",
            layer.output_shape,
            sum(parameter.size for parameter in layer.parameters()),
            layer.macs(),
            sum(_cached_bytes(layer, seen)),
        )
        for i, layer in enumerate(layers)
    ]


def summary_table(model: Layer, layers: Sequence[Layer]) -> str:
    """Return a table with a row per layer and a row of totals."""
    costs = layer_costs(model, layers)
    names = [
        cost.name if layer.trainable else f"{cost.name} (frozen)"
        for cost, layer in zip(costs, layers, strict=True)
    ]
    totals = [sum(column) for column in zip((0, 0, 0), *(cost[2:] for cost in costs), strict=True)]
    rows = [
        ("layer", "output shape", "parameters", "MACs", "bytes cached"),
        *(
            (name, str(cost.output_shape), *map("{:,}".format, cost[2:]))
            for name, cost in zip(names, costs, strict=True)
        ),
        ("total", "", *map("{:,}".format, totals)),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    template = "  ".join(f"{{:{'<' if i < 2 else '>'}{width}}}" for i, width in enumerate(widths))
    lines = [template.format(*row) for row in rows]
    rule = "-" * len(lines[0])
    fixed = sum(parameter.size for parameter in model.parameters() if not parameter.trainable)
    frozen = sum(parameter.size for parameter in model.parameters() if parameter.frozen)
    note = [f"{fixed:,} of the parameters are not trainable"] if fixed else []
    if frozen:
        note = [f"{totals[0] - fixed:,} of the parameters are trainable, {frozen:,} are frozen"]
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], *note])


def _cached_bytes(layer: Layer, seen: set[int]) -> Iterator[int]:
    """Yield the size of each array that `layer` and its layers cache and that is not in `seen`."""
    for part in all_layers(layer):
        for _, array in find_objects(part._cache[0], np.ndarray):
            while isinstance(array.base, np.ndarray):
                array = array.base
            if id(array) not in seen:
                seen.add(id(array))
                yield array.nbytes
