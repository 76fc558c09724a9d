"""What the layers of a model cost, and the table of it that `Sequential.summary` returns."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minicnn.layers.base import Layer


class LayerCost(NamedTuple):
    """One line of the table; multiply-adds and bytes are those of one example."""

    name: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    bytes_cached: int


def layer_costs(model: Layer, layers: Sequence[Layer]) -> list[LayerCost]:
    """Return what each of a built model's layers costs.

    What is cached is measured, not computed: a copy of the model runs forward on one example in training
    mode. An array that two layers cache is counted for the first.

    Examples
    --------
    >>> from minicnn import Dense, ReLU, Sequential
    >>> model = Sequential([Dense(8), ReLU()]).build((4,), rng=0)
    >>> layer_costs(model, list(model))[0]
    LayerCost(name='0 Dense', output_shape=(8,), parameters=40, macs=32, bytes_cached=16)
    """
    shape = model.input_shape
    if shape is None:
        raise RuntimeError("a model must be built before its summary: call build(input_shape) first")
    # A copy, since BatchNorm's running statistics must not change by looking; copied together, they belong
    # together.
    model, layers = copy.deepcopy((model, layers))
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
    """Return a line for each of the model's layers, and the sums."""
    costs = layer_costs(model, layers)
    rows = [
        ("layer", "output shape", "parameters", "multiply-adds", "bytes cached"),
        *((cost.name, str(cost.output_shape), *map("{:,}".format, cost[2:])) for cost in costs),
        (
            "total",
            "",
            *(f"{sum(column):,}" for column in zip((0, 0, 0), *(cost[2:] for cost in costs), strict=True)),
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            (cell.ljust if i < 2 else cell.rjust)(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    rule = "-" * max(map(len, lines))
    frozen = sum(parameter.size for parameter in model.parameters() if not parameter.trainable)
    note = [f"{frozen:,} of the parameters are not trainable"] if frozen else []
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], *note])


def _cached_bytes(layer: Layer, seen: set[int]) -> Iterator[int]:
    """Yield the bytes of the arrays that `layer` and its layers cache, each array once."""
    for part in (layer, *(part for _, part in layer.named_layers())):
        for array in _arrays(part._cache[0]):
            while isinstance(array.base, np.ndarray):
                array = array.base
            if id(array) not in seen:
                seen.add(id(array))
                yield array.nbytes


def _arrays(value: Any) -> Iterator[np.ndarray]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _arrays(item)
