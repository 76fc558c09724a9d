"""What one core does in a step: a shard of the batch, forward and backward, in pieces that suit its cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minicnn.layers.base import Layer
from minicnn.ops.scaling import to_float
from minicnn.parameter import Parameter

Loss = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]
ShardResult = tuple[float, np.ndarray]  # part of the batch's mean loss; predictions

MICROBATCH, MICROBATCH_VALUES = (
    64,
    50_000,
)  # examples, and input values, of a piece at least: 64 digits of MNIST


def compute_shard(
    model: Layer,
    parameters: Sequence[Parameter],
    loss: Loss,
    x: np.ndarray,
    y: np.ndarray,
    batch: int,
    split: bool,
) -> ShardResult:
    """Run a model forward and backward; return its part of the batch's mean loss, and predictions.

    Where `split` allows it, many examples are computed in pieces, whose arrays stay in a core's cache.
    """
    for parameter in parameters:
        parameter.zero_grad()
    if len(x) == 0:  # there are more ranks than examples
        return 0.0, np.empty(0)
    count = max(min(len(x) // MICROBATCH, x.size // MICROBATCH_VALUES), 1) if split else 1
    total, parts = 0.0, []
    with np.errstate(all="ignore"):  # what overflows is found by the trainer, and named
        for i in range(count):
            piece = slice(len(x) * i // count, len(x) * (i + 1) // count)
            predictions = model(to_float(x[piece], model.dtype))
            value, dpredictions = loss(predictions, y[piece])
            if len(predictions) != batch:
                share = len(predictions) / batch
                value, dpredictions = value * share, dpredictions * share
            model.backward(dpredictions)
            total += value
            parts.append(predictions)
    return total, parts[0] if count == 1 else np.concatenate(parts)
