"""One shard of a batch: what it computes, wherever that happens."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from minicnn.errors import noted
from minicnn.layers.base import Layer
from minicnn.parameter import Parameter
from minicnn.plural import counted
from minicnn.safeguards.claims import all_layers
from minicnn.safeguards.inputs import to_input
from minicnn.safeguards.returned_loss import call_loss

MICROBATCH, MICROBATCH_VALUES = 64, 50_000  # the least examples and input values of a microbatch
LARGE_MAPS = 16  # examples whose layers' outputs have as many values as the weights, see `has_large_maps`

ShardResult = tuple[float, np.ndarray]  # the shard's part of the batch's mean loss, its predictions


@dataclass(frozen=True)
class Place:
    """The place of a shard in a batch.

    Attributes
    ----------
    index, count : int
        The number of the shard, and of all shards of this process.
    attempt : int
        See `SumMemory`.
    has_ranks : bool
        Whether there are several ranks.
    """

    index: int
    count: int
    attempt: int
    has_ranks: bool


ONE_PLACE = Place(0, 1, 1, False)


def interleave(outputs: Sequence[np.ndarray], n: int) -> np.ndarray:
    """Return the predictions for a batch of `n` examples; each of k shards has computed every k-th."""
    if len(outputs) == 1:
        return outputs[0]
    predictions = np.empty((n, *outputs[0].shape[1:]), outputs[0].dtype)
    for i, output in enumerate(outputs):
        predictions[i :: len(outputs)] = output
    return predictions


def has_large_maps(model: Layer) -> bool:
    """Return whether microbatches save time: the outputs of the layers are large, beside the weights.

    For each microbatch, the weights are read once more, and so are their gradients: a net of Dense layers
    would take 1.5 times as long.
    """
    outputs = sum(math.prod(layer.output_shape) for layer in all_layers(model))
    return LARGE_MAPS * outputs >= sum(parameter.size for parameter in model.parameters())


def compute_shard(
    model: Layer,
    parameters: Sequence[Parameter],
    loss: Callable,
    x: np.ndarray,
    y: np.ndarray,
    batch: int | None = None,
    split: bool = False,
) -> ShardResult:
    """Run forward, loss and backward for a shard of a batch of `batch` examples; an overflow gives no error.

    Loss and gradients are the shard's contribution to the means over the batch, by default the shard itself.
    If `split` is true, a large shard is computed in microbatches, whose arrays fit into the cache.
    """
    batch = len(x) if batch is None else batch
    for parameter in parameters:
        parameter.zero_grad()
    if len(x) == 0:  # there are more ranks than examples
        return 0.0, np.empty(0)
    count = max(min(len(x) // MICROBATCH, x.size // MICROBATCH_VALUES), 1) if split else 1
    total, outputs = 0.0, []
    with np.errstate(all="ignore"), noted(f"with {len(x):,} of the {counted(batch, 'example')} of the batch"):
        for i in range(count):
            rows = slice(len(x) * i // count, len(x) * (i + 1) // count)
            predictions = model(to_input(model, x[rows]))
            value, dpredictions = call_loss(loss, predictions, y[rows])
            if len(predictions) != batch:
                share = len(predictions) / batch
                value, dpredictions = value * share, dpredictions * share
            model.backward(dpredictions)
            total += value
            outputs.append(predictions)
    return total, outputs[0] if count == 1 else np.concatenate(outputs)
