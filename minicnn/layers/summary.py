"""The table that `Sequential.summary` returns."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minicnn.layers.base import Layer


def summary_table(model: Layer, layers: Sequence[Layer]) -> str:
    """Return a line for each of the model's layers, and the sums.

    The multiply-adds and the bytes are those of one example. What is cached is measured, not computed:
    a copy of the model runs forward on one example in training mode.
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
    numbers = [
        (sum(p.size for p in layer.parameters()), layer.multiply_adds(), sum(_cached_bytes(layer, seen)))
        for layer in layers
    ]
    titles = [(f"{i} {type(layer).__name__}", str(layer.output_shape)) for i, layer in enumerate(layers)]
    rows = [
        ("layer", "output shape", "parameters", "multiply-adds", "bytes cached"),
        *((*title, *map("{:,}".format, row)) for title, row in zip(titles, numbers, strict=True)),
        ("total", "", *(f"{sum(column):,}" for column in zip((0, 0, 0), *numbers, strict=True))),
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
